//! DeleteSchedule.

use reeve_auth::Caller;
use reeve_ids::ScheduleId;
use reeve_status::Fault;
use serde_json::json;

use super::{events, lock};
use crate::{Error, Queue, storage};

/// Deletes a schedule with its runs.
///
/// # Errors
/// NOT_FOUND, ABORTED for a stale etag.
pub async fn delete(
    queue: &Queue,
    caller: &Caller,
    id: ScheduleId,
    etag: Option<i32>,
) -> Result<(), Fault> {
    let (shared, tenant) = (&queue.shared, caller.tenant());
    let work = async {
        let mut tx = shared.database.tenant(tenant).await?;
        let mut schedule = lock(&mut tx, tenant, id, etag).await?.schedule;
        storage::schedules::delete(&mut tx, tenant, id).await?;
        schedule.update_time = shared.clock.now();
        let event = events::changed(&schedule, "schedule.deleted", caller.into(), json!({}));
        shared.append(&mut tx, vec![event]).await?;
        tx.commit().await?;
        shared.wake.notify();
        Ok::<_, Error>(())
    };
    Ok(work.await?)
}
