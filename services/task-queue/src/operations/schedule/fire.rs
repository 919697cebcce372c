//! What schedules do by themselves: their due times.

use chrono::{DateTime, Utc};
use reeve_events::{Actor, NewEvent};
use reeve_ids::ScheduleId;
use reeve_status::Fault;
use serde_json::json;

use super::ReadSpec;
use super::runs::{By, Firing, commit};
use crate::core::Shared;
use crate::domain::{self, ActorKind, At, Catalogue, Step};
use crate::storage::LockedSchedule;
use crate::storage::schedules::{self, Which};
use crate::{Error, NAME};

/// Schedules that one transaction handles.
const BATCH: i64 = 32;
/// Bytes of tasks that one schedule may create at once, unless it is one task.
const CAUGHT_UP_BYTES: usize = 4 * 1_024 * 1_024;
/// Bytes of tasks after which a transaction is full.
const FULL_BYTES: usize = 2 * 1_024 * 1_024;

/// What was found.
#[derive(Debug, Clone, Copy)]
pub struct Fired {
    /// Whether there may be more to do at once.
    pub more: bool,
    /// When the next schedule's time comes.
    pub next: Option<DateTime<Utc>>,
}

/// Handles the schedules whose time it is.
///
/// # Errors
/// When PostgreSQL is away, or some could not be handled and may be later.
pub async fn fire_due(shared: &Shared, read: ReadSpec) -> Result<Fired, Error> {
    let now = shared.clock.now();
    let more = match attempt(shared, read, now, Which::First(BATCH)).await {
        Err(error) if error.is_of_all() => return Err(error),
        Err(error) => {
            tracing::warn!(%error, "due schedules are handled one by one");
            fire_each(shared, read, now).await?;
            false
        }
        Ok(more) => more,
    };
    let next = schedules::next_fire(shared.database.internal_pool()).await?;
    Ok(Fired { more, next })
}

/// Handles each alone, so that one at fault holds up nobody else.
async fn fire_each(shared: &Shared, read: ReadSpec, now: DateTime<Utc>) -> Result<(), Error> {
    let pool = shared.database.internal_pool();
    let mut later = None;
    for id in schedules::due(pool, now, BATCH).await? {
        match attempt(shared, read, now, Which::One(id)).await {
            Ok(_) => {}
            Err(error) if error.is_of_all() => return Err(error),
            Err(error) if error.may_pass() => later = Some(error),
            Err(error) => {
                tracing::error!(%error, schedule = %id, "a schedule cannot be handled");
                give_up(shared, id, now).await?;
            }
        }
    }
    later.map_or(Ok(()), Err)
}

/// One transaction: lock, decide, write. True when there may be more.
///
/// The locks last until the commit, and the commit moves the schedules on. So of several replicas
/// one handles a due time, and one that dies on the way leaves it to be handled from the beginning.
async fn attempt(
    shared: &Shared,
    read: ReadSpec,
    now: DateTime<Utc>,
    which: Which,
) -> Result<bool, Error> {
    let mut tx = shared.lane_transaction().await?;
    let claimed = schedules::claim(&mut tx, now, which).await?;
    if claimed.is_empty() {
        tx.rollback().await?;
        return Ok(false);
    }
    let full = i64::try_from(claimed.len()).is_ok_and(|claimed| claimed == BATCH);
    let (mut firings, mut bytes, count) = (Vec::new(), 0, claimed.len());
    for locked in claimed {
        // The rest are let go by the commit, and locked again by the next transaction.
        if bytes > FULL_BYTES {
            break;
        }
        let size = locked.schedule.template.bytes();
        let types = shared.catalogues.of(locked.schedule.tenant_id).await?;
        let firing = decide(locked, &types, read, now);
        bytes += size * firing.steps.len();
        firings.push(firing);
    }
    let more = full || firings.len() < count;
    commit(shared, tx, firings, &by_itself(), now).await?;
    Ok(more)
}

fn decide(locked: LockedSchedule, types: &Catalogue, read: ReadSpec, now: DateTime<Utc>) -> Firing {
    let LockedSchedule { schedule, busy } = locked;
    let first = schedule.next_due.unwrap_or(now);
    let calendar = match schedule.timing.read() {
        Ok(calendar) => calendar,
        Err(why) => {
            let reason = format!("this version of the server cannot read it: {why}");
            return Firing {
                spec: Err(Fault::invalid("cron", reason.clone())),
                stops: Some(reason),
                ..failing(schedule, first)
            };
        }
    };
    let room = CAUGHT_UP_BYTES / schedule.template.bytes().max(1);
    let at = At {
        next_due: first,
        offset: schedule.offset(),
        now,
        busy,
        room: i32::try_from(room).unwrap_or(i32::MAX),
    };
    let look = domain::look(&calendar, schedule.policies, at);
    Firing {
        steps: look.steps,
        cancels: look.cancels,
        next_due: look.next_due,
        spec: read(&schedule.template, types, now),
        stops: None,
        trigger: None,
        schedule,
    }
}

/// A schedule whose due time fails, for a reason to be given.
fn failing(schedule: domain::Schedule, due: DateTime<Utc>) -> Firing {
    Firing {
        steps: vec![Step::Fire(due)],
        cancels: false,
        next_due: None,
        spec: Err(Fault::internal()),
        stops: None,
        trigger: None,
        schedule,
    }
}

/// Records a due time that cannot be handled as failed, and goes on with those after now. Where not
/// even that is possible the schedule is stopped.
async fn give_up(shared: &Shared, id: ScheduleId, now: DateTime<Utc>) -> Result<(), Error> {
    match record_failure(shared, id, now).await {
        Err(error) if !error.is_of_all() && !error.may_pass() => {
            tracing::error!(%error, schedule = %id, "a schedule is stopped");
            stop(shared, id, now).await
        }
        other => other,
    }
}

async fn record_failure(shared: &Shared, id: ScheduleId, now: DateTime<Utc>) -> Result<(), Error> {
    let mut tx = shared.lane_transaction().await?;
    let claimed = schedules::claim(&mut tx, now, Which::One(id)).await?;
    let firings = claimed.into_iter().map(|locked| {
        let schedule = locked.schedule;
        let calendar = schedule.timing.read().ok();
        let after = now - schedule.offset();
        let due = schedule.next_due.unwrap_or(now);
        let next_due = calendar.and_then(|calendar| calendar.next(after.max(due)));
        Firing {
            next_due,
            ..failing(schedule, due)
        }
    });
    let firings: Vec<_> = firings.collect();
    if firings.is_empty() {
        return Ok(tx.rollback().await?);
    }
    commit(shared, tx, firings, &by_itself(), now).await?;
    Ok(())
}

async fn stop(shared: &Shared, id: ScheduleId, now: DateTime<Utc>) -> Result<(), Error> {
    const REASON: &str = "this version of the server cannot handle it";
    let mut tx = shared.database.internal().await?;
    let Some(tenant) = schedules::stop(&mut tx, id, REASON, now).await? else {
        return Ok(tx.rollback().await?);
    };
    let actor = Actor::service(NAME);
    let event = NewEvent::new(tenant, actor, now, "schedule.paused", ("schedule", id));
    let event = event.with(json!({"reason": REASON}));
    shared.append(&mut tx, vec![event]).await?;
    tx.commit().await?;
    shared.wake.notify();
    Ok(())
}

fn by_itself() -> By {
    By {
        actor: Actor::service(NAME),
        creator: domain::Actor {
            kind: ActorKind::Service as i16,
            subject: format!("service:{NAME}"),
            display_name: NAME.to_owned(),
        },
        traceparent: String::new(),
    }
}
