//! Requests that add to an incident.

use chrono::{DateTime, Utc};
use prost::Message as _;
use reeve_contracts::incident::v1::{
    AddActionRequest, AddCommunicationReplyRequest, AddImpactRequest, AddStatusUpdateRequest,
    FinishActionRequest, RecordCommunicationRequest,
};
use reeve_contracts::r#type::v1::Money;
use reeve_ids::{AgentId, PartId, TaskId};
use reeve_money::{Cost, Currency};
use reeve_status::Fault;

use super::Reader;
use super::incidents::{PARAGRAPH, Target, finish, target};
use crate::domain::parts::{
    Action, ActionState, Communication, CommunicationStatus, Impact, Reply,
};
use crate::operations::record_part::{Addition, Record};

/// Bytes that an impact's metrics may take as JSON.
const METRICS: usize = 16_384;

/// Reads what all of these requests share, and what `read` makes of the rest.
fn record(
    method: &'static str,
    (request_id, incident_id, etag): (&str, &str, &str),
    body: &[u8],
    now: DateTime<Utc>,
    read: impl FnOnce(&mut Reader) -> Option<Addition>,
) -> Result<Record, Fault> {
    let mut reader = Reader::new(now);
    let key = reader.request(method, request_id, body);
    let target = target(&mut reader, incident_id, etag);
    let addition = read(&mut reader);
    let (incident_id, etag) = finish(reader, target)?;
    Ok(Record {
        incident_id,
        etag,
        key,
        addition: addition.ok_or_else(Fault::internal)?,
    })
}

/// How it stands.
pub fn status_update(
    request: &AddStatusUpdateRequest,
    now: DateTime<Utc>,
) -> Result<Record, Fault> {
    let names = (&*request.request_id, &*request.incident_id, &*request.etag);
    record(
        "AddStatusUpdate",
        names,
        &request.encode_to_vec(),
        now,
        |reader| {
            Some(Addition::StatusUpdate(reader.text(
                "message",
                &request.message,
                PARAGRAPH,
            )))
        },
    )
}

/// A thing done, or to be done.
pub fn action(request: &AddActionRequest, now: DateTime<Utc>) -> Result<Record, Fault> {
    let names = (&*request.request_id, &*request.incident_id, &*request.etag);
    record(
        "AddAction",
        names,
        &request.encode_to_vec(),
        now,
        |reader| {
            reader.check(request.action.is_some(), "action", "is required");
            let action = request.action.clone().unwrap_or_default();
            reader.within("action", |reader| {
                let state = reader
                    .optional_word("state", action.state)
                    .unwrap_or(ActionState::Done);
                let begins = matches!(state, ActionState::Planned | ActionState::Done);
                reader.check(begins, "state", "must be PLANNED or DONE");
                reader.optional_id::<TaskId>("task_id", &action.task_id);
                Some(Addition::Action(Action {
                    id: PartId::new(),
                    description: reader.text("description", &action.description, PARAGRAPH),
                    state,
                    owner: reader.optional_text("owner", &action.owner, 200),
                    task_id: action.task_id,
                    outcome: reader.optional_text("outcome", &action.outcome, PARAGRAPH),
                    automated: action.automated,
                    due_time: reader.time("due_time", action.due_time.as_ref()),
                    create_time: now,
                    finish_time: None,
                    created_by: String::new(),
                    kind: reader.word("type", action.r#type)?,
                }))
            })
        },
    )
}

/// An effect.
pub fn impact(request: &AddImpactRequest, now: DateTime<Utc>) -> Result<Record, Fault> {
    let names = (&*request.request_id, &*request.incident_id, &*request.etag);
    record(
        "AddImpact",
        names,
        &request.encode_to_vec(),
        now,
        |reader| {
            reader.check(request.impact.is_some(), "impact", "is required");
            let impact = request.impact.clone().unwrap_or_default();
            reader.within("impact", |reader| {
                let start_time = reader.past_time("start_time", impact.start_time.as_ref());
                let start_time = start_time.unwrap_or(now);
                let end_time = reader.past_time("end_time", impact.end_time.as_ref());
                let ordered = end_time.is_none_or(|end| end >= start_time);
                reader.check(ordered, "end_time", "must not be before start_time");
                let count = impact.affected_user_count;
                reader.check(count >= 0, "affected_user_count", "must not be negative");
                let metrics = impact.metrics.map(reeve_wellknown::json_from_struct);
                let metrics = metrics.unwrap_or_else(|| serde_json::json!({}));
                let fits = metrics.to_string().len() <= METRICS
                    && !metrics.to_string().contains("\\u0000");
                reader.check(
                    fits,
                    "metrics",
                    "must have at most 16 KiB as JSON, and no NUL",
                );
                let component = &impact.affected_component;
                let (kind, severity) = (
                    reader.word("type", impact.r#type),
                    reader.word("severity", impact.severity),
                );
                Some(Addition::Impact(Impact {
                    id: PartId::new(),
                    description: reader.text("description", &impact.description, PARAGRAPH),
                    affected_component: reader.optional_text("affected_component", component, 200),
                    affected_user_count: count,
                    business_impact: money(
                        reader,
                        "business_impact",
                        impact.business_impact.as_ref(),
                    ),
                    start_time,
                    end_time,
                    metrics,
                    kind: kind?,
                    severity: severity?,
                }))
            })
        },
    )
}

fn money(reader: &mut Reader, field: &str, money: Option<&Money>) -> Option<(String, String)> {
    let money = money?;
    let currency = money.currency_code.parse::<Currency>();
    let cost = currency.and_then(|currency| Cost::parse(&money.amount, currency));
    match cost {
        Ok(cost) if !cost.is_negative() => {
            Some((money.amount.clone(), money.currency_code.clone()))
        }
        Ok(_) => {
            reader.wrong(field, "must not be negative");
            None
        }
        Err(error) => {
            reader.wrong(field, error.to_string());
            None
        }
    }
}

/// Somebody was told something.
pub fn communication(
    request: &RecordCommunicationRequest,
    now: DateTime<Utc>,
) -> Result<Record, Fault> {
    let names = (&*request.request_id, &*request.incident_id, &*request.etag);
    record(
        "RecordCommunication",
        names,
        &request.encode_to_vec(),
        now,
        |reader| {
            reader.check(
                request.communication.is_some(),
                "communication",
                "is required",
            );
            let said = request.communication.clone().unwrap_or_default();
            reader.within("communication", |reader| {
                let status = reader.optional_word("status", said.status);
                let status = status.unwrap_or(CommunicationStatus::Sent);
                let sent = reader.past_time("send_time", said.send_time.as_ref());
                let send_time = match status {
                    CommunicationStatus::Draft => sent,
                    _ => Some(sent.unwrap_or(now)),
                };
                reader.check(!said.recipients.is_empty(), "recipients", "is required");
                reader.optional_id::<AgentId>("sent_by_agent_id", &said.sent_by_agent_id);
                let (kind, channel) = (
                    reader.word("type", said.r#type),
                    reader.word("channel", said.channel),
                );
                Some(Addition::Communication(Communication {
                    id: PartId::new(),
                    subject: reader.text("subject", &said.subject, 200),
                    message: reader.text("message", &said.message, PARAGRAPH),
                    recipients: reader.texts("recipients", &said.recipients, 100, 200),
                    status,
                    sent_by_agent_id: said.sent_by_agent_id,
                    create_time: now,
                    send_time,
                    replies: Vec::new(),
                    automated: said.automated,
                    created_by: String::new(),
                    kind: kind?,
                    channel: channel?,
                }))
            })
        },
    )
}

/// Somebody answered.
pub fn reply(request: &AddCommunicationReplyRequest, now: DateTime<Utc>) -> Result<Record, Fault> {
    let names = (&*request.request_id, &*request.incident_id, &*request.etag);
    record(
        "AddCommunicationReply",
        names,
        &request.encode_to_vec(),
        now,
        |reader| {
            let id: Option<PartId> = reader.id("communication_id", &request.communication_id);
            reader.check(request.response.is_some(), "response", "is required");
            let response = request.response.clone().unwrap_or_default();
            let reply = reader.within("response", |reader| Reply {
                responder: reader.text("responder", &response.responder, 200),
                message: reader.text("message", &response.message, PARAGRAPH),
                create_time: now,
            });
            Some(Addition::Reply(id?, reply))
        },
    )
}

/// How a planned action ended.
pub fn finish_action(
    request: &FinishActionRequest,
    now: DateTime<Utc>,
) -> Result<(Target, PartId, (ActionState, String)), Fault> {
    let mut reader = Reader::new(now);
    let target = target(&mut reader, &request.incident_id, &request.etag);
    let action = reader.id("action_id", &request.action_id);
    let state = reader.word("state", request.state);
    let ended = state != Some(ActionState::Planned);
    reader.check(ended, "state", "must be DONE, FAILED or WAIVED");
    let why = matches!(state, Some(ActionState::Failed | ActionState::Waived));
    let given = !request.outcome.trim().is_empty();
    reader.check(
        given || !why,
        "outcome",
        "is required for FAILED and WAIVED",
    );
    let outcome = reader.optional_text("outcome", &request.outcome, PARAGRAPH);
    let target = finish(reader, target)?;
    let (Some(action), Some(state)) = (action, state) else {
        return Err(Fault::internal());
    };
    Ok((target, action, (state, outcome)))
}
