//! GetSchedule, ListSchedules and ListScheduleRuns.

use reeve_ids::{ScheduleId, TenantId};
use reeve_status::Fault;

use super::no_schedule;
use crate::domain::{Run, Schedule};
use crate::{Error, Queue, storage};

/// A schedule with its latest run.
///
/// # Errors
/// NOT_FOUND.
pub async fn get(queue: &Queue, tenant: TenantId, id: ScheduleId) -> Result<Schedule, Fault> {
    let read = async {
        let mut tx = queue.shared.database.tenant(tenant).await?;
        let found = storage::schedules::get(&mut tx, tenant, id).await?;
        tx.commit().await?;
        found.ok_or_else(|| no_schedule(id))
    };
    Ok(read.await?)
}

/// Schedules by name, after a name.
///
/// # Errors
/// UNAVAILABLE.
pub async fn list(
    queue: &Queue,
    tenant: TenantId,
    after: Option<&str>,
    states: &[i16],
    limit: i64,
) -> Result<Vec<Schedule>, Fault> {
    let read = async {
        let mut tx = queue.shared.database.tenant(tenant).await?;
        let listed = storage::schedules::list(&mut tx, tenant, after, states, limit).await?;
        tx.commit().await?;
        Ok::<_, Error>(listed)
    };
    Ok(read.await?)
}

/// Runs of a schedule, newest first, before a number.
///
/// # Errors
/// NOT_FOUND.
pub async fn list_runs(
    queue: &Queue,
    tenant: TenantId,
    id: ScheduleId,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Run>, Fault> {
    let read = async {
        let mut tx = queue.shared.database.tenant(tenant).await?;
        let found = storage::schedules::get(&mut tx, tenant, id).await?;
        found.ok_or_else(|| no_schedule(id))?;
        let listed = storage::schedule_runs::list(&mut tx, tenant, id, before, limit).await?;
        tx.commit().await?;
        Ok::<_, Error>(listed)
    };
    Ok(read.await?)
}
