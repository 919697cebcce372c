//! Writing what becomes of due times: tasks, runs, events and the next due time, in one transaction.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use reeve_events::{Actor, NewEvent};
use reeve_ids::{AgentId, ScheduleId, TaskId, TenantId};
use reeve_postgres::Tx;
use reeve_status::Fault;
use serde_json::json;
use sqlx::PgConnection;

use super::events;
use crate::core::Shared;
use crate::domain::{self, Cause, NewTask, Run, RunOutcome, Schedule, Spec, Step};
use crate::lanes::{CreateFlush, CreateGroup};
use crate::operations::{self, settling};
use crate::storage::schedule_runs::NewRun;
use crate::storage::schedules::Moved;
use crate::{Error, storage};

/// What is said of a refusal.
const REASON_BYTES: usize = 2_048;
/// Why a task is cancelled whose schedule fires again.
const OVERLAP: &str = "SCHEDULE_OVERLAP";

/// A locked schedule with what becomes of its due times.
#[derive(Debug)]
pub struct Firing {
    /// The schedule.
    pub schedule: Schedule,
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// Whether the task before is cancelled.
    pub cancels: bool,
    /// The next due time.
    pub next_due: Option<DateTime<Utc>>,
    /// What its tasks are to do, or why there are none.
    pub spec: Result<Spec, Fault>,
    /// Why it is stopped, if it is.
    pub stops: Option<String>,
    /// The call that asked for it.
    pub trigger: Option<Trigger>,
}

/// A call of TriggerSchedule.
#[derive(Debug)]
pub struct Trigger {
    /// The client's request id.
    pub request_id: Option<String>,
}

/// Who fires schedules.
#[derive(Debug, Clone)]
pub struct By {
    /// In events.
    pub actor: Actor,
    /// In tasks.
    pub creator: domain::Actor,
    /// The trace that tasks belong to.
    pub traceparent: String,
}

/// Writes and commits what becomes of due times; answers with the runs.
///
/// # Errors
/// When the database refuses; for a trigger also when its task is refused. Nothing was written then.
pub async fn commit(
    shared: &Shared,
    mut tx: Tx,
    mut firings: Vec<Firing>,
    by: &By,
    now: DateTime<Utc>,
) -> Result<Vec<Run>, Error> {
    let lane = CreateFlush {
        shared: shared.clone(),
    };
    let groups: Vec<_> = firings.iter().map(|one| group(one, by, now)).collect();
    let written = lane.write(&mut tx, &groups).await?;
    let mut runs = Vec::new();
    let answers = written.answers.into_iter().zip(&groups);
    for (firing, (answer, group)) in firings.iter_mut().zip(answers) {
        let tasks = tasks_of(firing, answer, group)?;
        runs.extend(runs_of(firing, &tasks, now));
    }
    let cancelled = cancel_before(shared, &mut tx, &firings, &runs, by, now).await?;
    write_runs(shared, &mut tx, &firings, &runs, &by.actor).await?;
    tx.commit().await?;
    shared.wake.notify();
    lane.announce(&written.new);
    cancelled.announce(shared);
    Ok(runs.into_iter().map(|new| new.run).collect())
}

fn group(firing: &Firing, by: &By, now: DateTime<Utc>) -> CreateGroup {
    let mut tasks = Vec::new();
    if let Ok(spec) = &firing.spec {
        let due = firing.steps.iter().filter_map(|step| match step {
            Step::Fire(due) => Some(*due),
            Step::Skip(_) => None,
        });
        tasks.extend(due.map(|due| task(&firing.schedule, spec, due, by, now)));
    }
    CreateGroup {
        tasks,
        actor: by.actor.clone(),
        path: |_| "task".to_owned(),
    }
}

fn task(
    schedule: &Schedule,
    spec: &Spec,
    due: DateTime<Utc>,
    by: &By,
    now: DateTime<Utc>,
) -> NewTask {
    NewTask {
        id: TaskId::new(),
        tenant_id: schedule.tenant_id,
        spec: Spec {
            origin: Some(schedule.origin(due)),
            ..spec.clone()
        },
        bytes: schedule.template.bytes(),
        creator: by.creator.clone(),
        traceparent: by.traceparent.clone(),
        create_time: now,
        request: None,
    }
}

/// The tasks that were created, or why there are none.
fn tasks_of(
    firing: &Firing,
    answer: Result<Vec<crate::lanes::Created>, Error>,
    group: &CreateGroup,
) -> Result<Result<Vec<TaskId>, Fault>, Error> {
    let refusal = match (&firing.spec, answer) {
        (Err(fault), _) => fault.clone(),
        (_, Err(error)) => error.into(),
        (Ok(_), Ok(_)) => return Ok(Ok(group.tasks.iter().map(|task| task.id).collect())),
    };
    if firing.trigger.is_some() {
        return Err(refusal.into());
    }
    Ok(Err(refusal))
}

/// The runs of a firing; its schedule counts them and moves on.
fn runs_of(
    firing: &mut Firing,
    tasks: &Result<Vec<TaskId>, Fault>,
    now: DateTime<Utc>,
) -> Vec<NewRun> {
    let Firing {
        schedule, trigger, ..
    } = firing;
    let mut created = tasks.iter().flatten().copied();
    let mut runs = Vec::new();
    for step in &firing.steps {
        schedule.runs += 1;
        let mut run = Run {
            number: schedule.runs,
            due: now,
            last_due: now,
            count: 1,
            fired: now,
            outcome: RunOutcome::Created,
            task_id: None,
            reason: String::new(),
            triggered: trigger.is_some(),
        };
        match step {
            Step::Fire(due) => {
                (run.due, run.last_due) = (*due, *due);
                run.task_id = created.next();
                if let Err(fault) = tasks {
                    (run.outcome, run.reason) = (RunOutcome::Failed, explain(fault));
                }
            }
            Step::Skip(skipped) => {
                (run.due, run.last_due) = (skipped.first, skipped.last);
                (run.count, run.outcome) = (skipped.count, skipped.outcome);
                run.reason = why(skipped.outcome).to_owned();
            }
        }
        runs.push(NewRun {
            schedule_id: schedule.id,
            tenant_id: schedule.tenant_id,
            run,
            request_id: trigger.as_ref().and_then(|call| call.request_id.clone()),
        });
    }
    schedule.next_due = firing.next_due;
    runs
}

fn why(outcome: RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::SkippedMissed => "missed by more than a minute",
        RunOutcome::SkippedOverlap => "the overlap policy leaves it to another task",
        RunOutcome::Created | RunOutcome::Failed => "",
    }
}

fn explain(fault: &Fault) -> String {
    let mut text = fault.message().to_owned();
    for violation in fault.violations() {
        text.push_str(&format!("; {}: {}", violation.field, violation.description));
    }
    let shown = text.floor_char_boundary(REASON_BYTES);
    text.truncate(shown);
    text
}

/// What to make known of cancelled tasks after the commit.
#[derive(Default)]
struct Cancelled {
    effects: settling::Effects,
    holders: Vec<(TenantId, AgentId)>,
}

impl Cancelled {
    fn announce(self, shared: &Shared) {
        shared.follow(self.effects, shared.clock.now());
        for (tenant, agent) in self.holders {
            shared.wakeups.publish(&Shared::agent_topic(tenant, agent));
        }
    }
}

/// Cancels the tasks before, of schedules that have a new one.
async fn cancel_before(
    shared: &Shared,
    connection: &mut PgConnection,
    firings: &[Firing],
    runs: &[NewRun],
    by: &By,
    now: DateTime<Utc>,
) -> Result<Cancelled, Error> {
    let fired = runs.iter().filter(|new| new.run.task_id.is_some());
    let fired: HashSet<ScheduleId> = fired.map(|new| new.schedule_id).collect();
    let before = firings
        .iter()
        .filter(|one| one.cancels && fired.contains(&one.schedule.id));
    let before =
        before.filter_map(|one| Some((one.schedule.tenant_id, one.schedule.last_task_id?)));
    let before: Vec<_> = before.collect();
    if before.is_empty() {
        return Ok(Cancelled::default());
    }
    let mut cancelled = Cancelled::default();
    let (mut decisions, mut told) = (Vec::new(), Vec::new());
    for row in storage::lock(connection, &before).await? {
        let tenant = TenantId::from_uuid(row.tenant_id);
        if row.has_no_holder() {
            decisions.push(settling::Decision {
                settled: settling::decide(&row, Cause::Cancel, now)?,
                row,
                usage: None,
                artifacts: Vec::new(),
                cancel_reason: Some(OVERLAP.to_owned()),
                actor: by.actor.clone(),
                gate: settling::AtGate::Nothing,
            });
        } else if !row.cancel_requested {
            let task = TaskId::from_uuid(row.task_id);
            storage::request_cancel(connection, tenant, &[task], OVERLAP, now).await?;
            let event = operations::events::cancel_requested(&row, OVERLAP, &by.actor, now);
            told.push(event);
            let agent = row.agent_id.map(AgentId::from_uuid);
            cancelled.holders.extend(agent.map(|agent| (tenant, agent)));
        }
    }
    cancelled.effects = settling::write(connection, decisions, now).await?;
    told.append(&mut cancelled.effects.events);
    shared.append(connection, told).await?;
    Ok(cancelled)
}

async fn write_runs(
    shared: &Shared,
    connection: &mut PgConnection,
    firings: &[Firing],
    runs: &[NewRun],
    actor: &Actor,
) -> Result<(), Error> {
    storage::schedule_runs::insert(connection, runs).await?;
    let moved: Vec<_> = firings.iter().map(|one| moved(one, runs)).collect();
    storage::schedules::move_on(connection, &moved).await?;
    let by_id: HashMap<_, _> = firings
        .iter()
        .map(|one| (one.schedule.id, &one.schedule))
        .collect();
    let told = runs.iter().filter_map(|new| {
        let schedule = by_id.get(&new.schedule_id)?;
        Some(events::ran(schedule, &new.run, actor.clone()))
    });
    let mut told: Vec<NewEvent> = told.collect();
    for firing in firings {
        if let Some(reason) = &firing.stops {
            told.push(stop(connection, firing, reason, actor).await?);
        }
    }
    shared.append(connection, told).await
}

fn moved<'a>(firing: &'a Firing, runs: &[NewRun]) -> Moved<'a> {
    let own = |new: &&NewRun| new.schedule_id == firing.schedule.id;
    let due = runs.iter().filter(own).filter(|new| !new.run.triggered);
    let mut task = runs.iter().filter(own).filter_map(|new| new.run.task_id);
    Moved {
        schedule: &firing.schedule,
        handled: due.map(|new| new.run.last_due).max(),
        last_task_id: task.next_back(),
    }
}

/// Stops a schedule that cannot go on.
async fn stop(
    connection: &mut PgConnection,
    firing: &Firing,
    reason: &str,
    actor: &Actor,
) -> Result<NewEvent, Error> {
    let schedule = Schedule {
        version: firing.schedule.version + 1,
        paused: true,
        pause_reason: reason.to_owned(),
        next_due: None,
        ..firing.schedule.clone()
    };
    storage::schedules::update(connection, &schedule).await?;
    let facts = json!({"reason": reason});
    Ok(events::changed(
        &schedule,
        "schedule.paused",
        actor.clone(),
        facts,
    ))
}
