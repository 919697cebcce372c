//! Which task waits for which.

use chrono::{DateTime, Utc};
use reeve_ids::{TaskId, TenantId, Uuid};
use sqlx::PgConnection;

use super::sweep::Unblocked;
use crate::Error;
use crate::domain::State;

/// Tenants and tasks, each as a column.
pub fn columns(tasks: &[(TenantId, TaskId)]) -> (Vec<Uuid>, Vec<Uuid>) {
    let pair = |(tenant, task): &(TenantId, TaskId)| (tenant.uuid(), task.uuid());
    tasks.iter().map(pair).unzip()
}

/// Which of these tasks are not over; they stay so until the transaction ends.
///
/// # Errors
/// When the database refuses.
pub async fn hold_dependencies(
    connection: &mut PgConnection,
    tasks: &[(TenantId, TaskId)],
) -> Result<Vec<TaskId>, Error> {
    let (tenants, tasks) = columns(tasks);
    let ids: Vec<Uuid> = sqlx::query_scalar(include_str!("queries/task_dependency/hold.sql"))
        .bind(tasks)
        .bind(tenants)
        .fetch_all(connection)
        .await?;
    Ok(ids.into_iter().map(TaskId::from_uuid).collect())
}

/// Who waits for these tasks; a task as often as it does.
///
/// # Errors
/// When the database refuses.
pub async fn dependents(
    connection: &mut PgConnection,
    tasks: &[(TenantId, TaskId)],
) -> Result<Vec<(TenantId, TaskId)>, Error> {
    let (tenants, tasks) = columns(tasks);
    let rows: Vec<(Uuid, Uuid)> =
        sqlx::query_as(include_str!("queries/task_dependency/dependents.sql"))
            .bind(tasks)
            .bind(tenants)
            .fetch_all(connection)
            .await?;
    let pair = |(tenant, task)| (TenantId::from_uuid(tenant), TaskId::from_uuid(task));
    Ok(rows.into_iter().map(pair).collect())
}

/// One dependency of each of these tasks is complete; a task may be named several times.
///
/// # Errors
/// When the database refuses.
pub async fn unblock(
    connection: &mut PgConnection,
    tasks: &[(TenantId, TaskId)],
    now: DateTime<Utc>,
) -> Result<Vec<Unblocked>, Error> {
    let (tenants, tasks) = columns(tasks);
    let rows = sqlx::query_as(include_str!("queries/task_run/unblock.sql"))
        .bind(tasks)
        .bind(tenants)
        .bind(now)
        .fetch_all(connection)
        .await?;
    Ok(rows)
}

/// How some tasks ended; those that are not over are left out.
///
/// # Errors
/// When the database refuses.
pub async fn end_states(
    connection: &mut PgConnection,
    tasks: &[(TenantId, TaskId)],
) -> Result<Vec<(TaskId, State)>, Error> {
    let (tenants, tasks) = columns(tasks);
    let rows: Vec<(Uuid, i16)> = sqlx::query_as(include_str!("queries/task_outcome/states.sql"))
        .bind(tasks)
        .bind(tenants)
        .fetch_all(connection)
        .await?;
    rows.into_iter()
        .map(|(id, number)| Ok((TaskId::from_uuid(id), super::state(id, number)?)))
        .collect()
}
