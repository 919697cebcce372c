//! Delegations as they are stored.

use chrono::{DateTime, Utc};
use reeve_ids::{AgentId, DelegationId, TaskId, TenantId, Uuid};
use serde::Deserialize;
use serde_json::Value as Json;
use sqlx::FromRow;

use super::rows::corrupt;
use crate::Error;
use crate::domain::{Actor, Delegation, DelegationOutcome, DelegationType};

/// A row of `task_delegation`; also as JSON, beside the row of its task.
#[derive(Debug, FromRow, Deserialize)]
pub struct StoredDelegation {
    id: Uuid,
    tenant_id: Uuid,
    task_id: Uuid,
    position: i32,
    attempt: i32,
    from_agent_id: Uuid,
    to_agent_id: Uuid,
    #[sqlx(rename = "type")]
    #[serde(rename = "type")]
    kind: i16,
    reason: String,
    metadata: Option<Json>,
    actor_kind: i16,
    actor_subject: String,
    actor_name: String,
    delegate_time: DateTime<Utc>,
    offer_until: DateTime<Utc>,
    outcome: i16,
    outcome_time: Option<DateTime<Utc>>,
}

impl StoredDelegation {
    /// The delegation.
    ///
    /// # Errors
    /// When the row is corrupt.
    pub fn into_delegation(self) -> Result<Delegation, Error> {
        let kind = DelegationType::from_number(self.kind)
            .ok_or_else(|| corrupt(self.task_id, "delegation type", self.kind))?;
        let outcome = DelegationOutcome::from_number(self.outcome)
            .ok_or_else(|| corrupt(self.task_id, "delegation outcome", self.outcome))?;
        Ok(Delegation {
            id: DelegationId::from_uuid(self.id),
            tenant_id: TenantId::from_uuid(self.tenant_id),
            task_id: TaskId::from_uuid(self.task_id),
            position: self.position,
            attempt: self.attempt,
            from: AgentId::from_uuid(self.from_agent_id),
            to: AgentId::from_uuid(self.to_agent_id),
            kind,
            reason: self.reason,
            metadata: self.metadata,
            actor: Actor {
                kind: self.actor_kind,
                subject: self.actor_subject,
                display_name: self.actor_name,
            },
            time: self.delegate_time,
            offer_until: self.offer_until,
            outcome,
            outcome_time: self.outcome_time,
        })
    }
}
