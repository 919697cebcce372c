//! What task-queue is yet to be asked.

use chrono::{DateTime, Utc};
use reeve_ids::{ExecutionId, TaskId, TenantId, Uuid};
use sqlx::PgConnection;
use sqlx::postgres::PgPool;

use super::Error;
use super::rows::CommandRow;

/// Claims commands that are due, of all tenants, until `until`; in the order they were given.
///
/// # Errors
/// When the database refuses.
pub async fn claim(
    pool: &PgPool,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<CommandRow>, Error> {
    let mut rows: Vec<CommandRow> = sqlx::query_as(include_str!("queries/command/claim.sql"))
        .bind(now)
        .bind(until)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    rows.sort_unstable_by_key(|row| row.id);
    Ok(rows)
}

/// Deletes commands that were carried out.
///
/// # Errors
/// When the database refuses.
pub async fn finish(connection: &mut PgConnection, ids: &[i64]) -> Result<(), Error> {
    sqlx::query(include_str!("queries/command/finish.sql"))
        .bind(ids)
        .execute(connection)
        .await?;
    Ok(())
}

/// Puts commands off.
///
/// # Errors
/// When the database refuses.
pub async fn postpone(
    connection: &mut PgConnection,
    ids: &[i64],
    times: &[DateTime<Utc>],
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/command/postpone.sql"))
        .bind(ids)
        .bind(times)
        .execute(connection)
        .await?;
    Ok(())
}

/// Records which tasks attempts became.
///
/// # Errors
/// When the database refuses.
pub async fn record_dispatches(
    connection: &mut PgConnection,
    created: &[(&CommandRow, TaskId)],
) -> Result<(), Error> {
    let column = |of: fn(&CommandRow) -> Uuid| -> Vec<Uuid> {
        created.iter().map(|(row, _)| of(row)).collect()
    };
    sqlx::query(include_str!("queries/command/dispatched.sql"))
        .bind(column(|row| row.tenant_id))
        .bind(column(|row| row.execution_id))
        .bind(
            created
                .iter()
                .map(|(row, _)| row.step_id.clone())
                .collect::<Vec<_>>(),
        )
        .bind(
            created
                .iter()
                .map(|(row, _)| row.attempt)
                .collect::<Vec<_>>(),
        )
        .bind(
            created
                .iter()
                .map(|(_, task)| task.uuid())
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await?;
    Ok(())
}

/// Records one attempt's task, as news of it tells, unless it is known; says which it is.
///
/// # Errors
/// When the database refuses.
pub async fn record_dispatch(
    connection: &mut PgConnection,
    tenant: TenantId,
    execution: ExecutionId,
    step_id: &str,
    attempt: u32,
    task: TaskId,
) -> Result<TaskId, Error> {
    let attempt = i32::try_from(attempt).unwrap_or(i32::MAX);
    let known: Option<Uuid> = sqlx::query_scalar(include_str!("queries/dispatch/get.sql"))
        .bind(tenant.uuid())
        .bind(execution.uuid())
        .bind(step_id)
        .bind(attempt)
        .fetch_optional(&mut *connection)
        .await?;
    let recorded = match known {
        Some(known) => known,
        None => {
            sqlx::query_scalar(include_str!("queries/dispatch/insert.sql"))
                .bind(tenant.uuid())
                .bind(execution.uuid())
                .bind(step_id)
                .bind(attempt)
                .bind(task.uuid())
                .fetch_one(connection)
                .await?
        }
    };
    Ok(TaskId::from_uuid(recorded))
}

/// Puts away news that cannot be applied.
///
/// # Errors
/// When the database refuses.
pub async fn bury(
    connection: &mut PgConnection,
    tenant: TenantId,
    execution: ExecutionId,
    (step_id, attempt): (&str, u32),
    sequence: i64,
    cause: &str,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/dead_news/insert.sql"))
        .bind(tenant.uuid())
        .bind(execution.uuid())
        .bind(step_id)
        .bind(i32::try_from(attempt).unwrap_or(i32::MAX))
        .bind(sequence)
        .bind(cause)
        .execute(connection)
        .await?;
    Ok(())
}
