//! Decisions that people owe.

use chrono::{DateTime, Utc};
use reeve_ids::{ApprovalId, ExecutionId, Uuid};
use serde_json::Value;
use sqlx::FromRow;

use super::{Corrupt, word};
use crate::domain::approval::Approval;
use crate::domain::state::ApprovalState;

/// A row of `approval` with its execution's columns.
#[derive(Debug, FromRow)]
pub struct ApprovalRow {
    id: Uuid,
    execution_id: Uuid,
    workflow_name: String,
    initiated_by: String,
    step_id: String,
    state: String,
    title: String,
    description: String,
    subject: Option<Value>,
    subject_digest: String,
    producers: Vec<String>,
    forbid_initiator: bool,
    allow_agents: bool,
    decided_by: String,
    decided_by_name: String,
    comment: String,
    create_time: DateTime<Utc>,
    decide_time: Option<DateTime<Utc>>,
    expire_time: DateTime<Utc>,
}

impl TryFrom<ApprovalRow> for Approval {
    type Error = Corrupt;

    fn try_from(row: ApprovalRow) -> Result<Self, Corrupt> {
        Ok(Self {
            id: ApprovalId::from_uuid(row.id),
            execution_id: ExecutionId::from_uuid(row.execution_id),
            workflow_name: row.workflow_name,
            step_id: row.step_id,
            state: word(
                "approval",
                "state",
                row.id,
                &row.state,
                ApprovalState::parse,
            )?,
            title: row.title,
            description: row.description,
            subject: row.subject,
            digest: row.subject_digest,
            producers: row.producers,
            initiated_by: row.initiated_by,
            forbid_initiator: row.forbid_initiator,
            allow_agents: row.allow_agents,
            decided_by: row.decided_by,
            decided_by_name: row.decided_by_name,
            comment: row.comment,
            create_time: row.create_time,
            decide_time: row.decide_time,
            expire_time: row.expire_time,
        })
    }
}
