//! What other services are told of schedules. The keys are part of the service's contract: README.md
//! lists them.

use chrono::{DateTime, Utc};
use reeve_events::{Actor, NewEvent};
use serde_json::{Value as Json, json};

use crate::domain::{Run, RunOutcome, Schedule};

/// `schedule.created` and what else a call changes.
pub fn changed(schedule: &Schedule, kind: &'static str, actor: Actor, facts: Json) -> NewEvent {
    let mut data = json!({
        "name": schedule.name, "cron": schedule.timing.cron, "time_zone": schedule.timing.zone,
        "next_due_time": schedule.next_due, "etag": schedule.etag(),
    });
    if let (Some(data), Json::Object(facts)) = (data.as_object_mut(), facts) {
        data.extend(facts);
    }
    event(schedule, kind, actor, schedule.update_time, data)
}

/// `schedule.fired`, `.run_skipped` or `.run_failed`.
pub fn ran(schedule: &Schedule, run: &Run, actor: Actor) -> NewEvent {
    let kind = match run.outcome {
        RunOutcome::Created => "schedule.fired",
        RunOutcome::SkippedMissed | RunOutcome::SkippedOverlap => "schedule.run_skipped",
        RunOutcome::Failed => "schedule.run_failed",
    };
    let mut data = json!({
        "name": schedule.name, "run": run.number, "due_time": run.due,
        "outcome": run.outcome.word(), "triggered": run.triggered,
    });
    if let Some(task) = run.task_id {
        data["task_id"] = json!(task);
    } else {
        data["last_due_time"] = json!(run.last_due);
        data["due_count"] = json!(run.count);
        data["reason"] = json!(run.reason);
    }
    event(schedule, kind, actor, run.fired, data)
}

fn event(
    schedule: &Schedule,
    kind: &'static str,
    actor: Actor,
    when: DateTime<Utc>,
    data: Json,
) -> NewEvent {
    let resource = ("schedule", schedule.id);
    NewEvent::new(schedule.tenant_id, actor, when, kind, resource).with(data)
}
