//! A new event and who caused it.

use chrono::{DateTime, Utc};
use prost::Message as _;
use prost_types::Struct;
use reeve_auth::{Caller, PrincipalKind};
use reeve_contracts::event::v1::{self as proto, ActorKind};
use reeve_ids::{EventId, TenantId};
use serde_json::Value as Json;

/// Bytes of an event's facts as they are encoded; the contract says 64 KiB, of which the names of
/// what is left out need a little.
const DATA_BYTES: usize = 60 * 1024;
/// The fact that names what was left out.
const OMITTED: &str = "omitted";

/// Who caused a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    kind: ActorKind,
    subject: String,
    display_name: String,
    request_id: String,
    traceparent: String,
}

impl Actor {
    /// One of Reeve's services by itself, for example a timer of it.
    pub fn service(name: &str) -> Self {
        Self {
            kind: ActorKind::Service,
            subject: format!("service:{name}"),
            display_name: name.to_owned(),
            request_id: String::new(),
            traceparent: String::new(),
        }
    }

    /// Ties the change to a trace, for what a loop does on a traced thing's behalf.
    #[must_use]
    pub fn traced(mut self, traceparent: impl Into<String>) -> Self {
        self.traceparent = traceparent.into();
        self
    }

    /// The principal's stable name.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Sort of principal.
    pub fn kind(&self) -> ActorKind {
        self.kind
    }

    /// The principal's name for people.
    pub fn display_name(&self) -> &str {
        &self.display_name
    }
}

impl From<&Caller> for Actor {
    fn from(caller: &Caller) -> Self {
        Self {
            kind: match caller.principal.kind {
                PrincipalKind::User => ActorKind::User,
                PrincipalKind::Agent => ActorKind::Agent,
                PrincipalKind::Service => ActorKind::Service,
            },
            subject: caller.principal.subject.clone(),
            display_name: caller.principal.display_name.clone(),
            request_id: caller.request_id.clone(),
            traceparent: caller.traceparent.clone().unwrap_or_default(),
        }
    }
}

impl From<&proto::Event> for Actor {
    /// Who caused an event of another service, for the change that follows from it here.
    fn from(event: &proto::Event) -> Self {
        let actor = event.actor.clone().unwrap_or_default();
        Self {
            kind: actor.kind(),
            subject: actor.subject,
            display_name: actor.display_name,
            request_id: event.request_id.clone(),
            traceparent: event.traceparent.clone(),
        }
    }
}

/// A fact about to be written with the change that makes it true.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The tenant that the change belongs to.
    pub tenant_id: TenantId,
    /// What happened, as `<noun>.<past verb>`.
    pub kind: &'static str,
    /// Kind of the resource that changed.
    pub resource_type: &'static str,
    /// Id of the resource that changed.
    pub resource_id: String,
    /// When the change was made.
    pub occur_time: DateTime<Utc>,
    /// Who made it.
    pub actor: Actor,
    /// Facts about the change: a JSON object.
    pub data: Json,
}

impl NewEvent {
    /// An event without data.
    pub fn new(
        tenant_id: TenantId,
        actor: Actor,
        occur_time: DateTime<Utc>,
        kind: &'static str,
        resource: (&'static str, impl ToString),
    ) -> Self {
        Self {
            tenant_id,
            kind,
            resource_type: resource.0,
            resource_id: resource.1.to_string(),
            occur_time,
            actor,
            data: Json::Null,
        }
    }

    /// Adds facts; `data` is a JSON object.
    #[must_use]
    pub fn with(mut self, data: Json) -> Self {
        self.data = data;
        self
    }

    /// The event on the wire, before the relay numbers it.
    pub(crate) fn into_proto(self, source: &str) -> proto::Event {
        proto::Event {
            id: EventId::new().to_string(),
            source: source.to_owned(),
            sequence: 0,
            tenant_id: self.tenant_id.to_string(),
            r#type: self.kind.to_owned(),
            resource_type: self.resource_type.to_owned(),
            resource_id: self.resource_id,
            occur_time: Some(reeve_wellknown::timestamp(self.occur_time)),
            actor: Some(proto::Actor {
                kind: self.actor.kind.into(),
                subject: self.actor.subject,
                display_name: self.actor.display_name,
            }),
            request_id: self.actor.request_id,
            traceparent: self.actor.traceparent,
            data: Some(bounded(
                reeve_wellknown::struct_from_json(self.data).unwrap_or_default(),
            )),
        }
    }
}

/// Facts that fit: the largest ones are left out, and named, until they do. A change must not fail
/// because its event would be too large.
fn bounded(mut data: Struct) -> Struct {
    let mut omitted = Vec::new();
    while data.encoded_len() > DATA_BYTES {
        let largest = data
            .fields
            .iter()
            .max_by_key(|(_, value)| value.encoded_len());
        let Some(name) = largest.map(|(name, _)| name.clone()) else {
            break;
        };
        data.fields.remove(&name);
        omitted.push(Json::from(name));
    }
    if !omitted.is_empty() {
        tracing::warn!(?omitted, "an event's facts are too large");
        let names = reeve_wellknown::struct_from_json(serde_json::json!({OMITTED: omitted}));
        data.fields.extend(names.unwrap_or_default().fields);
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_facts_are_left_out_and_named() {
        let labels = "x".repeat(70_000);
        let event = NewEvent::new(
            TenantId::new(),
            Actor::service("task-queue"),
            Utc::now(),
            "task.failed",
            ("task", "t"),
        );
        let event = event.with(serde_json::json!({"type": "lint", "labels": labels, "dead": true}));
        let data = event.into_proto("task-queue").data.unwrap_or_default();
        assert!(data.encoded_len() < 65_536);
        let names: Vec<_> = data.fields.keys().map(String::as_str).collect();
        assert_eq!(names, ["dead", "omitted", "type"]);
    }
}
