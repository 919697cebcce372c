//! Rows of runs as they are read, and what all rows share: numbers at rest, and what calls one corrupt.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use reeve_ids::{TaskId, TenantId, Uuid};
use sqlx::FromRow;
use sqlx::types::Json as Stored;

use super::Details;
use crate::Error;
use crate::domain::{AttemptEnd, GateKind, LeaseToken, Origin, Priority, Standing, State, Usage};

/// What a task's events say of its spec.
#[derive(Debug, Clone, FromRow)]
pub struct Facts {
    #[sqlx(rename = "type")]
    pub kind: String,
    pub queue: String,
    pub project_id: Option<Uuid>,
    pub origin_kind: Option<String>,
    pub origin_resource_id: Option<String>,
    pub labels: Stored<BTreeMap<String, String>>,
    pub details: Stored<Details>,
}

/// A run that is locked for a decision.
#[derive(Debug, FromRow)]
pub struct LockedRow {
    pub task_id: Uuid,
    pub tenant_id: Uuid,
    pub state: i16,
    pub version: i32,
    pub attempt: i32,
    pub fence: i64,
    pub failures: i32,
    pub lost_leases: i32,
    pub blocked_by: i32,
    pub admission: i16,
    pub hold_id: Option<Uuid>,
    pub order_score: i64,
    pub agent_id: Option<Uuid>,
    pub assign_time: Option<DateTime<Utc>>,
    pub start_time: Option<DateTime<Utc>>,
    pub lease_until: Option<DateTime<Utc>>,
    pub start_deadline: Option<DateTime<Utc>>,
    pub close_deadline: Option<DateTime<Utc>>,
    pub cancel_requested: bool,
    pub cancel_time: Option<DateTime<Utc>>,
    pub cancel_reason: Option<String>,
    pub rule_failures: Vec<i32>,
    pub rejected_by: Vec<Uuid>,
    /// Where it failed, if it is to be kept away from there.
    pub failed_at: Vec<Uuid>,
    /// The kind of its open gate; 0 for none.
    pub gate: i16,
    /// How many gates it ever had.
    pub gates: i16,
    /// The delegation under which its agent has it, or is to have it.
    pub delegation_id: Option<Uuid>,
    /// Whether its agent has not fetched it yet.
    pub offered: bool,
    /// Links of its chain since it was created or redriven.
    pub delegations: i16,
    pub priority: i16,
    #[sqlx(flatten)]
    pub place: PlaceRow,
    #[sqlx(flatten)]
    pub facts: Facts,
}

/// A task that was just completed.
#[derive(Debug, FromRow)]
pub struct CompletedRow {
    pub task_id: Uuid,
    pub tenant_id: Uuid,
    pub attempt: i32,
    pub fence: i64,
    pub agent_id: Option<Uuid>,
    pub hold_id: Option<Uuid>,
    pub assign_time: Option<DateTime<Utc>>,
    pub start_time: Option<DateTime<Utc>>,
    pub usage: Option<Stored<Vec<Usage>>>,
    #[sqlx(flatten)]
    pub place: PlaceRow,
    #[sqlx(flatten)]
    pub facts: Facts,
}

/// A task that was accepted or started, or was so already.
#[derive(Debug, FromRow)]
pub struct AdvancedRow {
    pub task_id: Uuid,
    pub tenant_id: Uuid,
    pub fence: i64,
    pub state_before: i16,
    pub target: i16,
    pub attempt: i32,
    pub agent_id: Option<Uuid>,
    pub hold_id: Option<Uuid>,
    pub cancel_requested: bool,
    #[sqlx(flatten)]
    pub facts: Facts,
}

/// Where a task waits when it is ready.
#[derive(Debug, Clone, FromRow)]
pub struct PlaceRow {
    pub tenant_id: Uuid,
    pub queue: String,
    pub capability: String,
    /// What more an agent must meet; empty for nothing.
    pub demand: String,
    /// The line within the lane, as its mark.
    pub line: String,
    pub line_weight: f32,
}

/// A task that may run, with its place.
#[derive(Debug, Clone, FromRow)]
pub struct ReadyRow {
    pub task_id: Uuid,
    pub order_score: i64,
    #[sqlx(flatten)]
    pub place: PlaceRow,
}

/// A task that was popped for an agent and is not for it, or not yet.
#[derive(Debug, Clone, FromRow)]
pub struct PassedRow {
    #[sqlx(flatten)]
    pub ready: ReadyRow,
    pub ready_time: DateTime<Utc>,
    pub rejected_by: Vec<Uuid>,
    pub failed_at: Vec<Uuid>,
    /// Whether a brake holds it.
    pub braked: bool,
    /// Whether a limit may choose it.
    pub limited: bool,
}

/// How the attempt that a token names ended.
#[derive(Debug, Clone, FromRow)]
pub struct EndedRow {
    pub task_id: Uuid,
    pub tenant_id: Uuid,
    pub fence: i64,
    pub attempt_end: Option<i16>,
    pub state_after: i16,
    pub ready_after: Option<DateTime<Utc>>,
    /// The gate that it ended with.
    pub gate_id: Option<Uuid>,
}

pub(super) fn corrupt(task_id: Uuid, what: &str, value: impl std::fmt::Debug) -> Error {
    Error::Corrupt {
        task_id: TaskId::from_uuid(task_id),
        what: format!("{what} {value:?}"),
    }
}

/// A state at rest.
///
/// # Errors
/// When the number is none.
pub fn state(task_id: Uuid, number: i16) -> Result<State, Error> {
    State::from_number(number).ok_or_else(|| corrupt(task_id, "state", number))
}

/// A priority at rest.
///
/// # Errors
/// When the number is none.
pub fn priority(task_id: Uuid, number: i16) -> Result<Priority, Error> {
    Priority::from_number(number).ok_or_else(|| corrupt(task_id, "priority", number))
}

/// The kind of an open gate at rest; 0 is none.
///
/// # Errors
/// When the number is none.
pub fn gate(task_id: Uuid, number: i16) -> Result<Option<GateKind>, Error> {
    if number == 0 {
        return Ok(None);
    }
    let kind = GateKind::from_number(number).ok_or_else(|| corrupt(task_id, "gate", number))?;
    Ok(Some(kind))
}

/// The end of an attempt at rest.
///
/// # Errors
/// When the number is none.
pub fn attempt_end(task_id: Uuid, number: i16) -> Result<AttemptEnd, Error> {
    AttemptEnd::from_number(number).ok_or_else(|| corrupt(task_id, "attempt_end", number))
}

impl LockedRow {
    /// The task with its owner.
    pub fn id(&self) -> (TenantId, TaskId) {
        (
            TenantId::from_uuid(self.tenant_id),
            TaskId::from_uuid(self.task_id),
        )
    }

    /// Whether it waits, or is only offered to its agent: nobody has begun, and nobody is to let go.
    pub fn has_no_holder(&self) -> bool {
        self.lease_until.is_none() || self.offered
    }

    /// Where it stands, for the domain to decide.
    ///
    /// # Errors
    /// When the row is corrupt.
    pub fn standing(&self) -> Result<Standing, Error> {
        Ok(Standing {
            state: state(self.task_id, self.state)?,
            failures: self.failures,
            by_rule: self.rule_failures.clone(),
            lost_leases: self.lost_leases,
            cancel_requested: self.cancel_requested,
            offered: self.offered,
            retry: self.facts.details.retry(),
            effect: self.facts.details.effect(),
            gate: gate(self.task_id, self.gate)?,
        })
    }
}

impl EndedRow {
    /// Whether the attempt is that of the token.
    pub fn is_of(&self, tenant: TenantId, token: LeaseToken) -> bool {
        self.task_id == token.task_id.uuid()
            && self.tenant_id == tenant.uuid()
            && self.fence == token.fence
    }
}

impl Facts {
    /// What caused the task.
    pub fn origin(&self) -> Option<Origin> {
        Some(Origin {
            kind: self.origin_kind.clone()?,
            resource_id: self.origin_resource_id.clone().unwrap_or_default(),
            step_path: self.details.step_path.clone(),
            attempt: self.details.origin_attempt,
        })
    }
}
