//! From the domain to messages.

pub mod events;
pub mod incidents;
pub mod parts;
pub mod rules;

use chrono::{DateTime, TimeDelta, Utc};
use reeve_contracts::event::v1 as event;
use serde_json::Value as Json;

use super::words::OnWire;
use crate::domain::logged::Actor;

/// A time.
fn time(time: DateTime<Utc>) -> Option<prost_types::Timestamp> {
    Some(reeve_wellknown::timestamp(time))
}

/// A time that may be unset.
fn maybe(time: Option<DateTime<Utc>>) -> Option<prost_types::Timestamp> {
    time.map(reeve_wellknown::timestamp)
}

/// A duration that may be unset.
fn span(span: Option<TimeDelta>) -> Option<prost_types::Duration> {
    span.map(reeve_wellknown::duration)
}

/// A JSON object; what is none becomes an empty one.
fn object(json: &Json) -> Option<prost_types::Struct> {
    Some(reeve_wellknown::struct_from_json(json.clone()).unwrap_or_default())
}

/// A principal.
fn actor(actor: &Actor) -> Option<event::Actor> {
    Some(event::Actor {
        kind: actor.kind.number(),
        subject: actor.subject.clone(),
        display_name: actor.display_name.clone(),
    })
}
