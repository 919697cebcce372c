//! Requests that create, change, resolve and close incidents.

use chrono::{DateTime, Utc};
use prost::Message as _;
use reeve_auth::{Caller, PrincipalKind};
use reeve_contracts::incident::v1::{
    CloseIncidentRequest, CreateIncidentRequest, IncidentResolution, ResolveIncidentRequest,
    UpdateIncidentRequest, UpdateResolutionRequest, VerifyResolutionRequest,
};
use reeve_ids::{AgentId, IncidentId};
use reeve_status::Fault;

use super::Reader;
use crate::domain::classification::{CloseReason, Source};
use crate::domain::incident::Opening;
use crate::domain::parts::ResolutionStep;
use crate::operations::RequestKey as Key;
use crate::operations::resolve_incident::{Ending, Verification};
use crate::operations::update_incident::Update;

/// Characters of a note or another paragraph.
pub const PARAGRAPH: usize = 4_096;
/// Characters of a long text.
const LONG: usize = 16_384;

/// What opens an incident.
pub fn create(
    caller: &Caller,
    mut request: CreateIncidentRequest,
    now: DateTime<Utc>,
) -> Result<(Opening, Option<Key>), Fault> {
    let mut reader = Reader::new(now);
    let labels = reader.labels("labels", &request.labels, 32);
    // A map has no order on the wire: the same labels must give the same digest.
    let mut body = format!("{labels:?}").into_bytes();
    request.labels.clear();
    body.extend(request.encode_to_vec());
    let key = reader.request("CreateIncident", &request.request_id, &body);
    let reported = match caller.principal.kind {
        PrincipalKind::Agent => Source::AgentReport,
        PrincipalKind::User | PrincipalKind::Service => Source::UserReport,
    };
    let source = reader
        .optional_word("source", request.source)
        .unwrap_or(reported);
    reader.check(source != Source::Rule, "source", "RULE is for rules alone");
    let most = request.related_incident_ids.len() <= 20;
    reader.check(most, "related_incident_ids", "must have at most 20 items");
    let ids = request.related_incident_ids.iter().take(20).enumerate();
    let related: Vec<Option<IncidentId>> = ids
        .map(|(index, id)| reader.id(format!("related_incident_ids[{index}]"), id))
        .collect();
    let detect_time = reader.past_time("detect_time", request.detect_time.as_ref());
    let (severity, priority, category) = (
        reader.word("severity", request.severity),
        reader.word("priority", request.priority),
        reader.word("category", request.category),
    );
    let title = reader.text("title", &request.title, 200);
    let description = reader.optional_text("description", &request.description, LONG);
    let project_id = reader.optional_text("project_id", &request.project_id, 128);
    let assignee = reader.optional_text("assignee", &request.assignee, 200);
    reader.finish()?;
    let (Some(severity), Some(priority), Some(category)) = (severity, priority, category) else {
        return Err(Fault::internal());
    };
    let opening = Opening {
        tenant_id: caller.tenant(),
        project_id,
        title,
        description,
        severity,
        priority,
        category,
        source,
        assignee,
        labels,
        rule_id: None,
        key: None,
        related: related.into_iter().flatten().collect(),
        detect_time: detect_time.unwrap_or(now),
    };
    Ok((opening, key))
}

/// What every verb names: an incident and perhaps its etag.
pub type Target = (IncidentId, Option<i64>);

/// Reads what every verb names.
pub fn target(
    reader: &mut Reader,
    incident_id: &str,
    etag: &str,
) -> (Option<IncidentId>, Option<i64>) {
    (reader.id("incident_id", incident_id), reader.etag(etag))
}

/// The target, when nothing was wrong with the request.
pub fn finish(reader: Reader, target: (Option<IncidentId>, Option<i64>)) -> Result<Target, Fault> {
    reader.finish()?;
    Ok((target.0.ok_or_else(Fault::internal)?, target.1))
}

/// A verb with a note.
pub fn noted(
    (incident_id, etag, note): (&str, &str, &str),
    now: DateTime<Utc>,
) -> Result<Target, Fault> {
    let mut reader = Reader::new(now);
    let target = target(&mut reader, incident_id, etag);
    reader.optional_text("note", note, PARAGRAPH);
    finish(reader, target)
}

/// What changes of an incident.
pub fn update(
    request: &UpdateIncidentRequest,
    now: DateTime<Utc>,
) -> Result<(Target, Update), Fault> {
    let known = [
        "title",
        "description",
        "category",
        "assignee",
        "project_id",
        "labels",
    ];
    let mut reader = Reader::new(now);
    let target = target(&mut reader, &request.incident_id, &request.etag);
    reader.check(request.incident.is_some(), "incident", "is required");
    let incident = request.incident.clone().unwrap_or_default();
    let mask = reader.mask(request.update_mask.as_ref(), &known);
    let mut update = Update::default();
    reader.within("incident", |reader| {
        for path in mask {
            match path {
                "title" => update.title = Some(reader.text(path, &incident.title, 200)),
                "description" => {
                    let text = reader.optional_text(path, &incident.description, LONG);
                    update.description = Some(text);
                }
                "category" => update.category = reader.word(path, incident.category),
                "assignee" => {
                    update.assignee = Some(reader.optional_text(path, &incident.assignee, 200));
                }
                "project_id" => {
                    let text = reader.optional_text(path, &incident.project_id, 128);
                    update.project_id = Some(text);
                }
                "labels" => update.labels = Some(reader.labels(path, &incident.labels, 32)),
                _ => {}
            }
        }
    });
    Ok((finish(reader, target)?, update))
}

const RESOLUTION_FIELDS: [&str; 9] = [
    "type",
    "summary",
    "detailed_description",
    "root_cause",
    "contributing_factors",
    "actions",
    "permanent",
    "temporary_workaround",
    "verification_steps",
];

/// How an incident ended.
pub fn resolve(
    request: &ResolveIncidentRequest,
    now: DateTime<Utc>,
) -> Result<(Target, Ending), Fault> {
    let mut reader = Reader::new(now);
    let target = target(&mut reader, &request.incident_id, &request.etag);
    reader.check(request.resolution.is_some(), "resolution", "is required");
    let resolution = request.resolution.clone().unwrap_or_default();
    let ending = reader.within("resolution", |reader| {
        let mut ending = Ending::default();
        for field in RESOLUTION_FIELDS {
            read_resolution(reader, field, &resolution, &mut ending);
        }
        let agent = &resolution.resolved_by_agent_id;
        reader.optional_id::<AgentId>("resolved_by_agent_id", agent);
        Ending {
            resolved_by_agent_id: Some(agent.clone()),
            ..ending
        }
    });
    Ok((finish(reader, target)?, ending))
}

/// What changes of a resolution.
pub fn update_resolution(
    request: &UpdateResolutionRequest,
    now: DateTime<Utc>,
) -> Result<(Target, Ending), Fault> {
    let mut reader = Reader::new(now);
    let target = target(&mut reader, &request.incident_id, &request.etag);
    reader.check(request.resolution.is_some(), "resolution", "is required");
    let resolution = request.resolution.clone().unwrap_or_default();
    let mask = reader.mask(request.update_mask.as_ref(), &RESOLUTION_FIELDS);
    let mut ending = Ending::default();
    reader.within("resolution", |reader| {
        for field in mask {
            read_resolution(reader, field, &resolution, &mut ending);
        }
    });
    Ok((finish(reader, target)?, ending))
}

fn read_resolution(
    reader: &mut Reader,
    field: &str,
    resolution: &IncidentResolution,
    ending: &mut Ending,
) {
    match field {
        "type" => ending.kind = reader.word(field, resolution.r#type),
        "summary" => ending.summary = Some(reader.text(field, &resolution.summary, 1_000)),
        "detailed_description" => {
            let text = reader.optional_text(field, &resolution.detailed_description, LONG);
            ending.detailed_description = Some(text);
        }
        "root_cause" => {
            ending.root_cause =
                Some(reader.optional_text(field, &resolution.root_cause, PARAGRAPH));
        }
        "contributing_factors" => {
            let factors = reader.texts(field, &resolution.contributing_factors, 50, 1_000);
            ending.contributing_factors = Some(factors);
        }
        "actions" => ending.steps = Some(steps(reader, resolution)),
        "permanent" => ending.permanent = Some(resolution.permanent),
        "temporary_workaround" => {
            let text = reader.optional_text(field, &resolution.temporary_workaround, PARAGRAPH);
            ending.temporary_workaround = Some(text);
        }
        "verification_steps" => {
            let steps = reader.texts(field, &resolution.verification_steps, 50, 1_000);
            ending.verification_steps = Some(steps);
        }
        _ => {}
    }
}

fn steps(reader: &mut Reader, resolution: &IncidentResolution) -> Vec<ResolutionStep> {
    reader.check(
        resolution.actions.len() <= 50,
        "actions",
        "must have at most 50 items",
    );
    let actions = resolution.actions.iter().take(50).enumerate();
    actions
        .map(|(index, action)| {
            reader.within(format!("actions[{index}]"), |reader| ResolutionStep {
                description: reader.text("description", &action.description, PARAGRAPH),
                performed_by: reader.optional_text("performed_by", &action.performed_by, 200),
                perform_time: reader.past_time("perform_time", action.perform_time.as_ref()),
            })
        })
        .collect()
}

/// Why an incident is closed.
pub fn close(
    request: &CloseIncidentRequest,
    now: DateTime<Utc>,
) -> Result<(Target, (CloseReason, Option<IncidentId>)), Fault> {
    let mut reader = Reader::new(now);
    let target = target(&mut reader, &request.incident_id, &request.etag);
    let reason = reader.word("reason", request.reason);
    let field = "duplicate_of_incident_id";
    let original = reader.optional_id(field, &request.duplicate_of_incident_id);
    let named = !request.duplicate_of_incident_id.is_empty();
    match reason {
        Some(CloseReason::Duplicate) => {
            reader.check(named, field, "is required for DUPLICATE");
            let itself = named && request.duplicate_of_incident_id == request.incident_id;
            reader.check(!itself, field, "must be another incident");
        }
        _ => reader.check(!named, field, "is for DUPLICATE alone"),
    }
    reader.optional_text("note", &request.note, PARAGRAPH);
    let target = finish(reader, target)?;
    Ok((target, (reason.ok_or_else(Fault::internal)?, original)))
}

/// How the end was verified.
pub fn verify(
    request: &VerifyResolutionRequest,
    now: DateTime<Utc>,
) -> Result<(Target, Verification), Fault> {
    let mut reader = Reader::new(now);
    let target = target(&mut reader, &request.incident_id, &request.etag);
    let agent = &request.verified_by_agent_id;
    reader.optional_id::<AgentId>("verified_by_agent_id", agent);
    let steps = reader.texts("verification_steps", &request.verification_steps, 50, 1_000);
    let note = reader.optional_text("note", &request.note, PARAGRAPH);
    let target = finish(reader, target)?;
    Ok((
        target,
        Verification {
            steps,
            agent_id: agent.clone(),
            note,
        },
    ))
}
