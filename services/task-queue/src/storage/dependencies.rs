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
) -> Result<Vec<Dependent>, Error> {
    let (tenants, tasks) = columns(tasks);
    let rows: Vec<(Uuid, Uuid, Uuid)> =
        sqlx::query_as(include_str!("queries/task_dependency/dependents.sql"))
            .bind(tasks)
            .bind(tenants)
            .fetch_all(connection)
            .await?;
    let dependent = |(tenant, task, on)| Dependent {
        tenant_id: TenantId::from_uuid(tenant),
        task_id: TaskId::from_uuid(task),
        depends_on: TaskId::from_uuid(on),
    };
    Ok(rows.into_iter().map(dependent).collect())
}

/// A task that waits for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dependent {
    /// The owner of both.
    pub tenant_id: TenantId,
    /// Who waits.
    pub task_id: TaskId,
    /// For whom.
    pub depends_on: TaskId,
}

impl Dependent {
    /// Who waits, with its owner.
    pub const fn id(&self) -> (TenantId, TaskId) {
        (self.tenant_id, self.task_id)
    }
}

/// These do not wait for each other any more.
///
/// # Errors
/// When the database refuses.
pub async fn release(connection: &mut PgConnection, pairs: &[Dependent]) -> Result<(), Error> {
    sqlx::query(include_str!("queries/task_dependency/release.sql"))
        .bind(
            pairs
                .iter()
                .map(|one| one.depends_on.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(
            pairs
                .iter()
                .map(|one| one.task_id.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(
            pairs
                .iter()
                .map(|one| one.tenant_id.uuid())
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await?;
    Ok(())
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

/// How some tasks ended, and whether they were discarded; those that are not over are left out. They
/// stay so until the transaction ends.
///
/// # Errors
/// When the database refuses.
pub async fn end_states(
    connection: &mut PgConnection,
    tasks: &[(TenantId, TaskId)],
) -> Result<Vec<(TaskId, (State, bool))>, Error> {
    let (tenants, tasks) = columns(tasks);
    let rows: Vec<(Uuid, i16, bool)> =
        sqlx::query_as(include_str!("queries/task_outcome/states.sql"))
            .bind(tasks)
            .bind(tenants)
            .fetch_all(connection)
            .await?;
    rows.into_iter()
        .map(|(id, number, discarded)| {
            let state = super::state(id, number)?;
            Ok((TaskId::from_uuid(id), (state, discarded)))
        })
        .collect()
}
