//! From the domain's types to the wire's.

use chrono::{DateTime, TimeDelta, Utc};
use prost::Message as _;
use prost_types::Struct;
use reeve_contracts::event::v1 as event;
use reeve_contracts::task::v1 as proto;
use reeve_contracts::r#type::v1::Money;
use reeve_status::Fault;
use reeve_wellknown::{duration, struct_from_json, timestamp};
use serde_json::Value as Json;

use super::{render_delegation, render_gate, render_placement};
use crate::domain::{
    Actor, Artifact, Attempt, Children, GateState, PendingReason, RetryRule, Spec, State, Task,
    TaskError, Usage, Waits,
};
use crate::lanes::Grant;

/// Reasons of cancellations in one message.
const REASON_BYTES: usize = 1_024 * 1_024;
/// What is said of one failure.
const FAILURE_BYTES: usize = 2_048;
/// What one task takes with its attempts.
const TASK_BYTES: usize = 3_500 * 1_024;

/// A state.
pub fn state(state: State) -> proto::TaskState {
    match state {
        State::Pending => proto::TaskState::Pending,
        State::Assigned => proto::TaskState::Assigned,
        State::Accepted => proto::TaskState::Accepted,
        State::Rejected => proto::TaskState::Rejected,
        State::InProgress => proto::TaskState::InProgress,
        State::Completed => proto::TaskState::Completed,
        State::Failed => proto::TaskState::Failed,
        State::Cancelled => proto::TaskState::Cancelled,
        State::Timeout => proto::TaskState::Timeout,
    }
}

fn reason(reason: PendingReason) -> proto::PendingReason {
    match reason {
        PendingReason::Ready => proto::PendingReason::Ready,
        PendingReason::Scheduled => proto::PendingReason::Scheduled,
        PendingReason::Blocked => proto::PendingReason::Blocked,
        PendingReason::Throttled => proto::PendingReason::Throttled,
        PendingReason::Paused => proto::PendingReason::Paused,
        PendingReason::NoEligibleAgent => proto::PendingReason::NoEligibleAgent,
        PendingReason::OverBudget => proto::PendingReason::OverBudget,
        PendingReason::AwaitingInput => proto::PendingReason::AwaitingInput,
        PendingReason::AwaitingApproval => proto::PendingReason::AwaitingApproval,
        PendingReason::AwaitingBudget => proto::PendingReason::AwaitingBudget,
    }
}

/// Who did something.
pub fn actor(actor: Actor) -> event::Actor {
    event::Actor {
        kind: i32::from(actor.kind),
        subject: actor.subject,
        display_name: actor.display_name,
    }
}

/// A task; `waits_for` unless it does not wait.
pub fn task(task: Task, waits_for: Option<Waits>) -> proto::Task {
    let (waits_for, lacks) = waits_for.map_or((None, None), |waits| {
        (Some(waits.reason), waits.ineligibility)
    });
    let time = |time: Option<DateTime<Utc>>| time.map(timestamp);
    let etag = task.etag();
    proto::Task {
        id: task.id.to_string(),
        tenant_id: task.tenant_id.to_string(),
        spec: Some(spec(task.spec)),
        state: state(task.state).into(),
        pending_reason: waits_for.map_or(0, |why| reason(why).into()),
        result: json(task.result),
        result_message: task.result_message,
        error: task.error.map(error),
        assigned_agent_id: task.agent_id.map(|id| id.to_string()).unwrap_or_default(),
        attempt: task.attempt,
        failure_count: task.failures,
        lost_lease_count: task.lost_leases,
        dead: task.dead,
        progress: task.progress.map(|progress| proto::TaskProgress {
            percent: progress.percent,
            message: progress.message,
            checkpoint: json(progress.checkpoint),
            report_time: Some(timestamp(progress.report_time)),
        }),
        cancel_requested: task.cancel_requested,
        cancel_reason: task.cancel_reason,
        hold_id: task.hold_id.map(|id| id.to_string()).unwrap_or_default(),
        creator: Some(actor(task.creator)),
        traceparent: task.traceparent,
        create_time: Some(timestamp(task.create_time)),
        update_time: Some(timestamp(task.update_time)),
        ready_time: Some(timestamp(task.ready_time)),
        assign_time: time(task.assign_time),
        start_time: time(task.start_time),
        end_time: time(task.end_time),
        lease_expire_time: time(task.lease_until),
        attempts: task.attempts.into_iter().map(attempt).collect(),
        etag,
        gate: None,
        closed_gates: Vec::new(),
        ineligibility: lacks.map(render_placement::ineligibility),
        delegation_count: task.delegation.as_ref().map_or(0, |last| last.position),
        delegation: task.delegation.map(render_delegation::delegation),
        discard: task.discard.map(|discard| proto::TaskDiscard {
            reason: discard.reason,
            actor: Some(actor(discard.actor)),
            discard_time: Some(timestamp(discard.time)),
        }),
        children: children(task.children),
        artifacts: task.artifacts.into_iter().map(artifact).collect(),
    }
}

fn children(children: Children) -> Option<proto::TaskChildren> {
    (children.total() > 0).then(|| proto::TaskChildren {
        state: state(children.state()).into(),
        total: children.total(),
        pending: children.pending,
        running: children.running,
        completed: children.completed,
        failed: children.failed,
        timed_out: children.timed_out,
        cancelled: children.cancelled,
    })
}

fn artifact((artifact, attempt, time): (Artifact, i32, DateTime<Utc>)) -> proto::Artifact {
    proto::Artifact {
        name: artifact.name,
        uri: artifact.uri,
        media_type: artifact.media_type,
        size_bytes: artifact.size_bytes,
        sha256: artifact.sha256,
        attempt,
        create_time: Some(timestamp(time)),
    }
}

/// A task with its open gate and with its attempts and closed gates, as many of the last ones as fit
/// into an answer.
pub fn whole_task(mut task: Task, waits_for: Option<Waits>) -> proto::Task {
    let attempts = std::mem::take(&mut task.attempts);
    let artifacts = std::mem::take(&mut task.artifacts);
    let gates = std::mem::take(&mut task.gates);
    let (open, closed): (Vec<_>, Vec<_>) = gates
        .into_iter()
        .partition(|gate| gate.state == GateState::Open);
    let mut rendered = self::task(task, waits_for);
    rendered.gate = open.into_iter().next().map(render_gate::gate);
    let mut bytes = rendered.encoded_len();
    rendered.attempts = latest(attempts.into_iter().map(attempt), &mut bytes);
    rendered.closed_gates = latest(closed.into_iter().map(render_gate::gate), &mut bytes);
    rendered.artifacts = latest(artifacts.into_iter().map(artifact), &mut bytes);
    rendered
}

/// As many of the last ones as there is room for.
fn latest<M: prost::Message>(all: impl DoubleEndedIterator<Item = M>, bytes: &mut usize) -> Vec<M> {
    let fits = |one: &M| {
        *bytes += one.encoded_len() + 8;
        *bytes <= TASK_BYTES
    };
    let mut latest: Vec<_> = all.rev().take_while(fits).collect();
    latest.reverse();
    latest
}

fn spec(spec: Spec) -> proto::TaskSpec {
    let span = |span: Option<TimeDelta>| span.map(duration);
    let (budget_id, budget_amount) = match spec.budget {
        Some(budget) => {
            let amount = Money {
                amount: budget.amount,
                currency_code: budget.currency,
            };
            (budget.id.to_string(), Some(amount))
        }
        None => (String::new(), None),
    };
    proto::TaskSpec {
        r#type: spec.kind,
        title: spec.title,
        description: spec.description,
        queue: spec.queue,
        capability: spec.capability,
        concurrency_keys: spec.concurrency_keys,
        fairness: spec.fairness.map(|fairness| proto::Fairness {
            key: fairness.key,
            weight: fairness.weight,
        }),
        priority: i32::from(spec.priority.number()),
        parameters: json(spec.parameters),
        project_id: spec.project_id.map(|id| id.to_string()).unwrap_or_default(),
        parent_task_id: spec
            .parent_task_id
            .map(|id| id.to_string())
            .unwrap_or_default(),
        dependency_failure_policy: i32::from(spec.dependency_policy.number()),
        depends_on: spec.depends_on.iter().map(ToString::to_string).collect(),
        origin: spec.origin.map(|origin| proto::TaskOrigin {
            kind: origin.kind,
            resource_id: origin.resource_id,
            step_path: origin.step_path,
            attempt: origin.attempt,
        }),
        labels: spec.labels.into_iter().collect(),
        schedule_time: spec.schedule_time.map(timestamp),
        retry_policy: Some(proto::RetryPolicy {
            max_attempts: spec.retry.max_attempts,
            initial_backoff_duration: Some(duration(spec.retry.initial_backoff)),
            backoff_multiplier: spec.retry.multiplier,
            max_backoff_duration: Some(duration(spec.retry.max_backoff)),
            max_lost_leases: spec.retry.max_lost_leases,
            rules: spec.retry.rules.into_iter().map(rule).collect(),
        }),
        timeouts: Some(proto::TaskTimeouts {
            schedule_to_start_timeout: span(spec.timeouts.schedule_to_start),
            start_to_close_timeout: span(spec.timeouts.start_to_close),
            heartbeat_timeout: span(spec.timeouts.heartbeat),
        }),
        budget_id,
        budget_amount,
        effect: i32::from(spec.effect.unwrap_or_default().number()),
        requirement: render_placement::requirement(spec.placement.requirement),
        pinned_agent_id: spec
            .placement
            .pinned
            .map(|id| id.to_string())
            .unwrap_or_default(),
        avoid_agent_ids: spec
            .placement
            .avoid
            .iter()
            .map(ToString::to_string)
            .collect(),
        avoid_failed_agents: spec.placement.avoid_failed,
    }
}

fn rule(rule: RetryRule) -> proto::RetryRule {
    proto::RetryRule {
        error_codes: rule.codes,
        verdict: rule.verdict.number().into(),
        initial_backoff_duration: rule.initial_backoff.map(duration),
        backoff_multiplier: rule.multiplier.unwrap_or_default(),
        max_backoff_duration: rule.max_backoff.map(duration),
        max_attempts: rule.max_attempts.unwrap_or_default(),
    }
}

fn json(json: Option<Json>) -> Option<Struct> {
    json.and_then(struct_from_json)
}

fn error(error: TaskError) -> proto::TaskError {
    let details = json(error.details);
    proto::TaskError {
        code: error.code,
        message: error.message,
        details,
    }
}

fn attempt(attempt: Attempt) -> proto::Attempt {
    proto::Attempt {
        attempt: attempt.attempt,
        agent_id: attempt
            .agent_id
            .map(|id| id.to_string())
            .unwrap_or_default(),
        outcome: i32::from(attempt.end.number()),
        error: attempt.error.map(error),
        usage: attempt.usage.into_iter().map(usage).collect(),
        capability_version: attempt.capability_version,
        retry_rule: attempt.retry_rule.map_or(0, i32::from),
        ready_time: attempt.ready_time.map(timestamp),
        assign_time: attempt.assign_time.map(timestamp),
        start_time: attempt.start_time.map(timestamp),
        end_time: Some(timestamp(attempt.end_time)),
    }
}

fn usage(usage: Usage) -> proto::Usage {
    proto::Usage {
        provider: usage.provider,
        model: usage.model,
        input_tokens: usage.input_tokens,
        cached_input_tokens: usage.cached_input_tokens,
        output_tokens: usage.output_tokens,
        duration: busy(&usage.duration_seconds),
        quantities: usage.quantities.into_iter().collect(),
    }
}

/// Decimal seconds as a Duration.
fn busy(text: &str) -> Option<prost_types::Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let nanos = format!("{fraction:0<9}").parse().ok()?;
    Some(prost_types::Duration {
        seconds: whole.parse().ok()?,
        nanos,
    })
}

/// A lease.
pub fn lease(grant: Grant, now: DateTime<Utc>) -> proto::Lease {
    let Grant {
        task,
        token,
        checkpoint,
        answers,
    } = grant;
    let until = task.lease_until.unwrap_or(now);
    proto::Lease {
        lease_token: token.to_string(),
        lease_expire_time: Some(timestamp(until)),
        lease_duration: Some(duration((until - now).max(TimeDelta::zero()))),
        attempt: task.attempt,
        checkpoint: json(checkpoint),
        gate_answers: answers.into_iter().map(render_gate::gate).collect(),
        task: Some(self::task(task, None)),
    }
}

/// What became of a renewal; nothing is a lost lease.
pub fn renewal(token: String, renewed: Option<crate::storage::Renewed>) -> proto::LeaseRenewal {
    let verdict = match &renewed {
        None => proto::LeaseVerdict::Lost,
        Some(renewed) if renewed.cancel_requested => proto::LeaseVerdict::Cancel,
        Some(_) => proto::LeaseVerdict::Ok,
    };
    let (until, reason) = match renewed {
        Some(renewed) => (renewed.lease_until, renewed.cancel_reason),
        None => (None, None),
    };
    proto::LeaseRenewal {
        lease_token: token,
        verdict: verdict.into(),
        lease_expire_time: until.map(timestamp),
        cancel_reason: reason.unwrap_or_default(),
    }
}

/// Renewals that fit into a message: beyond a megabyte without the reasons of cancellations, which
/// the tasks have.
pub fn without_long_reasons(mut renewals: Vec<proto::LeaseRenewal>) -> Vec<proto::LeaseRenewal> {
    let mut bytes = 0;
    for renewal in &mut renewals {
        bytes += renewal.cancel_reason.len();
        if bytes > REASON_BYTES {
            renewal.cancel_reason.clear();
        }
    }
    renewals
}

/// Why an item of a batch was not done.
pub fn failure(index: usize, token: String, fault: &Fault) -> proto::ItemFailure {
    let mut message = fault.message().to_owned();
    for violation in fault.violations() {
        message.push_str(&format!("; {}: {}", violation.field, violation.description));
    }
    // Fields are named as the client named them, however long that is.
    let shown = message.floor_char_boundary(FAILURE_BYTES);
    message.truncate(shown);
    proto::ItemFailure {
        index: i32::try_from(index).unwrap_or(i32::MAX),
        lease_token: token,
        code: tonic::Code::from(fault.code()).into(),
        reason: fault.reason().as_str().to_owned(),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_survives() {
        assert_eq!(
            busy("1.5"),
            Some(prost_types::Duration {
                seconds: 1,
                nanos: 500_000_000
            })
        );
        assert_eq!(
            busy("60"),
            Some(prost_types::Duration {
                seconds: 60,
                nanos: 0
            })
        );
        assert_eq!(busy(""), None);
    }
}
