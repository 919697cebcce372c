//! Schedules and their runs, on the wire.

use chrono::{DateTime, Utc};
use reeve_contracts::event::v1 as event;
use reeve_contracts::task::v1 as proto;
use reeve_wellknown::{duration, timestamp};

use super::parse_schedule;
use crate::domain::{Calendar, Run, Schedule};

/// A schedule.
pub fn schedule(schedule: &Schedule) -> proto::Schedule {
    let time = |time: Option<DateTime<Utc>>| time.map(timestamp);
    let policies = &schedule.policies;
    proto::Schedule {
        id: schedule.id.to_string(),
        tenant_id: schedule.tenant_id.to_string(),
        name: schedule.name.clone(),
        cron: schedule.timing.cron.clone(),
        time_zone: schedule.timing.zone.clone(),
        task: parse_schedule::task_of(&schedule.template),
        start_time: time(schedule.timing.start),
        end_time: time(schedule.timing.end),
        jitter_duration: Some(duration(schedule.jitter)),
        missed_run_policy: i32::from(policies.missed.number()),
        catch_up_duration: Some(duration(policies.catch_up)),
        catch_up_limit: policies.catch_up_limit,
        overlap_policy: i32::from(policies.overlap.number()),
        state: i32::from(schedule.state().number()),
        pause_reason: schedule.pause_reason.clone(),
        next_due_time: time(schedule.next_due),
        next_fire_time: time(schedule.next_fire()),
        last_run: schedule.last_run.as_ref().map(run),
        run_count: schedule.runs,
        creator: Some(event::Actor {
            kind: i32::from(schedule.creator.kind),
            subject: schedule.creator.subject.clone(),
            display_name: schedule.creator.display_name.clone(),
        }),
        create_time: Some(timestamp(schedule.create_time)),
        update_time: Some(timestamp(schedule.update_time)),
        etag: schedule.etag(),
    }
}

/// A run.
pub fn run(run: &Run) -> proto::ScheduleRun {
    proto::ScheduleRun {
        number: run.number,
        due_time: Some(timestamp(run.due)),
        last_due_time: Some(timestamp(run.last_due)),
        due_count: run.count,
        fire_time: Some(timestamp(run.fired)),
        outcome: i32::from(run.outcome.number()),
        task_id: run.task_id.map(|id| id.to_string()).unwrap_or_default(),
        reason: run.reason.clone(),
        triggered: run.triggered,
    }
}

/// A due time, with what the clock of the zone shows.
pub fn occurrence(calendar: &Calendar, due: DateTime<Utc>) -> proto::ScheduleOccurrence {
    proto::ScheduleOccurrence {
        due_time: Some(timestamp(due)),
        local_time: due.with_timezone(&calendar.zone).to_rfc3339(),
    }
}
