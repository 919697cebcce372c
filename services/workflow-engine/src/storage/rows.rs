//! Rows as PostgreSQL has them, and the way to the domain: the one place that can find a row corrupt.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use reeve_ids::{ApprovalId, BudgetId, ExecutionId, ProjectId, TaskId, TenantId, Uuid, WorkflowId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;

use crate::domain::approval::Approval;
use crate::domain::canonical::Digest;
use crate::domain::definition::Definition;
use crate::domain::event::{Actor, ActorKind, TimerKind};
use crate::domain::failure::Failure;
use crate::domain::history::{Entry, EntryKind};
use crate::domain::run::{Run, StepRun, Stopping};
use crate::domain::state::{ApprovalState, ExecutionState, Priority, StepState};

/// A row holds what no version of this service writes.
#[derive(Debug, thiserror::Error)]
#[error("corrupt row in {table}: {column} of {id} is {value:?}")]
pub struct Corrupt {
    table: &'static str,
    column: &'static str,
    id: Uuid,
    value: String,
}

fn word<T>(
    table: &'static str,
    column: &'static str,
    id: Uuid,
    value: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, Corrupt> {
    parse(value).ok_or_else(|| Corrupt {
        table,
        column,
        id,
        value: value.to_owned(),
    })
}

fn digest(
    table: &'static str,
    column: &'static str,
    id: Uuid,
    bytes: &[u8],
) -> Result<Digest, Corrupt> {
    bytes.try_into().map_err(|_| Corrupt {
        table,
        column,
        id,
        value: format!("{} bytes", bytes.len()),
    })
}

/// A row of `workflow_version` with its workflow's name.
#[derive(Debug, FromRow)]
pub struct WorkflowRow {
    workflow_id: Uuid,
    version: i32,
    latest_version: i32,
    digest: Vec<u8>,
    definition: Json<Definition>,
    created_by: String,
    first_time: DateTime<Utc>,
    create_time: DateTime<Utc>,
}

/// A published version.
#[derive(Debug, Clone)]
pub struct Published {
    /// The workflow.
    pub id: WorkflowId,
    /// Its version.
    pub version: i32,
    /// Whether it is the newest.
    pub is_latest: bool,
    /// Digest of the definition.
    pub digest: Digest,
    /// What was published.
    pub definition: Definition,
    /// By whom.
    pub created_by: String,
    /// When version 1 was.
    pub first_time: DateTime<Utc>,
    /// When this version was.
    pub create_time: DateTime<Utc>,
}

impl TryFrom<WorkflowRow> for Published {
    type Error = Corrupt;

    fn try_from(row: WorkflowRow) -> Result<Self, Corrupt> {
        Ok(Self {
            id: WorkflowId::from_uuid(row.workflow_id),
            version: row.version,
            is_latest: row.version == row.latest_version,
            digest: digest("workflow_version", "digest", row.workflow_id, &row.digest)?,
            definition: row.definition.0,
            created_by: row.created_by,
            first_time: row.first_time,
            create_time: row.create_time,
        })
    }
}

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

/// A row of `history`.
#[derive(Debug, FromRow)]
pub struct HistoryRow {
    execution_id: Uuid,
    sequence: i64,
    r#type: String,
    step_id: String,
    attempt: i32,
    actor_kind: String,
    actor_subject: String,
    actor_name: String,
    data: Value,
    occur_time: DateTime<Utc>,
    previous_hash: Vec<u8>,
    hash: Vec<u8>,
}

/// An entry in its place in the chain.
#[derive(Debug, Clone)]
pub struct Chained {
    /// The execution.
    pub execution_id: ExecutionId,
    /// Place.
    pub sequence: i64,
    /// What happened.
    pub entry: Entry,
    /// Hash of the entry before.
    pub previous_hash: Digest,
    /// Its own hash.
    pub hash: Digest,
}

impl TryFrom<HistoryRow> for Chained {
    type Error = Corrupt;

    fn try_from(row: HistoryRow) -> Result<Self, Corrupt> {
        const TABLE: &str = "history";
        let id = row.execution_id;
        Ok(Self {
            execution_id: ExecutionId::from_uuid(id),
            sequence: row.sequence,
            entry: Entry {
                kind: word(TABLE, "type", id, &row.r#type, EntryKind::parse)?,
                step_id: row.step_id,
                attempt: u32::try_from(row.attempt).unwrap_or(0),
                actor: Actor {
                    kind: word(TABLE, "actor_kind", id, &row.actor_kind, ActorKind::parse)?,
                    subject: row.actor_subject,
                    display_name: row.actor_name,
                },
                time: row.occur_time,
                data: row.data,
            },
            previous_hash: digest(TABLE, "previous_hash", id, &row.previous_hash)?,
            hash: digest(TABLE, "hash", id, &row.hash)?,
        })
    }
}

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
    /// The task's order, or the reason.
    pub body: Value,
    /// How often it was tried, this time included.
    pub tries: i32,
    /// The attempt's task; nothing before task-queue took it.
    pub task_id: Option<Uuid>,
    /// Whether the step still wants this attempt.
    pub is_wanted: bool,
}

impl CommandRow {
    /// The attempt's task.
    pub fn task(&self) -> Option<TaskId> {
        self.task_id.map(TaskId::from_uuid)
    }
}
