//! What this service tells the others. The etag in an event of an agent is the agent's right after
//! the change, so that a reader can tell whether it knows that version already.

use chrono::{DateTime, Utc};
use reeve_events::{Actor, NewEvent};
use reeve_ids::TenantId;
use serde_json::json;

use crate::domain::agent::{Agent, Transition};
use crate::domain::api_key::{ApiKey, Tenant};
use crate::domain::brake::Cause;

fn agent_event(agent: &Agent, actor: &Actor, now: DateTime<Utc>, kind: &'static str) -> NewEvent {
    NewEvent::new(
        agent.tenant_id,
        actor.clone(),
        now,
        kind,
        ("agent", agent.id),
    )
}

pub fn registered(agent: &Agent, actor: &Actor, now: DateTime<Utc>, is_new: bool) -> NewEvent {
    let capabilities: Vec<_> = agent
        .spec
        .capabilities
        .iter()
        .map(|capability| &capability.name)
        .collect();
    agent_event(agent, actor, now, "agent.registered").with(json!({
        "name": agent.name,
        "type": agent.spec.kind,
        "model_id": agent.spec.model_id,
        "capabilities": capabilities,
        "max_concurrent_tasks": agent.spec.max_concurrent_tasks,
        "epoch": agent.epoch.to_string(),
        "new": is_new,
        "etag": agent.etag(),
    }))
}

pub fn updated(agent: &Agent, actor: &Actor, now: DateTime<Utc>, fields: &[&str]) -> NewEvent {
    agent_event(agent, actor, now, "agent.updated").with(json!({
        "name": agent.name,
        "fields": fields,
        "etag": agent.etag(),
    }))
}

pub fn transitioned(
    agent: &Agent,
    actor: &Actor,
    now: DateTime<Utc>,
    made: &Transition,
) -> NewEvent {
    agent_event(agent, actor, now, "agent.transitioned").with(json!({
        "name": agent.name,
        "from": made.from.as_str(),
        "to": made.to.as_str(),
        "reason": made.reason,
        "epoch": agent.epoch.to_string(),
        "etag": agent.etag(),
    }))
}

pub fn heartbeat_lost(
    agent: &Agent,
    actor: &Actor,
    now: DateTime<Utc>,
    made: &Transition,
    last_heartbeat_time: Option<DateTime<Utc>>,
) -> NewEvent {
    agent_event(agent, actor, now, "agent.heartbeat_lost").with(json!({
        "name": agent.name,
        "from": made.from.as_str(),
        "to": made.to.as_str(),
        "epoch": agent.epoch.to_string(),
        "last_heartbeat_time": last_heartbeat_time.map(|time| time.to_rfc3339()),
        "etag": agent.etag(),
    }))
}

pub fn deleted(agent: &Agent, actor: &Actor, now: DateTime<Utc>) -> NewEvent {
    agent_event(agent, actor, now, "agent.deleted").with(json!({
        "name": agent.name,
        "etag": agent.etag(),
    }))
}

pub fn expiry_suspended(
    tenant: TenantId,
    actor: &Actor,
    now: DateTime<Utc>,
    cause: Cause,
    until: DateTime<Utc>,
) -> NewEvent {
    NewEvent::new(
        tenant,
        actor.clone(),
        now,
        "fleet.expiry_suspended",
        ("fleet", tenant),
    )
    .with(json!({ "cause": cause.as_str(), "until": until.to_rfc3339() }))
}

pub fn tenant_created(tenant: &Tenant, actor: &Actor, now: DateTime<Utc>) -> NewEvent {
    NewEvent::new(
        tenant.id,
        actor.clone(),
        now,
        "tenant.created",
        ("tenant", tenant.id),
    )
    .with(json!({ "name": tenant.name }))
}

fn api_key_event(key: &ApiKey, actor: &Actor, now: DateTime<Utc>, kind: &'static str) -> NewEvent {
    NewEvent::new(key.tenant_id, actor.clone(), now, kind, ("api_key", key.id))
}

pub fn api_key_created(key: &ApiKey, actor: &Actor, now: DateTime<Utc>) -> NewEvent {
    api_key_event(key, actor, now, "api_key.created").with(json!({
        "name": key.name,
        "kind": key.kind.as_str(),
        "permissions": key.permissions,
        "expire_time": key.expire_time.map(|time| time.to_rfc3339()),
    }))
}

pub fn api_key_revoked(key: &ApiKey, actor: &Actor, now: DateTime<Utc>) -> NewEvent {
    api_key_event(key, actor, now, "api_key.revoked").with(json!({ "name": key.name }))
}
