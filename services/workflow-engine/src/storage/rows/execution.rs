//! Executions and their steps.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use reeve_ids::{ApprovalId, BudgetId, ExecutionId, ProjectId, TenantId, Uuid, WorkflowId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;

use super::{Corrupt, digest, word};
use crate::domain::canonical::Digest;
use crate::domain::failure::Failure;
use crate::domain::run::{Run, StepRun, Stopping};
use crate::domain::state::{ExecutionState, Priority, StepState};

/// The JSON of `execution.stopping`.
#[derive(Debug, Serialize, Deserialize)]
pub struct StoppingJson {
    /// The end.
    pub target: ExecutionState,
    /// Why.
    pub error: Option<Failure>,
}

/// A row of `execution`.
#[derive(Debug, FromRow)]
pub struct ExecutionRow {
    id: Uuid,
    tenant_id: Uuid,
    workflow_id: Uuid,
    workflow_version: i32,
    workflow_name: String,
    state: String,
    stopping: Option<Json<StoppingJson>>,
    input: Value,
    context: Value,
    labels: Json<BTreeMap<String, String>>,
    initiated_by: String,
    project_id: Option<Uuid>,
    budget_id: Option<Uuid>,
    priority: String,
    traceparent: String,
    output: Option<Value>,
    error: Option<Json<Failure>>,
    request_digest: Vec<u8>,
    last_sequence: i64,
    last_hash: Vec<u8>,
    create_time: DateTime<Utc>,
    start_time: Option<DateTime<Utc>>,
    end_time: Option<DateTime<Utc>>,
    deadline_time: Option<DateTime<Utc>>,
    update_time: DateTime<Utc>,
}

/// A row of a list of executions.
#[derive(Debug, FromRow)]
pub struct ListedRow {
    #[sqlx(flatten)]
    execution: ExecutionRow,
    workflow_digest: Vec<u8>,
    awaits_people: bool,
}

/// An execution of a list, without steps and payloads.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The execution.
    pub stored: Stored,
    /// Digest of its workflow's version.
    pub workflow_digest: Digest,
    /// Whether everything left waits for a person.
    pub awaits_people: bool,
}

impl TryFrom<ListedRow> for Listed {
    type Error = Corrupt;

    fn try_from(row: ListedRow) -> Result<Self, Corrupt> {
        let id = row.execution.id;
        Ok(Self {
            stored: row.execution.with_steps(Vec::new())?,
            workflow_digest: digest("workflow_version", "digest", id, &row.workflow_digest)?,
            awaits_people: row.awaits_people,
        })
    }
}

/// Where an execution stands, in figures.
#[derive(Debug, FromRow)]
pub struct StandingRow {
    state: String,
    last_sequence: i64,
    steps: i64,
    ended: i64,
}

/// Where an execution stands, in figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its state.
    pub state: ExecutionState,
    /// Sequence of the newest entry of its history.
    pub last_sequence: i64,
    /// Share of steps that ended, 0 to 100.
    pub progress: i64,
}

impl StandingRow {
    /// The figures of one execution.
    ///
    /// # Errors
    /// When the state makes no sense.
    pub fn of(self, id: ExecutionId) -> Result<Standing, Corrupt> {
        let state = word(
            "execution",
            "state",
            id.uuid(),
            &self.state,
            ExecutionState::parse,
        )?;
        Ok(Standing {
            state,
            last_sequence: self.last_sequence,
            progress: self.ended * 100 / self.steps.max(1),
        })
    }
}

/// An execution with what only storage and the contract need.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The execution; its steps are missing where only a list was read.
    pub run: Run,
    /// Name of its workflow.
    pub workflow_name: String,
    /// Digest of the request that started it.
    pub request_digest: Digest,
    /// The newest entry of its history.
    pub tip: Tip,
}

/// End of a history's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// Sequence of the newest entry.
    pub sequence: i64,
    /// Its hash.
    pub hash: Digest,
}

impl ExecutionRow {
    /// The execution with these steps, in their order.
    ///
    /// # Errors
    /// When a word or a digest makes no sense.
    pub fn with_steps(self, steps: Vec<StepRun>) -> Result<Stored, Corrupt> {
        const TABLE: &str = "execution";
        let id = self.id;
        let run = Run {
            id: ExecutionId::from_uuid(id),
            tenant: TenantId::from_uuid(self.tenant_id),
            workflow_id: WorkflowId::from_uuid(self.workflow_id),
            version: self.workflow_version,
            state: word(TABLE, "state", id, &self.state, ExecutionState::parse)?,
            stopping: self.stopping.map(|Json(json)| Stopping {
                target: json.target,
                error: json.error,
            }),
            input: self.input,
            context: self.context,
            labels: self.labels.0,
            initiated_by: self.initiated_by,
            project_id: self.project_id.map(ProjectId::from_uuid),
            budget_id: self.budget_id.map(BudgetId::from_uuid),
            priority: word(TABLE, "priority", id, &self.priority, Priority::parse)?,
            traceparent: self.traceparent,
            output: self.output,
            error: self.error.map(|Json(error)| error),
            create_time: self.create_time,
            start_time: self.start_time,
            end_time: self.end_time,
            deadline_time: self.deadline_time,
            update_time: self.update_time,
            steps,
        };
        Ok(Stored {
            run,
            workflow_name: self.workflow_name,
            request_digest: digest(TABLE, "request_digest", id, &self.request_digest)?,
            tip: Tip {
                sequence: self.last_sequence,
                hash: digest(TABLE, "last_hash", id, &self.last_hash)?,
            },
        })
    }
}

/// A row of `step_run`.
#[derive(Debug, FromRow)]
pub struct StepRow {
    execution_id: Uuid,
    state: String,
    attempt: i32,
    agent_id: String,
    produced_by: Json<Vec<String>>,
    error: Option<Json<Failure>>,
    note: String,
    output: Option<Value>,
    approval_id: Option<Uuid>,
    approved_digest: Option<String>,
    start_time: Option<DateTime<Utc>>,
    end_time: Option<DateTime<Utc>>,
    retry_time: Option<DateTime<Utc>>,
}

impl TryFrom<StepRow> for StepRun {
    type Error = Corrupt;

    fn try_from(row: StepRow) -> Result<Self, Corrupt> {
        Ok(Self {
            state: word(
                "step_run",
                "state",
                row.execution_id,
                &row.state,
                StepState::parse,
            )?,
            attempt: u32::try_from(row.attempt).map_err(|_| Corrupt {
                table: "step_run",
                column: "attempt",
                id: row.execution_id,
                value: row.attempt.to_string(),
            })?,
            agent_id: row.agent_id,
            produced_by: row.produced_by.0,
            error: row.error.map(|Json(error)| error),
            note: row.note,
            output: row.output,
            approval_id: row.approval_id.map(ApprovalId::from_uuid),
            approved_digest: row.approved_digest,
            start_time: row.start_time,
            end_time: row.end_time,
            retry_time: row.retry_time,
        })
    }
}

/// A row of `step_run` as it is written, in the JSON that the statement unpacks.
#[derive(Debug, Serialize)]
pub struct StepJson<'a> {
    /// Id within the workflow.
    pub step_id: &'a str,
    /// Place in the definition.
    pub position: usize,
    /// State.
    pub state: &'static str,
    /// Newest attempt.
    pub attempt: u32,
    /// Agent.
    pub agent_id: &'a str,
    /// Principals that made the output.
    pub produced_by: &'a [String],
    /// Newest failure.
    pub error: Option<&'a Failure>,
    /// Why it was skipped or cancelled.
    pub note: &'a str,
    /// Output.
    pub output: Option<&'a Value>,
    /// Approval.
    pub approval_id: Option<Uuid>,
    /// What was approved.
    pub approved_digest: Option<&'a str>,
    /// First dispatch.
    pub start_time: Option<DateTime<Utc>>,
    /// End.
    pub end_time: Option<DateTime<Utc>>,
    /// Next attempt.
    pub retry_time: Option<DateTime<Utc>>,
}
