//! Rows that make a whole task, and its attempts.

use chrono::{DateTime, Utc};
use reeve_ids::{AgentId, HoldId, ProjectId, TaskId, TenantId, Uuid};
use serde_json::Value as Json;
use sqlx::FromRow;
use sqlx::types::Json as Stored;

use super::delegation_rows::StoredDelegation;
use super::rows::{Facts, attempt_end, corrupt, gate, priority, state};
use crate::Error;
use crate::domain::{
    Actor, Admission, Attempt, Children, Discard, Progress, Spec, State, Task, TaskError, Usage,
};

/// A task's spec.
#[derive(Debug, FromRow)]
pub struct SpecRow {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub title: String,
    pub capability: String,
    pub priority: i16,
    pub parameters: Option<Json>,
    pub parent_task_id: Option<Uuid>,
    pub create_time: DateTime<Utc>,
    #[sqlx(flatten)]
    pub facts: Facts,
}

/// Where a task stands, of `task_run` or `task_outcome`.
#[derive(Debug, FromRow)]
pub struct StandRow {
    pub state: i16,
    pub version: i32,
    pub attempt: i32,
    pub fence: i64,
    pub failures: i32,
    pub lost_leases: i32,
    pub gate: i16,
    pub blocked_by: i32,
    pub admission: i16,
    pub hold_id: Option<Uuid>,
    pub ready_time: DateTime<Utc>,
    pub update_time: DateTime<Utc>,
    pub agent_id: Option<Uuid>,
    pub assign_time: Option<DateTime<Utc>>,
    pub start_time: Option<DateTime<Utc>>,
    pub lease_until: Option<DateTime<Utc>>,
    pub cancel_requested: bool,
    pub cancel_reason: Option<String>,
    pub rejected_by: Vec<Uuid>,
}

/// A task that was just leased.
#[derive(Debug, FromRow)]
pub struct GrantRow {
    #[sqlx(flatten)]
    pub spec: SpecRow,
    #[sqlx(flatten)]
    pub stand: StandRow,
    /// How many gates it ever had.
    pub gates: i16,
    pub checkpoint: Option<Json>,
    /// Under which it was fetched, if it was offered.
    #[sqlx(default)]
    pub delegation: Option<Stored<StoredDelegation>>,
}

/// What a task that is over left behind, and its last progress.
#[derive(Debug, FromRow)]
pub struct EndRow {
    pub end_time: Option<DateTime<Utc>>,
    pub attempt_end: Option<i16>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub error_details: Option<Json>,
    pub result: Option<Json>,
    pub message: Option<String>,
    pub usage: Option<Stored<Vec<Usage>>>,
    pub capability_version: Option<String>,
    pub retry_rule: Option<i16>,
    pub percent: Option<f64>,
    pub progress_message: Option<String>,
    pub checkpoint: Option<Json>,
    pub report_time: Option<DateTime<Utc>>,
}

/// A whole task.
#[derive(Debug, FromRow)]
pub struct TaskRow {
    #[sqlx(flatten)]
    pub spec: SpecRow,
    #[sqlx(flatten)]
    pub stand: StandRow,
    #[sqlx(flatten)]
    pub end: EndRow,
    /// Whether a brake holds it.
    pub braked: bool,
    /// Whether it found no room within a limit.
    pub parked: bool,
    #[sqlx(flatten)]
    pub discard: DiscardRow,
    /// The last of its delegations.
    pub delegation: Option<Stored<StoredDelegation>>,
}

/// That a dead letter was discarded, if it was.
#[derive(Debug, FromRow)]
pub struct DiscardRow {
    pub discard_reason: Option<String>,
    pub discard_kind: Option<i16>,
    pub discard_subject: Option<String>,
    pub discard_name: Option<String>,
    pub discard_time: Option<DateTime<Utc>>,
}

/// An attempt that has ended.
#[derive(Debug, FromRow)]
pub struct AttemptRow {
    pub attempt: i32,
    pub agent_id: Option<Uuid>,
    pub attempt_end: i16,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub error_details: Option<Json>,
    pub usage: Option<Stored<Vec<Usage>>>,
    pub assign_time: Option<DateTime<Utc>>,
    pub start_time: Option<DateTime<Utc>>,
    pub end_time: DateTime<Utc>,
    pub retry_rule: Option<i16>,
    pub ready_after: Option<DateTime<Utc>>,
    pub capability_version: Option<String>,
}

impl SpecRow {
    fn into_spec(self) -> Result<Spec, Error> {
        let origin = self.facts.origin();
        let details = &self.facts.details.0;
        let placement = details.placement();
        Ok(Spec {
            placement: placement.map_err(|error| corrupt(self.id, "versions", error))?,
            priority: priority(self.id, self.priority)?,
            retry: details.retry(),
            timeouts: details.timeouts(),
            budget: details.budget(),
            effect: Some(details.effect()),
            description: details.description.clone(),
            depends_on: details.depends_on.clone(),
            dependency_policy: details.dependency_policy(),
            schedule_time: details.schedule_time,
            origin,
            kind: self.facts.kind,
            title: self.title,
            queue: self.facts.queue,
            capability: self.capability,
            demand: details.demand.clone(),
            fairness: details.fairness(),
            concurrency_keys: details.concurrency_keys.clone(),
            parameters: self.parameters,
            project_id: self.facts.project_id.map(ProjectId::from_uuid),
            parent_task_id: self.parent_task_id.map(TaskId::from_uuid),
            labels: self.facts.labels.0,
        })
    }
}

fn assemble(spec: SpecRow, stand: StandRow) -> Result<Task, Error> {
    let id = spec.id;
    let state = state(id, stand.state)?;
    let admission = Admission::from_number(stand.admission)
        .ok_or_else(|| corrupt(id, "admission", stand.admission))?;
    Ok(Task {
        id: TaskId::from_uuid(id),
        tenant_id: TenantId::from_uuid(spec.tenant_id),
        creator: spec.facts.details.creator(),
        traceparent: spec.facts.details.traceparent.clone(),
        create_time: spec.create_time,
        state,
        version: stand.version,
        attempt: stand.attempt,
        failures: stand.failures,
        lost_leases: stand.lost_leases,
        dead: matches!(state, State::Failed | State::Timeout),
        agent_id: stand.agent_id.map(AgentId::from_uuid),
        gate_kind: gate(id, stand.gate)?,
        gates: Vec::new(),
        blocked_by: stand.blocked_by,
        braked: false,
        parked: false,
        admission,
        discard: None,
        delegation: None,
        hold_id: stand.hold_id.map(HoldId::from_uuid),
        cancel_requested: stand.cancel_requested,
        cancel_reason: stand.cancel_reason.unwrap_or_default(),
        update_time: stand.update_time,
        ready_time: stand.ready_time,
        assign_time: stand.assign_time,
        start_time: stand.start_time,
        end_time: None,
        lease_until: stand.lease_until,
        rejected_by: stand
            .rejected_by
            .into_iter()
            .map(AgentId::from_uuid)
            .collect(),
        result: None,
        result_message: String::new(),
        error: None,
        progress: None,
        attempts: Vec::new(),
        artifacts: Vec::new(),
        children: Children::default(),
        spec: spec.into_spec()?,
    })
}

fn error(
    code: Option<String>,
    message: Option<String>,
    details: Option<Json>,
) -> Option<TaskError> {
    code.map(|code| TaskError {
        code,
        message: message.unwrap_or_default(),
        details,
    })
}

impl GrantRow {
    /// The leased task, its fence, whether people answered it, and the checkpoint of an earlier
    /// attempt.
    ///
    /// # Errors
    /// When the row is corrupt.
    pub fn into_parts(self) -> Result<(Task, i64, bool, Option<Json>), Error> {
        let (fence, gates) = (self.stand.fence, self.gates);
        let mut task = assemble(self.spec, self.stand)?;
        let delegation = self.delegation.map(|stored| stored.0.into_delegation());
        task.delegation = delegation.transpose()?;
        Ok((task, fence, gates > 0, self.checkpoint))
    }
}

impl TaskRow {
    /// The task with its last attempt, if that has ended.
    ///
    /// # Errors
    /// When the row is corrupt.
    pub fn into_task(self) -> Result<Task, Error> {
        let (id, end) = (self.spec.id, self.end);
        let mut task = assemble(self.spec, self.stand)?;
        task.braked = self.braked;
        task.parked = self.parked;
        task.discard = self.discard.into_discard();
        task.dead &= task.discard.is_none();
        let delegation = self.delegation.map(|stored| stored.0.into_delegation());
        task.delegation = delegation.transpose()?;
        task.end_time = end.end_time;
        task.error = error(end.error_code, end.error_message, end.error_details);
        task.result = end.result;
        task.result_message = end.message.unwrap_or_default();
        task.progress = end.report_time.map(|report_time| Progress {
            percent: end.percent.unwrap_or_default(),
            message: end.progress_message.unwrap_or_default(),
            checkpoint: end.checkpoint,
            report_time,
        });
        if let (Some(number), Some(end_time)) = (end.attempt_end, end.end_time) {
            task.attempts.push(Attempt {
                attempt: task.attempt,
                agent_id: task.agent_id,
                end: attempt_end(id, number)?,
                error: task.error.clone(),
                usage: end.usage.map(|usage| usage.0).unwrap_or_default(),
                capability_version: end.capability_version.unwrap_or_default(),
                retry_rule: end.retry_rule,
                ready_time: None,
                assign_time: task.assign_time,
                start_time: task.start_time,
                end_time,
            });
        }
        Ok(task)
    }
}

impl DiscardRow {
    fn into_discard(self) -> Option<Discard> {
        Some(Discard {
            time: self.discard_time?,
            reason: self.discard_reason.unwrap_or_default(),
            actor: Actor {
                kind: self.discard_kind.unwrap_or_default(),
                subject: self.discard_subject.unwrap_or_default(),
                display_name: self.discard_name.unwrap_or_default(),
            },
        })
    }
}

impl AttemptRow {
    /// The attempt.
    ///
    /// # Errors
    /// When the row is corrupt.
    pub fn into_attempt(self, task_id: TaskId) -> Result<Attempt, Error> {
        Ok(Attempt {
            attempt: self.attempt,
            agent_id: self.agent_id.map(AgentId::from_uuid),
            end: attempt_end(task_id.uuid(), self.attempt_end)?,
            error: error(self.error_code, self.error_message, self.error_details),
            usage: self.usage.map(|usage| usage.0).unwrap_or_default(),
            capability_version: self.capability_version.unwrap_or_default(),
            retry_rule: self.retry_rule,
            ready_time: self.ready_after,
            assign_time: self.assign_time,
            start_time: self.start_time,
            end_time: self.end_time,
        })
    }
}
