//! Schedules.

use chrono::{DateTime, Utc};
use reeve_ids::{ScheduleId, TaskId, TenantId, Uuid};
use sqlx::postgres::{PgArguments, PgPool};
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres};

use super::schedule_rows::{Locked, ScheduleRow};
use crate::Error;
use crate::domain::Schedule;

/// Whose time to handle.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    /// At most so many.
    First(i64),
    /// One alone.
    One(ScheduleId),
}

/// A schedule that was handled, with what becomes of it.
#[derive(Debug)]
pub struct Moved<'a> {
    /// The schedule, with its next due time and its runs as they are after.
    pub schedule: &'a Schedule,
    /// The last due time that was handled.
    pub handled: Option<DateTime<Utc>>,
    /// The task of its latest run that had one.
    pub last_task_id: Option<TaskId>,
}

/// Stores a new schedule, with the request id and the digest of its call.
///
/// # Errors
/// When the database refuses.
pub async fn insert(
    connection: &mut PgConnection,
    schedule: &Schedule,
    request: Option<&(String, Vec<u8>)>,
) -> Result<(), Error> {
    let query = sqlx::query(include_str!("queries/schedule/insert.sql"));
    bind(query, schedule)
        .bind(schedule.creator.kind)
        .bind(&schedule.creator.subject)
        .bind(&schedule.creator.display_name)
        .bind(schedule.create_time)
        .bind(request.map(|(id, _)| id.as_str()))
        .bind(request.map(|(_, digest)| digest.as_slice()))
        .execute(connection)
        .await?;
    Ok(())
}

/// Stores what a call changed of a locked schedule.
///
/// # Errors
/// When the database refuses.
pub async fn update(connection: &mut PgConnection, schedule: &Schedule) -> Result<(), Error> {
    let query = sqlx::query(include_str!("queries/schedule/update.sql"));
    bind(query, schedule).execute(connection).await?;
    Ok(())
}

fn bind<'q>(
    query: Query<'q, Postgres, PgArguments>,
    schedule: &'q Schedule,
) -> Query<'q, Postgres, PgArguments> {
    let Schedule {
        timing, policies, ..
    } = schedule;
    query
        .bind(schedule.id.uuid())
        .bind(schedule.tenant_id.uuid())
        .bind(schedule.version)
        .bind(&schedule.name)
        .bind(&timing.cron)
        .bind(&timing.zone)
        .bind(timing.start)
        .bind(timing.end)
        .bind(schedule.jitter.num_milliseconds())
        .bind(policies.missed.number())
        .bind(policies.catch_up.num_milliseconds())
        .bind(policies.catch_up_limit)
        .bind(policies.overlap.number())
        .bind(&schedule.template.task)
        .bind(&schedule.template.parameters)
        .bind(schedule.paused)
        .bind(&schedule.pause_reason)
        .bind(schedule.next_due)
        .bind(schedule.next_fire())
        .bind(schedule.update_time)
}

/// A schedule with its latest run.
///
/// # Errors
/// When the database refuses, or the row is corrupt.
pub async fn get(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: ScheduleId,
) -> Result<Option<Schedule>, Error> {
    let row: Option<ScheduleRow> = sqlx::query_as(include_str!("queries/schedule/get.sql"))
        .bind(tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(connection)
        .await?;
    row.map(ScheduleRow::into_schedule).transpose()
}

/// Schedules in some states (all when none is named) by name, after a name, without parameters.
///
/// # Errors
/// When the database refuses, or a row is corrupt.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    after: Option<&str>,
    states: &[i16],
    limit: i64,
) -> Result<Vec<Schedule>, Error> {
    let rows: Vec<ScheduleRow> = sqlx::query_as(include_str!("queries/schedule/list.sql"))
        .bind(tenant.uuid())
        .bind(after)
        .bind(states)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(ScheduleRow::into_schedule).collect()
}

/// A schedule under the lock of its row.
///
/// # Errors
/// When the database refuses, or the row is corrupt.
pub async fn lock(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: ScheduleId,
) -> Result<Option<Locked>, Error> {
    let row: Option<ScheduleRow> = sqlx::query_as(include_str!("queries/schedule/lock.sql"))
        .bind(tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(&mut *connection)
        .await?;
    let locked = locked(connection, row.into_iter().collect()).await?;
    Ok(locked.into_iter().next())
}

/// Locks schedules whose time it is and that nobody else has locked.
///
/// # Errors
/// When the database refuses, or a row is corrupt.
pub async fn claim(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
    which: Which,
) -> Result<Vec<Locked>, Error> {
    let (limit, id) = match which {
        Which::First(limit) => (limit, None),
        Which::One(id) => (1, Some(id.uuid())),
    };
    let rows: Vec<ScheduleRow> = sqlx::query_as(include_str!("queries/schedule/claim.sql"))
        .bind(now)
        .bind(limit)
        .bind(id)
        .fetch_all(&mut *connection)
        .await?;
    locked(connection, rows).await
}

/// Looks whether the last tasks of locked schedules are over.
async fn locked(
    connection: &mut PgConnection,
    rows: Vec<ScheduleRow>,
) -> Result<Vec<Locked>, Error> {
    let (tasks, tenants): (Vec<Uuid>, Vec<Uuid>) =
        rows.iter().filter_map(ScheduleRow::last_task).unzip();
    let not_over: Vec<Uuid> = if tasks.is_empty() {
        Vec::new()
    } else {
        sqlx::query_scalar(include_str!("queries/schedule/not_over.sql"))
            .bind(tasks)
            .bind(tenants)
            .fetch_all(connection)
            .await?
    };
    let not_over = not_over.into_iter().collect();
    rows.into_iter()
        .map(|row| row.into_locked(&not_over))
        .collect()
}

/// The schedules whose time it is.
///
/// # Errors
/// When the database refuses.
pub async fn due(pool: &PgPool, now: DateTime<Utc>, limit: i64) -> Result<Vec<ScheduleId>, Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(include_str!("queries/schedule/due.sql"))
        .bind(now)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    Ok(ids.into_iter().map(ScheduleId::from_uuid).collect())
}

/// When the next schedule's time comes.
///
/// # Errors
/// When the database refuses.
pub async fn next_fire(pool: &PgPool) -> Result<Option<DateTime<Utc>>, Error> {
    let next = sqlx::query_scalar(include_str!("queries/schedule/next_fire.sql"));
    Ok(next.fetch_one(pool).await?)
}

/// Moves schedules on that were handled.
///
/// # Errors
/// When the database refuses.
pub async fn move_on(connection: &mut PgConnection, moved: &[Moved<'_>]) -> Result<(), Error> {
    let of = |value: fn(&Schedule) -> Option<DateTime<Utc>>| -> Vec<_> {
        moved.iter().map(|one| value(one.schedule)).collect()
    };
    let uuids = |value: fn(&Schedule) -> Uuid| -> Vec<_> {
        moved.iter().map(|one| value(one.schedule)).collect()
    };
    let last = moved.iter().map(|one| one.last_task_id.map(TaskId::uuid));
    sqlx::query(include_str!("queries/schedule/move_on.sql"))
        .bind(uuids(|schedule| schedule.id.uuid()))
        .bind(uuids(|schedule| schedule.tenant_id.uuid()))
        .bind(of(|schedule| schedule.next_due))
        .bind(of(Schedule::next_fire))
        .bind(moved.iter().map(|one| one.handled).collect::<Vec<_>>())
        .bind(
            moved
                .iter()
                .map(|one| one.schedule.runs)
                .collect::<Vec<_>>(),
        )
        .bind(last.collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

/// Stops a schedule that cannot be handled, without reading its row; answers with its tenant.
///
/// # Errors
/// When the database refuses.
pub async fn stop(
    connection: &mut PgConnection,
    id: ScheduleId,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<Option<TenantId>, Error> {
    let tenant: Option<Uuid> = sqlx::query_scalar(include_str!("queries/schedule/stop.sql"))
        .bind(id.uuid())
        .bind(reason)
        .bind(now)
        .fetch_optional(connection)
        .await?;
    Ok(tenant.map(TenantId::from_uuid))
}

/// Deletes a schedule with its runs; whether it was there.
///
/// # Errors
/// When the database refuses.
pub async fn delete(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: ScheduleId,
) -> Result<bool, Error> {
    let deleted = sqlx::query(include_str!("queries/schedule/delete.sql"))
        .bind(tenant.uuid())
        .bind(id.uuid())
        .execute(connection)
        .await?;
    Ok(deleted.rows_affected() > 0)
}

/// How many schedules a tenant has; nobody else counts them until the transaction ends.
///
/// # Errors
/// When the database refuses.
pub async fn count(connection: &mut PgConnection, tenant: TenantId) -> Result<i64, Error> {
    sqlx::query(include_str!("queries/schedule/lock_tenant.sql"))
        .bind(tenant.uuid())
        .execute(&mut *connection)
        .await?;
    let count = sqlx::query_scalar(include_str!("queries/schedule/count.sql"));
    Ok(count.bind(tenant.uuid()).fetch_one(connection).await?)
}

/// The schedule that a request id had created, with the digest of what it asked for.
///
/// # Errors
/// When the database refuses.
pub async fn by_request(
    connection: &mut PgConnection,
    tenant: TenantId,
    request_id: &str,
) -> Result<Option<(ScheduleId, Vec<u8>)>, Error> {
    let found: Option<(Uuid, Vec<u8>)> =
        sqlx::query_as(include_str!("queries/schedule/by_request.sql"))
            .bind(tenant.uuid())
            .bind(request_id)
            .fetch_optional(connection)
            .await?;
    Ok(found.map(|(id, digest)| (ScheduleId::from_uuid(id), digest)))
}
