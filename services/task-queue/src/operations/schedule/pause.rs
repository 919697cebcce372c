//! PauseSchedule and ResumeSchedule.

use reeve_auth::Caller;
use reeve_ids::ScheduleId;
use reeve_status::Fault;
use serde_json::json;

use super::{finish, lock};
use crate::domain::Schedule;
use crate::{Error, Queue};

/// Stops a schedule.
///
/// # Errors
/// NOT_FOUND, ABORTED for a stale etag.
pub async fn pause(
    queue: &Queue,
    caller: &Caller,
    id: ScheduleId,
    reason: &str,
    etag: Option<i32>,
) -> Result<Schedule, Fault> {
    let (shared, tenant) = (&queue.shared, caller.tenant());
    let work = async {
        let mut tx = shared.database.tenant(tenant).await?;
        let before = lock(&mut tx, tenant, id, etag).await?.schedule;
        if before.paused {
            return Ok(());
        }
        let after = Schedule {
            paused: true,
            pause_reason: reason.to_owned(),
            next_due: None,
            ..before
        };
        let facts = json!({"reason": reason});
        finish(shared, tx, caller, after, "schedule.paused", facts).await
    };
    work.await.map_err(Fault::from)?;
    super::get(queue, tenant, id).await
}

/// Lets a schedule fire again.
///
/// # Errors
/// NOT_FOUND, ABORTED for a stale etag, INVALID_ARGUMENT when this version cannot read its line or
/// zone.
pub async fn resume(
    queue: &Queue,
    caller: &Caller,
    id: ScheduleId,
    etag: Option<i32>,
) -> Result<Schedule, Fault> {
    let (shared, tenant) = (&queue.shared, caller.tenant());
    let work = async {
        let mut tx = shared.database.tenant(tenant).await?;
        let before = lock(&mut tx, tenant, id, etag).await?.schedule;
        if !before.paused {
            return Ok(());
        }
        let calendar = before.timing.read();
        let calendar = calendar.map_err(|why| Fault::invalid("schedule_id", why.to_string()))?;
        let after = Schedule {
            paused: false,
            pause_reason: String::new(),
            next_due: before.first_due(&calendar, shared.clock.now()),
            ..before
        };
        finish(shared, tx, caller, after, "schedule.resumed", json!({})).await
    };
    work.await.map_err(|error: Error| Fault::from(error))?;
    super::get(queue, tenant, id).await
}
