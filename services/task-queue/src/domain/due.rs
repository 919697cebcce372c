//! What becomes of due times when the server comes to them.

use chrono::{DateTime, TimeDelta, Utc};

use super::schedule::{Calendar, MissedPolicy, OverlapPolicy, Policies, RunOutcome};

/// A due time that is handled so long after its time to fire was missed.
pub const LATE: TimeDelta = TimeDelta::minutes(1);
/// Due times that are counted; there may be more.
pub const COUNTED: i32 = 1_000;

/// Due times in a row that are skipped for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skipped {
    /// The first.
    pub first: DateTime<Utc>,
    /// The last.
    pub last: DateTime<Utc>,
    /// How many, up to [`COUNTED`].
    pub count: i32,
    /// Why.
    pub outcome: RunOutcome,
}

/// One entry of what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A due time fires.
    Fire(DateTime<Utc>),
    /// Due times are skipped.
    Skip(Skipped),
}

/// What becomes of the due times until now, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// What happens.
    pub steps: Vec<Step>,
    /// Whether the task before is cancelled.
    pub cancels: bool,
    /// The first due time that was not handled.
    pub next_due: Option<DateTime<Utc>>,
}

/// Where a schedule stands when it is looked at.
#[derive(Debug, Clone, Copy)]
pub struct At {
    /// The first due time that was not handled.
    pub next_due: DateTime<Utc>,
    /// How long after its due time a task is created.
    pub offset: TimeDelta,
    /// When it is looked at.
    pub now: DateTime<Utc>,
    /// Whether the task before is not over.
    pub busy: bool,
    /// How many missed ones may fire for their size.
    pub room: i32,
}

/// Decides about every due time from `next_due` to now.
pub fn look(calendar: &Calendar, policies: Policies, at: At) -> Look {
    // As if all clocks went behind by the offset.
    let now = at.now - at.offset;
    let mut due = Some(at.next_due).filter(|due| *due <= now);
    let (mut fire, mut steps) = (Vec::new(), Vec::new());
    let missed_before = now - LATE;
    if let Some(first) = due.filter(|due| *due < missed_before) {
        let before = missed_before - TimeDelta::microseconds(1);
        due = calendar.next(before).filter(|due| *due <= now);
        let caught = caught_up(calendar, policies, first, missed_before, &at);
        let caught = match policies.missed {
            MissedPolicy::RunOnce if due.is_some() => Vec::new(),
            _ => caught,
        };
        let until = caught.first().copied().unwrap_or(missed_before);
        steps.extend(skip(calendar, first, until, RunOutcome::SkippedMissed));
        fire = caught;
    }
    let mut next_due = calendar.next(now);
    while let Some(on_time) = due {
        fire.push(on_time);
        due = calendar.next(on_time).filter(|due| *due <= now);
    }
    // A clock that was set back must not make what is handled due again.
    if fire.is_empty() && steps.is_empty() {
        next_due = Some(at.next_due);
    }
    let cancels = overlap(policies.overlap, at.busy, fire, &mut steps);
    Look {
        steps,
        cancels,
        next_due,
    }
}

/// The missed due times that fire.
fn caught_up(
    calendar: &Calendar,
    policies: Policies,
    first: DateTime<Utc>,
    before: DateTime<Utc>,
    at: &At,
) -> Vec<DateTime<Utc>> {
    let (oldest, most) = match policies.missed {
        MissedPolicy::Skip => return Vec::new(),
        MissedPolicy::RunOnce => (first, 1),
        MissedPolicy::RunAll => {
            let oldest = first.max(at.now - at.offset - policies.catch_up);
            (oldest, policies.catch_up_limit.min(at.room.max(1)))
        }
    };
    let last = |before| calendar.last(before, oldest);
    let found = std::iter::successors(last(before), |due| last(*due));
    let mut found: Vec<_> = found
        .take(usize::try_from(most).unwrap_or_default())
        .collect();
    found.reverse();
    found
}

/// Due times from `first` on that come before `until`, if there are any.
fn skip(
    calendar: &Calendar,
    first: DateTime<Utc>,
    until: DateTime<Utc>,
    outcome: RunOutcome,
) -> Option<Step> {
    if first >= until {
        return None;
    }
    let each = std::iter::successors(Some(first), |due| calendar.next(*due));
    let each = each.take_while(|due| *due < until);
    let count = each
        .take(usize::try_from(COUNTED).unwrap_or_default())
        .count();
    Some(Step::Skip(Skipped {
        first,
        last: calendar.last(until, first).unwrap_or(first),
        count: i32::try_from(count).unwrap_or(COUNTED),
        outcome,
    }))
}

/// Adds what fires, and what does not because of the task before; whether that is cancelled.
fn overlap(
    policy: OverlapPolicy,
    busy: bool,
    mut fire: Vec<DateTime<Utc>>,
    steps: &mut Vec<Step>,
) -> bool {
    let skipped = match policy {
        OverlapPolicy::Allow => Vec::new(),
        OverlapPolicy::Skip => fire.split_off(usize::from(!busy).min(fire.len())),
        OverlapPolicy::CancelPrevious => {
            let latest = fire.split_off(fire.len().saturating_sub(1));
            std::mem::replace(&mut fire, latest)
        }
    };
    let skipped = skipped.first().map(|first| {
        Step::Skip(Skipped {
            first: *first,
            last: *skipped.last().unwrap_or(first),
            count: i32::try_from(skipped.len()).unwrap_or(COUNTED),
            outcome: RunOutcome::SkippedOverlap,
        })
    });
    let cancels = policy == OverlapPolicy::CancelPrevious && busy && !fire.is_empty();
    let fire = fire.into_iter().map(Step::Fire);
    if policy == OverlapPolicy::CancelPrevious {
        steps.extend(skipped);
        steps.extend(fire);
    } else {
        steps.extend(fire);
        steps.extend(skipped);
    }
    cancels
}

#[cfg(test)]
#[path = "due_tests.rs"]
mod tests;
