//! What is yet to happen: timers and commands.

use reeve_ids::{ExecutionId, TaskId, TenantId, Uuid};
use sqlx::FromRow;

use super::{Corrupt, word};
use crate::domain::event::TimerKind;

/// A row of `timer`.
#[derive(Debug, FromRow)]
pub struct TimerRow {
    execution_id: Uuid,
    tenant_id: Uuid,
    step_id: String,
    kind: String,
    attempt: i32,
}

/// A timer whose time has come.
#[derive(Debug, Clone)]
pub struct DueTimer {
    /// The tenant.
    pub tenant: TenantId,
    /// The execution.
    pub execution_id: ExecutionId,
    /// The step; empty for the execution's own.
    pub step_id: String,
    /// What for.
    pub kind: TimerKind,
    /// The attempt that it is about.
    pub attempt: u32,
}

impl TryFrom<TimerRow> for DueTimer {
    type Error = Corrupt;

    fn try_from(row: TimerRow) -> Result<Self, Corrupt> {
        Ok(Self {
            tenant: TenantId::from_uuid(row.tenant_id),
            execution_id: ExecutionId::from_uuid(row.execution_id),
            step_id: row.step_id,
            kind: word(
                "timer",
                "kind",
                row.execution_id,
                &row.kind,
                TimerKind::parse,
            )?,
            attempt: u32::try_from(row.attempt).unwrap_or(0),
        })
    }
}

/// A row of `command`, with the task of its attempt where that is known.
#[derive(Debug, FromRow)]
pub struct CommandRow {
    /// Place in the order.
    pub id: i64,
    /// The tenant.
    pub tenant_id: Uuid,
    /// The execution.
    pub execution_id: Uuid,
    /// The step.
    pub step_id: String,
    /// The attempt.
    pub attempt: i32,
    /// CREATE_TASK or CANCEL_TASK.
    pub kind: String,
    /// The task's order, or the reason, as JSON: one that cannot be read must not keep the others.
    pub body: String,
    /// How often it was tried, this time included.
    pub tries: i32,
    /// The attempt's task; nothing before task-queue took it.
    pub task_id: Option<Uuid>,
    /// Whether the step still wants this attempt.
    pub is_wanted: bool,
}

impl CommandRow {
    /// The tenant.
    pub fn tenant(&self) -> TenantId {
        TenantId::from_uuid(self.tenant_id)
    }

    /// The execution.
    pub fn execution(&self) -> ExecutionId {
        ExecutionId::from_uuid(self.execution_id)
    }

    /// The attempt's task.
    pub fn task(&self) -> Option<TaskId> {
        self.task_id.map(TaskId::from_uuid)
    }
}
