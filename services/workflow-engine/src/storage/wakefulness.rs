//! What will wake an execution.

use chrono::{DateTime, Utc};
use reeve_ids::{ExecutionId, TenantId};
use sqlx::postgres::PgPool;
use sqlx::{FromRow, PgConnection};

use super::Error;
use crate::domain::diagnose::{Source, WakeSource};
use crate::domain::event::TimerKind;

#[derive(Debug, FromRow)]
struct Row {
    source: String,
    step_id: String,
    attempt: i32,
    at: DateTime<Utc>,
}

/// An execution's timers, commands and tasks.
///
/// # Errors
/// When the database refuses.
pub async fn sources(
    connection: &mut PgConnection,
    tenant: TenantId,
    execution: ExecutionId,
) -> Result<Vec<WakeSource>, Error> {
    let rows: Vec<Row> = sqlx::query_as(include_str!("queries/execution/wake_sources.sql"))
        .bind(tenant.uuid())
        .bind(execution.uuid())
        .fetch_all(connection)
        .await?;
    let sources = rows.into_iter().filter_map(|row| {
        let source = match row.source.split_once(':') {
            Some(("TIMER", kind)) => Source::Timer(TimerKind::parse(kind)?),
            Some(("COMMAND", kind)) => Source::Command {
                creates: kind == "CREATE_TASK",
            },
            _ => Source::Task,
        };
        let attempt = u32::try_from(row.attempt).ok()?;
        Some(WakeSource {
            source,
            step_id: row.step_id,
            attempt,
            at: row.at,
        })
    });
    Ok(sources.collect())
}

/// Whether the view says that nothing will ever wake an execution.
///
/// # Errors
/// When the database refuses.
pub async fn is_asleep(
    connection: &mut PgConnection,
    tenant: TenantId,
    execution: ExecutionId,
) -> Result<bool, Error> {
    Ok(
        sqlx::query_scalar(include_str!("queries/execution/without_wake_source.sql"))
            .bind(tenant.uuid())
            .bind(execution.uuid())
            .fetch_one(connection)
            .await?,
    )
}

/// How many executions of all tenants nothing will ever wake. Anything but 0 is a bug.
///
/// # Errors
/// When the database refuses.
pub async fn count_asleep(pool: &PgPool) -> Result<i64, Error> {
    let query = include_str!("queries/execution/count_without_wake_source.sql");
    Ok(sqlx::query_scalar(query).fetch_one(pool).await?)
}
