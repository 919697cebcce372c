//! Adding to an incident: status updates, actions, impacts, communications and replies.

use reeve_auth::Caller;
use reeve_ids::{IncidentId, PartId};
use serde::Serialize;
use serde_json::json;

use super::Operations;
use super::change::{Change, Start};
use super::view::View;
use crate::domain::evidence::cut;
use crate::domain::lifecycle::Refusal;
use crate::domain::parts::{
    Action, ActionState, Communication, Impact, MOST_BYTES, MOST_PARTS, PartKind, Reply,
};
use crate::domain::status::Status;
use crate::domain::timeline::{Entry, EntryKind};
use crate::error::Error;
use crate::storage::parts::{self, Parts};
use crate::storage::requests::Key;

/// What is added.
#[derive(Debug, Clone, PartialEq)]
pub enum Addition {
    /// How it stands.
    StatusUpdate(String),
    /// A thing done, or to be done.
    Action(Action),
    /// An effect.
    Impact(Impact),
    /// Somebody was told something.
    Communication(Communication),
    /// Somebody answered.
    Reply(PartId, Reply),
}

/// A request to add something.
#[derive(Debug, Clone)]
pub struct Record {
    /// To which incident.
    pub incident_id: IncidentId,
    /// The etag that was read.
    pub etag: Option<i64>,
    /// What the client calls the request.
    pub key: Option<Key>,
    /// What to add.
    pub addition: Addition,
}

impl Operations {
    /// Adds something, once for each request.
    pub async fn record(&self, caller: &Caller, record: Record) -> Result<View, Error> {
        let Record {
            incident_id,
            etag,
            key,
            addition,
        } = record;
        let start = Change::begin_once(self, caller, incident_id, etag, key.as_ref()).await?;
        let mut change = match start {
            Start::Fresh(change) => *change,
            Start::Repeated(view) => return Ok(*view),
        };
        change.check_room()?;
        let entry = add(&mut change, addition).await?;
        change.finish(self, vec![entry]).await
    }
}

async fn add(change: &mut Change, addition: Addition) -> Result<Entry, Error> {
    match addition {
        Addition::StatusUpdate(message) => Ok(Entry::new(EntryKind::StatusUpdate, message)),
        Addition::Action(action) => {
            must_not_be_closed(change)?;
            let action = completed(change, action);
            insert(change, PartKind::Action, action.id, &action).await?;
            let summary = match action.state {
                ActionState::Planned => format!("Planned: {}", line(&action.description)),
                _ => line(&action.description),
            };
            Ok(Entry::new(EntryKind::ActionTaken, summary).with(json!({
                "action_id": action.id, "type": action.kind, "state": action.state,
            })))
        }
        Addition::Impact(mut impact) => {
            must_not_be_closed(change)?;
            // Recorded a moment ago by a clock that is a little ahead.
            impact.start_time = impact.start_time.min(change.now);
            insert(change, PartKind::Impact, impact.id, &impact).await?;
            let summary = format!("Impact: {}", line(&impact.description));
            Ok(Entry::new(EntryKind::ImpactChanged, summary).with(json!({
                "impact_id": impact.id, "type": impact.kind, "severity": impact.severity,
            })))
        }
        Addition::Communication(mut communication) => {
            communication.create_time = change.now;
            change.subject().clone_into(&mut communication.created_by);
            insert(
                change,
                PartKind::Communication,
                communication.id,
                &communication,
            )
            .await?;
            let recipients = communication.recipients.len();
            let summary = format!(
                "{} to {recipients} recipient(s): {}",
                communication.channel,
                line(&communication.subject)
            );
            let entry = Entry::new(EntryKind::CommunicationRecorded, summary);
            Ok(entry.with(json!({"communication_id": communication.id})))
        }
        Addition::Reply(id, reply) => add_reply(change, id, reply).await,
    }
}

/// Fills in what only the server knows of an action.
fn completed(change: &Change, mut action: Action) -> Action {
    action.create_time = change.now;
    action.finish_time = (action.state != ActionState::Planned).then_some(change.now);
    change.subject().clone_into(&mut action.created_by);
    if action.owner.is_empty() {
        change.subject().clone_into(&mut action.owner);
    }
    action
}

async fn add_reply(change: &mut Change, id: PartId, mut reply: Reply) -> Result<Entry, Error> {
    let (tenant, incident) = (change.incident.tenant_id, change.incident.id);
    let held = parts::list(&mut change.tx, tenant, incident).await?;
    let found = held
        .communications
        .iter()
        .find(|communication| communication.id == id);
    let mut communication = found.cloned().ok_or_else(|| Error::NotFound {
        kind: "communication",
        id: id.to_string(),
    })?;
    reply.create_time = change.now;
    let summary = format!(
        "{} answered: {}",
        line(&reply.responder),
        line(&reply.message)
    );
    check_size(
        incident,
        &held,
        communication.replies.len(),
        "replies",
        &reply,
    )?;
    communication.replies.push(reply);
    parts::update(&mut change.tx, tenant, id, &communication).await?;
    let entry = Entry::new(EntryKind::CommunicationRecorded, summary);
    Ok(entry.with(json!({"communication_id": id})))
}

async fn insert(
    change: &mut Change,
    kind: PartKind,
    id: PartId,
    body: &impl Serialize,
) -> Result<(), Error> {
    let (tenant, incident) = (change.incident.tenant_id, change.incident.id);
    let held = parts::list(&mut change.tx, tenant, incident).await?;
    let (count, what) = match kind {
        PartKind::Impact => (held.impacts.len(), "impacts"),
        PartKind::Action => (held.actions.len(), "actions"),
        PartKind::Communication => (held.communications.len(), "communications"),
    };
    check_size(incident, &held, count, what, body)?;
    Ok(parts::insert(&mut change.tx, tenant, incident, (id, kind), body).await?)
}

/// Parts are few and small enough that one answer holds them all.
fn check_size(
    incident: IncidentId,
    held: &Parts,
    count: usize,
    what: &'static str,
    body: &impl Serialize,
) -> Result<(), Error> {
    let limit = |what, limit| {
        let subject = format!("incident/{incident}");
        Err(Error::Limit {
            subject,
            what,
            limit: i64::try_from(limit).unwrap_or(i64::MAX),
        })
    };
    if count >= MOST_PARTS {
        return limit(what, MOST_PARTS);
    }
    let size = serde_json::to_vec(body).map_or(0, |bytes| bytes.len());
    if held.bytes() + size > MOST_BYTES {
        return limit("bytes of impacts, actions and communications", MOST_BYTES);
    }
    Ok(())
}

pub(super) fn must_not_be_closed(change: &Change) -> Result<(), Error> {
    let Change { incident, .. } = change;
    if incident.status != Status::Closed {
        return Ok(());
    }
    let refusal = Refusal::Transition {
        from: Status::Closed,
        to: Status::Closed,
    };
    Err(Error::Refused {
        incident: incident.id,
        refusal,
    })
}

/// The beginning of a text, as one line of a timeline.
pub(super) fn line(text: &str) -> String {
    cut(text.lines().next().unwrap_or_default(), 200)
}
