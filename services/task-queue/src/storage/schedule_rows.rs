//! Rows of schedules and their runs.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::{ScheduleId, TaskId, TenantId, Uuid};
use sqlx::FromRow;

use crate::Error;
use crate::domain::{
    Actor, MissedPolicy, OverlapPolicy, Policies, Run, RunOutcome, Schedule, Template, Timing,
};

/// A schedule.
#[derive(Debug, FromRow)]
pub struct ScheduleRow {
    id: Uuid,
    tenant_id: Uuid,
    name: String,
    version: i32,
    cron: String,
    time_zone: String,
    start_time: Option<DateTime<Utc>>,
    end_time: Option<DateTime<Utc>>,
    jitter_ms: i64,
    missed: i16,
    catch_up_ms: i64,
    catch_up_limit: i32,
    overlap: i16,
    task: Vec<u8>,
    parameters: Option<Vec<u8>>,
    paused: bool,
    pause_reason: String,
    next_due: Option<DateTime<Utc>>,
    handled: Option<DateTime<Utc>>,
    runs: i64,
    last_task_id: Option<Uuid>,
    creator_kind: i16,
    creator_subject: String,
    creator_name: String,
    create_time: DateTime<Utc>,
    update_time: DateTime<Utc>,
    #[sqlx(flatten)]
    last: LastRunRow,
}

/// The latest run, where it was asked for and there is one.
#[derive(Debug, FromRow)]
struct LastRunRow {
    #[sqlx(default)]
    number: Option<i64>,
    #[sqlx(default)]
    due_time: Option<DateTime<Utc>>,
    #[sqlx(default)]
    last_due_time: Option<DateTime<Utc>>,
    #[sqlx(default)]
    due_count: Option<i32>,
    #[sqlx(default)]
    fire_time: Option<DateTime<Utc>>,
    #[sqlx(default)]
    outcome: Option<i16>,
    #[sqlx(default)]
    task_id: Option<Uuid>,
    #[sqlx(default)]
    reason: Option<String>,
    #[sqlx(default)]
    triggered: Option<bool>,
}

/// A run.
#[derive(Debug, FromRow)]
pub struct RunRow {
    number: i64,
    due_time: DateTime<Utc>,
    last_due_time: DateTime<Utc>,
    due_count: i32,
    fire_time: DateTime<Utc>,
    outcome: i16,
    task_id: Option<Uuid>,
    reason: String,
    triggered: bool,
}

/// A schedule under the lock of its row.
#[derive(Debug)]
pub struct Locked {
    /// The schedule.
    pub schedule: Schedule,
    /// Whether the task of its run before is not over.
    pub busy: bool,
}

fn corrupt(schedule_id: Uuid, what: &str, number: i16) -> Error {
    Error::CorruptSchedule {
        schedule_id: ScheduleId::from_uuid(schedule_id),
        what: format!("{what} {number}"),
    }
}

impl ScheduleRow {
    /// The task of its latest run that had one, and whose it is.
    pub fn last_task(&self) -> Option<(Uuid, Uuid)> {
        self.last_task_id.map(|task| (task, self.tenant_id))
    }

    /// The schedule, read under a lock, when these of the last tasks are not over.
    ///
    /// # Errors
    /// When the row is corrupt.
    pub fn into_locked(self, not_over: &HashSet<Uuid>) -> Result<Locked, Error> {
        let busy = self
            .last_task_id
            .is_some_and(|task| not_over.contains(&task));
        let schedule = self.into_schedule()?;
        Ok(Locked { schedule, busy })
    }

    /// The schedule.
    ///
    /// # Errors
    /// When the row is corrupt.
    pub fn into_schedule(self) -> Result<Schedule, Error> {
        let id = self.id;
        let missed = MissedPolicy::from_number(self.missed)
            .ok_or_else(|| corrupt(id, "missed", self.missed))?;
        let overlap = OverlapPolicy::from_number(self.overlap)
            .ok_or_else(|| corrupt(id, "overlap", self.overlap))?;
        Ok(Schedule {
            id: ScheduleId::from_uuid(id),
            tenant_id: TenantId::from_uuid(self.tenant_id),
            name: self.name,
            version: self.version,
            timing: Timing {
                cron: self.cron,
                zone: self.time_zone,
                start: self.start_time,
                end: self.end_time,
            },
            jitter: TimeDelta::milliseconds(self.jitter_ms),
            policies: Policies {
                missed,
                catch_up: TimeDelta::milliseconds(self.catch_up_ms),
                catch_up_limit: self.catch_up_limit,
                overlap,
            },
            template: Template {
                task: self.task,
                parameters: self.parameters,
            },
            paused: self.paused,
            pause_reason: self.pause_reason,
            next_due: self.next_due,
            handled: self.handled,
            runs: self.runs,
            last_task_id: self.last_task_id.map(TaskId::from_uuid),
            last_run: self.last.into_run(id)?,
            creator: Actor {
                kind: self.creator_kind,
                subject: self.creator_subject,
                display_name: self.creator_name,
            },
            create_time: self.create_time,
            update_time: self.update_time,
        })
    }
}

impl LastRunRow {
    fn into_run(self, schedule: Uuid) -> Result<Option<Run>, Error> {
        let parts = (self.number, self.due_time, self.fire_time, self.outcome);
        let (Some(number), Some(due_time), Some(fire_time), Some(outcome)) = parts else {
            return Ok(None);
        };
        let row = RunRow {
            number,
            due_time,
            last_due_time: self.last_due_time.unwrap_or(due_time),
            due_count: self.due_count.unwrap_or(1),
            fire_time,
            outcome,
            task_id: self.task_id,
            reason: self.reason.unwrap_or_default(),
            triggered: self.triggered.unwrap_or_default(),
        };
        row.into_run(ScheduleId::from_uuid(schedule)).map(Some)
    }
}

impl RunRow {
    /// The run.
    ///
    /// # Errors
    /// When the row is corrupt.
    pub fn into_run(self, schedule: ScheduleId) -> Result<Run, Error> {
        Ok(Run {
            number: self.number,
            due: self.due_time,
            last_due: self.last_due_time,
            count: self.due_count,
            fired: self.fire_time,
            outcome: RunOutcome::from_number(self.outcome)
                .ok_or_else(|| corrupt(schedule.uuid(), "outcome", self.outcome))?,
            task_id: self.task_id.map(TaskId::from_uuid),
            reason: self.reason,
            triggered: self.triggered,
        })
    }
}
