//! Other services' logs: their events in the domain's terms.

use reeve_contracts::event::v1::{ActorKind as Kind, Event};
use serde_json::Value as Json;

use crate::domain::logged::{Actor, ActorKind, Fact};

/// An event in the domain's terms; nothing for one without a tenant, an id or a time, which no
/// service writes.
pub fn fact(source: &str, event: &Event) -> Option<Fact> {
    let actor = event.actor.clone().unwrap_or_default();
    let kind = match actor.kind() {
        Kind::User => ActorKind::User,
        Kind::Agent => ActorKind::Agent,
        Kind::Service | Kind::Unspecified => ActorKind::Service,
    };
    let data = event
        .data
        .clone()
        .map_or(Json::Null, reeve_wellknown::json_from_struct);
    let occur_time = reeve_wellknown::datetime(event.occur_time.as_ref()?)?;
    Some(Fact {
        id: event.id.parse().ok()?,
        source: source.to_owned(),
        sequence: event.sequence,
        tenant_id: event.tenant_id.parse().ok()?,
        kind: clean(&event.r#type),
        resource_type: clean(&event.resource_type),
        resource_id: clean(&event.resource_id),
        occur_time: reeve_clock::to_microseconds(occur_time),
        actor: Actor {
            kind,
            subject: clean(&actor.subject),
            display_name: clean(&actor.display_name),
        },
        request_id: clean(&event.request_id),
        traceparent: clean(&event.traceparent),
        data: clean_json(data),
    })
}

/// PostgreSQL's texts hold no NUL.
fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn clean_json(json: Json) -> Json {
    match json {
        Json::String(text) if text.contains('\0') => Json::String(clean(&text)),
        Json::Array(items) => Json::Array(items.into_iter().map(clean_json).collect()),
        Json::Object(map) => {
            let members = map
                .into_iter()
                .map(|(key, value)| (clean(&key), clean_json(value)));
            Json::Object(members.collect())
        }
        other => other,
    }
}
