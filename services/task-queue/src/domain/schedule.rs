//! A schedule as it is stored.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use reeve_ids::{ScheduleId, TaskId, TenantId};

use super::cron::{CronLine, Unreadable, zone};
use super::{Actor, Origin};

/// The kind of origin of a schedule's tasks.
pub const SCHEDULE: &str = "schedule";

/// What becomes of due times that could not be kept. The numbers are those at rest and on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum MissedPolicy {
    /// They are skipped.
    Skip = 1,
    /// The latest fires for all.
    RunOnce = 2,
    /// They fire, within bounds.
    RunAll = 3,
}

impl MissedPolicy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Skip, Self::RunOnce, Self::RunAll];

    /// The number at rest.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The policy that a number stands for.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.number() == number)
    }
}

/// What happens when the task before is not over. The numbers are those at rest and on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum OverlapPolicy {
    /// Another is created beside it.
    Allow = 1,
    /// The due time is skipped.
    Skip = 2,
    /// The task before is cancelled.
    CancelPrevious = 3,
}

impl OverlapPolicy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Allow, Self::Skip, Self::CancelPrevious];

    /// The number at rest.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The policy that a number stands for.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.number() == number)
    }
}

/// What became of a due time. The numbers are those at rest and on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum RunOutcome {
    /// A task was created.
    Created = 1,
    /// It was missed and skipped.
    SkippedMissed = 2,
    /// It was skipped because the task before is not over.
    SkippedOverlap = 3,
    /// Its task was refused.
    Failed = 4,
}

impl RunOutcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [
        Self::Created,
        Self::SkippedMissed,
        Self::SkippedOverlap,
        Self::Failed,
    ];

    /// The number at rest.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The outcome that a number stands for.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.number() == number)
    }

    /// The word in events.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::SkippedMissed => "SKIPPED_MISSED",
            Self::SkippedOverlap => "SKIPPED_OVERLAP",
            Self::Failed => "FAILED",
        }
    }
}

/// Where a schedule stands. The numbers are those on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum ScheduleState {
    /// It fires.
    Active = 1,
    /// It was stopped.
    Paused = 2,
    /// No due time is left.
    Ended = 3,
}

impl ScheduleState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Active, Self::Paused, Self::Ended];

    /// The number on the wire.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The state that a number stands for.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.number() == number)
    }
}

/// When a schedule is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// The line, as it was written.
    pub cron: String,
    /// Name of the zone whose clock it is read by.
    pub zone: String,
    /// Nothing before is due.
    pub start: Option<DateTime<Utc>>,
    /// Nothing from then on is due.
    pub end: Option<DateTime<Utc>>,
}

/// What becomes of due times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policies {
    /// Those that could not be kept.
    pub missed: MissedPolicy,
    /// How late they may be, if all run.
    pub catch_up: TimeDelta,
    /// How many, if all run.
    pub catch_up_limit: i32,
    /// Those that meet the task before.
    pub overlap: OverlapPolicy,
}

/// What is created, in the words of the contract: what the contract adds to tasks, schedules have,
/// too, and each run reads it anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The spec without its parameters.
    pub task: Vec<u8>,
    /// The parameters, if they were read.
    pub parameters: Option<Vec<u8>>,
}

impl Template {
    /// How large it is.
    pub fn bytes(&self) -> usize {
        self.task.len() + self.parameters.as_ref().map_or(0, Vec::len)
    }
}

/// What became of a due time, or of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its number, from 1.
    pub number: i64,
    /// The first due time.
    pub due: DateTime<Utc>,
    /// The last one.
    pub last_due: DateTime<Utc>,
    /// How many.
    pub count: i32,
    /// When they were handled.
    pub fired: DateTime<Utc>,
    /// What became of them.
    pub outcome: RunOutcome,
    /// The task.
    pub task_id: Option<TaskId>,
    /// Why there is none.
    pub reason: String,
    /// Whether a call asked for it.
    pub triggered: bool,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Its id.
    pub id: ScheduleId,
    /// Its owner.
    pub tenant_id: TenantId,
    /// Name for people.
    pub name: String,
    /// Number of changes.
    pub version: i32,
    /// When it is due.
    pub timing: Timing,
    /// How far tasks may be from their due times.
    pub jitter: TimeDelta,
    /// What becomes of due times.
    pub policies: Policies,
    /// What is created.
    pub template: Template,
    /// Whether it is stopped.
    pub paused: bool,
    /// Why.
    pub pause_reason: String,
    /// The first due time that was not handled; none when it is stopped or none is left.
    pub next_due: Option<DateTime<Utc>>,
    /// The last due time that was handled.
    pub handled: Option<DateTime<Utc>>,
    /// How many runs there were.
    pub runs: i64,
    /// The task of the latest run that had one.
    pub last_task_id: Option<TaskId>,
    /// The latest run; only when asked for.
    pub last_run: Option<Run>,
    /// Who created it.
    pub creator: Actor,
    /// When it was created.
    pub create_time: DateTime<Utc>,
    /// When it was last changed.
    pub update_time: DateTime<Utc>,
}

impl Schedule {
    /// Where it stands.
    pub fn state(&self) -> ScheduleState {
        match self.next_due {
            _ if self.paused => ScheduleState::Paused,
            Some(_) => ScheduleState::Active,
            None => ScheduleState::Ended,
        }
    }

    /// How long after a due time its task is created: a part of the jitter that the random end of
    /// the id chooses. The front of a UUIDv7 is the time, and equal for those made at once.
    pub fn offset(&self) -> TimeDelta {
        let random = i128::from(u32::try_from(self.id.uuid().as_u128() & 0xffff_ffff).unwrap_or(0));
        let millis = (i128::from(self.jitter.num_milliseconds()) * random) >> 32;
        TimeDelta::milliseconds(i64::try_from(millis).unwrap_or(0))
    }

    /// When the next due time is handled.
    pub fn next_fire(&self) -> Option<DateTime<Utc>> {
        self.next_due.map(|due| due + self.offset())
    }

    /// The first due time after a call that sets the schedule going. None that was handled comes
    /// again, whatever clock said so.
    pub fn first_due(&self, calendar: &Calendar, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        calendar.next(self.handled.map_or(now, |handled| handled.max(now)))
    }

    /// What caused the task of a due time.
    pub fn origin(&self, due: DateTime<Utc>) -> Origin {
        Origin {
            kind: SCHEDULE.to_owned(),
            resource_id: self.id.to_string(),
            step_path: due.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
            attempt: 0,
        }
    }

    /// What an optimistic change must present.
    pub fn etag(&self) -> String {
        self.version.to_string()
    }
}

impl Timing {
    /// The line.
    ///
    /// # Errors
    /// When it is none.
    pub fn line(&self) -> Result<CronLine, Unreadable> {
        CronLine::read(&self.cron)
    }

    /// The zone.
    ///
    /// # Errors
    /// When the database of zones has none of that name.
    pub fn zone(&self) -> Result<Tz, Unreadable> {
        zone(&self.zone)
    }

    /// The line in its zone.
    ///
    /// # Errors
    /// When this version cannot read one of them.
    pub fn read(&self) -> Result<Calendar, Unreadable> {
        Ok(Calendar {
            line: self.line()?,
            zone: self.zone()?,
            start: self.start,
            end: self.end,
        })
    }
}

/// The due times of a schedule.
#[derive(Debug, Clone)]
pub struct Calendar {
    /// The line.
    pub line: CronLine,
    /// The zone.
    pub zone: Tz,
    /// Nothing before is due.
    pub start: Option<DateTime<Utc>>,
    /// Nothing from then on is due.
    pub end: Option<DateTime<Utc>>,
}

impl Calendar {
    /// The first due time after a time.
    pub fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // A due time has whole seconds, so one at the start comes after the moment before.
        let start = self.start.map(|start| start - TimeDelta::microseconds(1));
        let after = start.map_or(after, |start| start.max(after));
        let due = self.line.next(self.zone, after)?;
        self.end.is_none_or(|end| due < end).then_some(due)
    }

    /// The last due time before a time, not before `first`.
    pub fn last(&self, before: DateTime<Utc>, first: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let before = self.end.map_or(before, |end| end.min(before));
        let until = before - TimeDelta::microseconds(1);
        let due = self.line.last(self.zone, until)?;
        (due >= first).then_some(due)
    }
}
