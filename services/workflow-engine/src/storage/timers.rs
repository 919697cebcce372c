//! What will happen by itself.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::postgres::PgPool;

use super::Error;
use super::rows::{DueTimer, TimerRow};

/// Timers whose time has come, of all tenants, earliest first.
///
/// # Errors
/// When the database refuses or a row is corrupt.
pub async fn due(pool: &PgPool, now: DateTime<Utc>, limit: i64) -> Result<Vec<DueTimer>, Error> {
    let rows: Vec<TimerRow> = sqlx::query_as(include_str!("queries/timer/due.sql"))
        .bind(now)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    Ok(rows
        .into_iter()
        .map(DueTimer::try_from)
        .collect::<Result<_, _>>()?)
}

/// Takes a fired timer within the transition that acts on it; false when another has.
///
/// # Errors
/// When the database refuses.
pub async fn take(
    connection: &mut PgConnection,
    timer: &DueTimer,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let taken = sqlx::query(include_str!("queries/timer/take.sql"))
        .bind(timer.tenant.uuid())
        .bind(timer.execution_id.uuid())
        .bind(&timer.step_id)
        .bind(timer.kind.as_str())
        .bind(i32::try_from(timer.attempt).unwrap_or(i32::MAX))
        .bind(now)
        .execute(connection)
        .await?;
    Ok(taken.rows_affected() == 1)
}

/// Puts a timer off that could not be acted on.
///
/// # Errors
/// When the database refuses.
pub async fn postpone(
    connection: &mut PgConnection,
    timer: &DueTimer,
    until: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/timer/postpone.sql"))
        .bind(timer.tenant.uuid())
        .bind(timer.execution_id.uuid())
        .bind(&timer.step_id)
        .bind(timer.kind.as_str())
        .bind(until)
        .execute(connection)
        .await?;
    Ok(())
}

/// When the earliest timer of all tenants fires.
///
/// # Errors
/// When the database refuses.
pub async fn next(pool: &PgPool) -> Result<Option<DateTime<Utc>>, Error> {
    Ok(sqlx::query_scalar(include_str!("queries/timer/next.sql"))
        .fetch_one(pool)
        .await?)
}
