//! Executions, approvals and history on the wire.

use chrono::{DateTime, Utc};
use prost::Message as _;
use prost_types::Timestamp;
use reeve_contracts::event::v1 as event;
use reeve_contracts::workflow::v1 as wire;
use reeve_runtime::answer::ANSWER_BYTES;
use serde_json::{Value, json};

use super::render_definition::step_type;
use crate::domain::approval::Approval;
use crate::domain::canonical::{Digest, hex};
use crate::domain::diagnose::{Reason, Wait};
use crate::domain::event::ActorKind;
use crate::domain::failure::Failure;
use crate::domain::plan::Plan;
use crate::domain::run::Run;
use crate::domain::state::{ApprovalState, ExecutionState, Priority, StepState};
use crate::operations::engine::Planned;
use crate::operations::read::{Diagnosis, Seen};
use crate::storage::rows::{Chained, Listed, Stored};

/// An execution.
pub fn execution(stored: Stored, planned: &Planned) -> wire::Execution {
    let awaits_people = stored.run.awaits_people(&planned.plan);
    with(stored, &planned.published.digest, awaits_people)
}

/// An execution of a list.
pub fn listed(listed: &Listed) -> wire::Execution {
    let stored = listed.stored.clone();
    with(stored, &listed.workflow_digest, listed.awaits_people)
}

fn with(stored: Stored, digest: &Digest, awaits_people: bool) -> wire::Execution {
    let Stored {
        run,
        workflow_name,
        tip,
        ..
    } = stored;
    wire::Execution {
        id: run.id.to_string(),
        workflow_id: run.workflow_id.to_string(),
        workflow_name,
        workflow_version: run.version,
        workflow_digest: hex(digest),
        state: execution_state(run.state).into(),
        phase: phase(&run, awaits_people).into(),
        input: fields(Some(run.input)),
        context: fields(Some(run.context)),
        output: fields(run.output),
        error: run.error.map(failure),
        initiated_by: run.initiated_by,
        labels: run.labels.into_iter().collect(),
        project_id: run.project_id.map(|id| id.to_string()).unwrap_or_default(),
        budget_id: run.budget_id.map(|id| id.to_string()).unwrap_or_default(),
        priority: priority(run.priority).into(),
        create_time: time(Some(run.create_time)),
        start_time: time(run.start_time),
        end_time: time(run.end_time),
        update_time: time(Some(run.update_time)),
        deadline_time: time(run.deadline_time),
        last_sequence: tip.sequence,
        etag: tip.sequence.to_string(),
    }
}

/// An execution and its progress.
pub fn seen(seen: Seen) -> wire::GetExecutionResponse {
    let execution = execution(seen.stored.clone(), &seen.planned);
    let room = ANSWER_BYTES.saturating_sub(execution.encoded_len());
    let status = status(&seen, room);
    wire::GetExecutionResponse {
        execution: Some(execution),
        status: Some(status),
    }
}

fn status(seen: &Seen, room: usize) -> wire::ExecutionStatus {
    let run = &seen.stored.run;
    let plan = &seen.planned.plan;
    let ids = plan
        .steps()
        .iter()
        .map(|step| step.id.clone())
        .zip(&run.steps);
    let current =
        ids.filter(|(_, step)| !step.state.is_final() && step.state != StepState::Pending);
    wire::ExecutionStatus {
        execution_id: run.id.to_string(),
        workflow_id: run.workflow_id.to_string(),
        state: execution_state(run.state).into(),
        progress: int(run.progress()),
        current_steps: current.map(|(id, _)| id).collect(),
        completed_steps: int(run.count(StepState::is_final)),
        total_steps: int(run.steps.len()),
        start_time: time(run.start_time),
        update_time: time(Some(run.update_time)),
        estimated_end_time: time(seen.estimated_end),
        metrics: fields(Some(metrics(run, plan, seen.now))),
        counts: Some(counts(run)),
        steps: steps(seen, room),
    }
}

fn metrics(run: &Run, plan: &Plan, now: DateTime<Utc>) -> Value {
    let attempts: u32 = run.steps.iter().map(|step| step.attempt).sum();
    let retries: u32 = run
        .steps
        .iter()
        .map(|step| step.attempt.saturating_sub(1))
        .sum();
    let seconds = |from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>| {
        from.map_or(0.0, |from| (to.unwrap_or(now) - from).as_seconds_f64())
    };
    let asked = plan.steps().iter().zip(&run.steps);
    let asked = asked.filter(|(_, step)| step.approval_id.is_some());
    let people: f64 = asked
        .map(|(_, step)| seconds(step.start_time, step.end_time))
        .sum();
    json!({
        "attempts": attempts,
        "retries": retries,
        "elapsed_seconds": seconds(run.start_time, run.end_time),
        "waiting_for_people_seconds": people,
    })
}

fn counts(run: &Run) -> wire::StepCounts {
    let count = |wanted: StepState| int(run.count(|state| state == wanted));
    wire::StepCounts {
        pending: count(StepState::Pending),
        active: int(run.count(StepState::is_in_flight)),
        waiting_retry: count(StepState::WaitingRetry),
        waiting_approval: count(StepState::WaitingApproval),
        completed: count(StepState::Completed),
        failed: count(StepState::Failed),
        skipped: count(StepState::Skipped),
        cancelled: count(StepState::Cancelled),
    }
}

/// Every step; with the outputs that were read, as long as they fit into the answer.
fn steps(seen: &Seen, mut room: usize) -> Vec<wire::StepStatus> {
    let mut rendered = Vec::new();
    for (index, run) in seen.stored.run.steps.iter().enumerate() {
        let mut status = step(seen, index);
        match room.checked_sub(status.encoded_len()) {
            Some(left) => room = left,
            None => status.output = None,
        }
        let has_output = run.state == StepState::Completed && seen.wanted.contains(&index);
        // An empty output is left out without being omitted.
        let is_empty = run.output.as_ref().is_some_and(|it| *it == json!({}));
        status.output_omitted = has_output && status.output.is_none() && !is_empty;
        rendered.push(status);
    }
    rendered
}

fn step(seen: &Seen, index: usize) -> wire::StepStatus {
    let defined = &seen.planned.plan.steps()[index];
    let run = &seen.stored.run.steps[index];
    let task = seen
        .tasks
        .get(&defined.id)
        .map(|(task, _)| task.to_string());
    wire::StepStatus {
        step_id: defined.id.clone(),
        name: defined.name.clone(),
        r#type: step_type(defined.kind).into(),
        state: step_state(run.state).into(),
        attempt: i32::try_from(run.attempt).unwrap_or(i32::MAX),
        max_attempts: i32::try_from(defined.max_attempts()).unwrap_or(i32::MAX),
        task_id: task.unwrap_or_default(),
        agent_id: run.agent_id.clone(),
        approval_id: run.approval_id.map(|id| id.to_string()).unwrap_or_default(),
        error: run
            .error
            .clone()
            .map(|error| failure(error.of(&defined.id))),
        note: run.note.clone(),
        output: fields(run.output.clone()),
        output_omitted: false,
        start_time: time(run.start_time),
        end_time: time(run.end_time),
        retry_time: time(run.retry_time),
    }
}

/// An approval.
pub fn approval(approval: &Approval) -> wire::Approval {
    let approval = approval.clone();
    wire::Approval {
        id: approval.id.to_string(),
        execution_id: approval.execution_id.to_string(),
        workflow_name: approval.workflow_name,
        step_id: approval.step_id,
        state: approval_state(approval.state).into(),
        title: approval.title,
        description: approval.description,
        subject: approval.subject.map(reeve_wellknown::value_from_json),
        subject_digest: approval.digest,
        producers: approval.producers,
        initiated_by: approval.initiated_by,
        forbid_initiator: approval.forbid_initiator,
        allow_agents: approval.allow_agents,
        decided_by: approval.decided_by,
        decided_by_name: approval.decided_by_name,
        comment: approval.comment,
        create_time: time(Some(approval.create_time)),
        decide_time: time(approval.decide_time),
        expire_time: time(Some(approval.expire_time)),
    }
}

/// An entry of a history.
pub fn history_event(chained: &Chained) -> wire::HistoryEvent {
    let Chained {
        execution_id,
        sequence,
        entry,
        previous_hash,
        hash,
    } = chained.clone();
    let kind = match entry.actor.kind {
        ActorKind::User => event::ActorKind::User,
        ActorKind::Agent => event::ActorKind::Agent,
        ActorKind::Service => event::ActorKind::Service,
    };
    wire::HistoryEvent {
        execution_id: execution_id.to_string(),
        sequence,
        r#type: entry.kind.as_str().to_owned(),
        step_id: entry.step_id,
        attempt: i32::try_from(entry.attempt).unwrap_or(i32::MAX),
        actor: Some(event::Actor {
            kind: kind.into(),
            subject: entry.actor.subject,
            display_name: entry.actor.display_name,
        }),
        occur_time: time(Some(entry.time)),
        data: fields(Some(entry.data)),
        previous_hash: hex(&previous_hash),
        hash: hex(&hash),
    }
}

/// A diagnosis.
pub fn diagnosis(diagnosis: Diagnosis) -> wire::DiagnoseExecutionResponse {
    wire::DiagnoseExecutionResponse {
        state: execution_state(diagnosis.state).into(),
        summary: diagnosis.summary,
        reasons: diagnosis.reasons.into_iter().map(wait_reason).collect(),
        has_wake_source: !diagnosis.is_asleep && !diagnosis.state.is_final(),
    }
}

fn wait_reason(reason: Reason) -> wire::WaitReason {
    let kind = match reason.wait {
        Wait::Dependencies => wire::WaitKind::Dependencies,
        Wait::Dispatch => wire::WaitKind::Dispatch,
        Wait::Agent => wire::WaitKind::Agent,
        Wait::Result => wire::WaitKind::Result,
        Wait::Retry => wire::WaitKind::Retry,
        Wait::Approval => wire::WaitKind::Approval,
        Wait::Paused => wire::WaitKind::Paused,
        Wait::Cancellation => wire::WaitKind::Cancellation,
        Wait::Nothing => wire::WaitKind::Nothing,
    };
    wire::WaitReason {
        kind: kind.into(),
        step_id: reason.step_id,
        explanation: reason.explanation,
        since_time: time(reason.since),
        until_time: time(reason.until),
    }
}

/// An execution's state.
pub fn execution_state(state: ExecutionState) -> wire::ExecutionState {
    match state {
        ExecutionState::Pending => wire::ExecutionState::Pending,
        ExecutionState::Running => wire::ExecutionState::Running,
        ExecutionState::Paused => wire::ExecutionState::Paused,
        ExecutionState::Completed => wire::ExecutionState::Completed,
        ExecutionState::Failed => wire::ExecutionState::Failed,
        ExecutionState::Cancelled => wire::ExecutionState::Cancelled,
        ExecutionState::Timeout => wire::ExecutionState::Timeout,
    }
}

fn phase(run: &Run, awaits_people: bool) -> wire::ExecutionPhase {
    if run.state.is_final() {
        wire::ExecutionPhase::Unspecified
    } else if run.stopping.is_some() {
        wire::ExecutionPhase::Stopping
    } else if awaits_people {
        wire::ExecutionPhase::AwaitingApproval
    } else {
        wire::ExecutionPhase::Advancing
    }
}

fn step_state(state: StepState) -> wire::StepState {
    match state {
        StepState::Pending => wire::StepState::Pending,
        StepState::Dispatched => wire::StepState::Dispatched,
        StepState::Running => wire::StepState::Running,
        StepState::WaitingRetry => wire::StepState::WaitingRetry,
        StepState::WaitingApproval => wire::StepState::WaitingApproval,
        StepState::Cancelling => wire::StepState::Cancelling,
        StepState::Completed => wire::StepState::Completed,
        StepState::Failed => wire::StepState::Failed,
        StepState::Skipped => wire::StepState::Skipped,
        StepState::Cancelled => wire::StepState::Cancelled,
    }
}

fn approval_state(state: ApprovalState) -> wire::ApprovalState {
    match state {
        ApprovalState::Pending => wire::ApprovalState::Pending,
        ApprovalState::Approved => wire::ApprovalState::Approved,
        ApprovalState::Rejected => wire::ApprovalState::Rejected,
        ApprovalState::Expired => wire::ApprovalState::Expired,
        ApprovalState::Cancelled => wire::ApprovalState::Cancelled,
    }
}

fn priority(priority: Priority) -> wire::ExecutionPriority {
    match priority {
        Priority::Low => wire::ExecutionPriority::Low,
        Priority::Normal => wire::ExecutionPriority::Normal,
        Priority::High => wire::ExecutionPriority::High,
        Priority::Critical => wire::ExecutionPriority::Critical,
    }
}

fn failure(failure: Failure) -> wire::ExecutionError {
    wire::ExecutionError {
        class: failure.class.as_str().to_owned(),
        code: failure.code,
        message: failure.message,
        step_id: failure.step_id,
    }
}

/// An empty object is left out: on the wire both mean nothing was given.
fn fields(json: Option<Value>) -> Option<prost_types::Struct> {
    let fields = reeve_wellknown::struct_from_json(json?)?;
    (!fields.fields.is_empty()).then_some(fields)
}

fn time(time: Option<DateTime<Utc>>) -> Option<Timestamp> {
    time.map(reeve_wellknown::timestamp)
}

fn int(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
