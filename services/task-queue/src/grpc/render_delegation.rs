//! Delegations on the wire.

use reeve_contracts::task::v1 as proto;
use reeve_wellknown::{struct_from_json, timestamp};

use super::render;
use crate::domain::Delegation;

/// A delegation.
pub fn delegation(one: Delegation) -> proto::TaskDelegation {
    proto::TaskDelegation {
        id: one.id.to_string(),
        task_id: one.task_id.to_string(),
        from_agent_id: one.from.to_string(),
        to_agent_id: one.to.to_string(),
        reason: one.reason,
        r#type: i32::from(one.kind.number()),
        metadata: one.metadata.and_then(struct_from_json),
        delegate_time: Some(timestamp(one.time)),
        outcome: i32::from(one.outcome.number()),
        position: one.position,
        attempt: one.attempt,
        actor: Some(render::actor(one.actor)),
        offer_expire_time: Some(timestamp(one.offer_until)),
        outcome_time: one.outcome_time.map(timestamp),
    }
}
