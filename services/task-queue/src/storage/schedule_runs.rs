//! What became of due times.

use reeve_ids::{ScheduleId, TaskId, TenantId, Uuid};
use sqlx::PgConnection;

use super::schedule_rows::RunRow;
use crate::Error;
use crate::domain::Run;

/// So many runs of a schedule are kept.
pub const KEPT: i64 = 1_000;
/// After so many runs the oldest are cut: not with each, since that is a statement more.
const CUT_EVERY: i64 = 64;

/// A run about to be stored.
#[derive(Debug)]
pub struct NewRun {
    /// Its schedule.
    pub schedule_id: ScheduleId,
    /// The schedule's owner.
    pub tenant_id: TenantId,
    /// The run.
    pub run: Run,
    /// The request id that caused it.
    pub request_id: Option<String>,
}

/// Stores runs, and cuts what is no longer kept.
///
/// # Errors
/// When the database refuses.
pub async fn insert(connection: &mut PgConnection, runs: &[NewRun]) -> Result<(), Error> {
    let column = Column(runs);
    sqlx::query(include_str!("queries/schedule_run/insert.sql"))
        .bind(column.of(|new| new.schedule_id.uuid()))
        .bind(column.of(|new| new.tenant_id.uuid()))
        .bind(column.of(|new| new.run.number))
        .bind(column.of(|new| new.run.due))
        .bind(column.of(|new| new.run.last_due))
        .bind(column.of(|new| new.run.count))
        .bind(column.of(|new| new.run.fired))
        .bind(column.of(|new| new.run.outcome.number()))
        .bind(column.of(|new| new.run.task_id.map(TaskId::uuid)))
        .bind(column.of(|new| new.run.reason.as_str()))
        .bind(column.of(|new| new.run.triggered))
        .bind(column.of(|new| new.request_id.as_deref()))
        .execute(&mut *connection)
        .await?;
    let full = runs.iter().filter(|new| new.run.number % CUT_EVERY == 0);
    let full: Vec<_> = full.filter(|new| new.run.number > KEPT).collect();
    if full.is_empty() {
        return Ok(());
    }
    let of = |value: fn(&NewRun) -> Uuid| full.iter().map(|new| value(new)).collect::<Vec<_>>();
    let cut = full.iter().map(|new| new.run.number - KEPT);
    sqlx::query(include_str!("queries/schedule_run/cut.sql"))
        .bind(of(|new| new.schedule_id.uuid()))
        .bind(of(|new| new.tenant_id.uuid()))
        .bind(cut.collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

/// Runs of a schedule, newest first, before a number.
///
/// # Errors
/// When the database refuses, or a row is corrupt.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    schedule: ScheduleId,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Run>, Error> {
    let rows: Vec<RunRow> = sqlx::query_as(include_str!("queries/schedule_run/list.sql"))
        .bind(tenant.uuid())
        .bind(schedule.uuid())
        .bind(before)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(|row| row.into_run(schedule)).collect()
}

/// The run that a request id had caused.
///
/// # Errors
/// When the database refuses, or the row is corrupt.
pub async fn by_request(
    connection: &mut PgConnection,
    tenant: TenantId,
    schedule: ScheduleId,
    request_id: &str,
) -> Result<Option<Run>, Error> {
    let row: Option<RunRow> = sqlx::query_as(include_str!("queries/schedule_run/by_request.sql"))
        .bind(tenant.uuid())
        .bind(schedule.uuid())
        .bind(request_id)
        .fetch_optional(connection)
        .await?;
    row.map(|row| row.into_run(schedule)).transpose()
}

struct Column<'a>(&'a [NewRun]);

impl<'a> Column<'a> {
    fn of<T>(&self, value: impl Fn(&'a NewRun) -> T) -> Vec<T> {
        self.0.iter().map(value).collect()
    }
}
