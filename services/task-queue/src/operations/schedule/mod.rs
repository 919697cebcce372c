//! Schedules: one file for each verb, and what they do by themselves.

mod create;
mod delete;
mod events;
mod fire;
mod pause;
mod read;
mod runs;
mod trigger;
mod update;

use chrono::{DateTime, TimeDelta, Utc};
use reeve_auth::Caller;
use reeve_ids::{ScheduleId, TaskId, TenantId};
use reeve_postgres::Tx;
use reeve_status::{Fault, Violations};
use serde_json::Value as Json;
use sqlx::PgConnection;

use crate::Error;
use crate::core::Shared;
use crate::domain::{Calendar, Catalogue, Policies, Schedule, Spec, Template, Timing};
use crate::storage::{self, LockedSchedule};

pub use create::create;
pub use delete::delete;
pub use fire::fire_due;
pub use pause::{pause, resume};
pub use read::{get, list, list_runs};
pub use trigger::trigger;
pub use update::update;

/// Reads what a schedule creates, and checks it as CreateTask would. The words of the contract are
/// known where it is parsed, so whoever fires schedules is given this.
pub type ReadSpec = fn(&Template, &Catalogue, DateTime<Utc>) -> Result<Spec, Fault>;

/// What a schedule shall be.
#[derive(Debug)]
pub struct Draft {
    /// Name for people.
    pub name: String,
    /// When it is due.
    pub timing: Timing,
    /// The same, read.
    pub calendar: Calendar,
    /// How far tasks may be from their due times.
    pub jitter: TimeDelta,
    /// What becomes of due times.
    pub policies: Policies,
    /// What is created.
    pub template: Template,
    /// What it is to be a part of.
    pub parent_task_id: Option<TaskId>,
}

/// Refuses a parent that does not exist: every run would fail.
async fn check_parent(
    connection: &mut PgConnection,
    tenant: TenantId,
    draft: &Draft,
) -> Result<(), Error> {
    let Some(parent) = draft.parent_task_id else {
        return Ok(());
    };
    let found = storage::existing_tasks(connection, &[(tenant, parent)]).await?;
    let mut v = Violations::new();
    let field = "schedule.task.parent_task_id";
    v.check(!found.is_empty(), field, "there is no such task");
    Ok(v.finish()?)
}

fn no_schedule(id: ScheduleId) -> Error {
    Fault::not_found("schedule", id).into()
}

/// A name that is taken, told as such.
fn name_taken(error: Error, name: &str) -> Error {
    match error {
        Error::Database(reeve_postgres::Error::UniqueViolation { constraint })
            if constraint == "schedule_name" =>
        {
            Fault::already_exists("schedule", name).into()
        }
        other => other,
    }
}

/// A schedule under its lock, if it has the etag. So a change comes before or after a run and never
/// between its parts.
async fn lock(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: ScheduleId,
    etag: Option<i32>,
) -> Result<LockedSchedule, Error> {
    let found = storage::schedules::lock(connection, tenant, id).await?;
    let locked = found.ok_or_else(|| no_schedule(id))?;
    let schedule = &locked.schedule;
    if etag.is_some_and(|version| version != schedule.version) {
        return Err(Fault::etag_mismatch("schedule", id, schedule.version).into());
    }
    Ok(locked)
}

/// Commits a change with the event that tells of it.
async fn finish(
    shared: &Shared,
    mut tx: Tx,
    caller: &Caller,
    mut schedule: Schedule,
    kind: &'static str,
    facts: Json,
) -> Result<(), Error> {
    schedule.version += 1;
    schedule.update_time = shared.clock.now().max(schedule.update_time);
    let stored = storage::schedules::update(&mut tx, &schedule).await;
    stored.map_err(|error| name_taken(error, &schedule.name))?;
    let event = events::changed(&schedule, kind, caller.into(), facts);
    shared.append(&mut tx, vec![event]).await?;
    tx.commit().await?;
    shared.wake.notify();
    shared.schedules.notify_one();
    Ok(())
}
