//! Tasks that are parts of others.

use reeve_ids::{TaskId, TenantId, Uuid};
use sqlx::PgConnection;

use crate::Error;
use crate::domain::Spec;

/// Of the tasks above a part that is to be made of `parent`: whether each is about the same as the
/// part. They are more than `most` if the chain is longer.
///
/// # Errors
/// When the database refuses.
pub async fn ancestors(
    connection: &mut PgConnection,
    (tenant, parent): (TenantId, TaskId),
    part: &Spec,
    most: usize,
) -> Result<Vec<bool>, Error> {
    let same = sqlx::query_scalar(include_str!("queries/task/ancestors.sql"))
        .bind(parent.uuid())
        .bind(tenant.uuid())
        .bind(&part.kind)
        .bind(&part.capability)
        .bind(&part.parameters)
        .bind(i32::try_from(most).unwrap_or(i32::MAX))
        .fetch_all(connection)
        .await?;
    Ok(same)
}

/// Which of some tasks are parts of one.
///
/// # Errors
/// When the database refuses.
pub async fn parts_of(
    connection: &mut PgConnection,
    (tenant, parent): (TenantId, TaskId),
    tasks: &[TaskId],
) -> Result<Vec<TaskId>, Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(include_str!("queries/task/parts.sql"))
        .bind(tasks.iter().map(|task| task.uuid()).collect::<Vec<_>>())
        .bind(tenant.uuid())
        .bind(parent.uuid())
        .fetch_all(connection)
        .await?;
    Ok(ids.into_iter().map(TaskId::from_uuid).collect())
}
