//! Reading tasks for clients.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use reeve_ids::{AgentId, ProjectId, TaskId, TenantId, Uuid};
use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::types::Json as Stored;
use sqlx::{FromRow as _, PgConnection, Row as _};

use super::task_rows::{AttemptRow, TaskRow};
use crate::Error;
use crate::domain::{Attempt, Children, Task};

/// Chooses tasks; what is empty or `None` chooses all. Serialized, it binds page tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Filter {
    /// One of these states, by number.
    pub states: Vec<i16>,
    /// One of these queues.
    pub queues: Vec<String>,
    /// One of these types.
    pub kinds: Vec<String>,
    /// This project.
    pub project_id: Option<ProjectId>,
    /// This parent.
    pub parent_task_id: Option<TaskId>,
    /// This kind of origin.
    pub origin_kind: Option<String>,
    /// This origin.
    pub origin_resource_id: Option<String>,
    /// This agent.
    pub agent_id: Option<AgentId>,
    /// These labels.
    pub labels: BTreeMap<String, String>,
    /// These tasks.
    pub task_ids: Vec<TaskId>,
    /// Dead letters only.
    pub dead: bool,
    /// Created then or later.
    pub created_from: Option<DateTime<Utc>>,
    /// Created before.
    pub created_before: Option<DateTime<Utc>>,
}

impl Filter {
    /// Whether a task that was read is chosen.
    pub fn chooses(&self, task: &Task) -> bool {
        fn any<T: PartialEq>(choices: &[T], value: &T) -> bool {
            choices.is_empty() || choices.contains(value)
        }
        let spec = &task.spec;
        let origin = spec.origin.as_ref();
        any(&self.states, &task.state.number())
            && any(&self.queues, &spec.queue)
            && any(&self.kinds, &spec.kind)
            && any(&self.task_ids, &task.id)
            && self.project_id.is_none_or(|id| spec.project_id == Some(id))
            && self
                .parent_task_id
                .is_none_or(|id| spec.parent_task_id == Some(id))
            && self
                .origin_kind
                .as_ref()
                .is_none_or(|kind| origin.is_some_and(|o| o.kind == *kind))
            && self
                .origin_resource_id
                .as_ref()
                .is_none_or(|id| origin.is_some_and(|o| o.resource_id == *id))
            && self.agent_id.is_none_or(|id| task.agent_id == Some(id))
            && self
                .labels
                .iter()
                .all(|(key, value)| spec.labels.get(key) == Some(value))
            && (!self.dead || task.dead)
            && self
                .created_from
                .is_none_or(|time| task.create_time >= time)
            && self
                .created_before
                .is_none_or(|time| task.create_time < time)
    }
}

/// Tasks by id, newest first; those of other tenants are left out.
///
/// # Errors
/// When the database refuses, or a row is corrupt.
pub async fn get(
    connection: &mut PgConnection,
    tenant: TenantId,
    tasks: &[TaskId],
    full: bool,
) -> Result<Vec<Task>, Error> {
    let rows: Vec<TaskRow> = sqlx::query_as(include_str!("queries/task/get.sql"))
        .bind(tasks.iter().map(|task| task.uuid()).collect::<Vec<_>>())
        .bind(tenant.uuid())
        .bind(full)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(TaskRow::into_task).collect()
}

/// As [`get`], without the tasks that this version cannot read: one of them must not hide the others.
///
/// # Errors
/// When the database refuses.
pub async fn get_readable(
    connection: &mut PgConnection,
    tenant: TenantId,
    tasks: &[TaskId],
    full: bool,
) -> Result<Vec<Task>, Error> {
    let rows = sqlx::query(include_str!("queries/task/get.sql"))
        .bind(tasks.iter().map(|task| task.uuid()).collect::<Vec<_>>())
        .bind(tenant.uuid())
        .bind(full)
        .fetch_all(connection)
        .await?;
    Ok(rows.iter().filter_map(readable).collect())
}

fn readable(row: &PgRow) -> Option<Task> {
    let read = TaskRow::from_row(row).map_err(Error::from);
    read.and_then(TaskRow::into_task)
        .inspect_err(|error| tracing::error!(%error, "a task cannot be read and is left out"))
        .ok()
}

/// Attempts of a task that ended before its last, oldest first.
///
/// # Errors
/// When the database refuses, or a row is corrupt.
pub async fn attempts(
    connection: &mut PgConnection,
    tenant: TenantId,
    task: TaskId,
) -> Result<Vec<Attempt>, Error> {
    let rows: Vec<AttemptRow> = sqlx::query_as(include_str!("queries/attempt/of_task.sql"))
        .bind(task.uuid())
        .bind(tenant.uuid())
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(|row| row.into_attempt(task)).collect()
}

/// How many children a task has in each state.
///
/// # Errors
/// When the database refuses, or a row is corrupt.
pub async fn children(
    connection: &mut PgConnection,
    tenant: TenantId,
    task: TaskId,
) -> Result<Children, Error> {
    let rows: Vec<(i16, i32)> = sqlx::query_as(include_str!("queries/task/children.sql"))
        .bind(tenant.uuid())
        .bind(task.uuid())
        .fetch_all(connection)
        .await?;
    let mut children = Children::default();
    for (number, tasks) in rows {
        children.add(super::state(task.uuid(), number)?, tasks);
    }
    Ok(children)
}

/// Rows of a list.
#[derive(Debug)]
pub struct Listed {
    /// The tasks, without those that this version cannot read.
    pub tasks: Vec<Task>,
    /// Where to go on, if there may be more.
    pub next: Option<TaskId>,
}

/// Tasks of a tenant, newest first, after `after`.
///
/// # Errors
/// When the database refuses.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    filter: &Filter,
    after: Option<TaskId>,
    full: bool,
    limit: i64,
) -> Result<Listed, Error> {
    let labels = (!filter.labels.is_empty()).then_some(Stored(&filter.labels));
    let rows = sqlx::query(include_str!("queries/task/list.sql"))
        .bind(after.map(TaskId::uuid))
        .bind(tenant.uuid())
        .bind(full)
        .bind(&filter.states)
        .bind(&filter.queues)
        .bind(&filter.kinds)
        .bind(filter.project_id.map(ProjectId::uuid))
        .bind(filter.parent_task_id.map(TaskId::uuid))
        .bind(&filter.origin_kind)
        .bind(&filter.origin_resource_id)
        .bind(filter.agent_id.map(AgentId::uuid))
        .bind(labels)
        .bind(
            filter
                .task_ids
                .iter()
                .map(|task| task.uuid())
                .collect::<Vec<Uuid>>(),
        )
        .bind(filter.dead)
        .bind(filter.created_from)
        .bind(filter.created_before)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    let full = i64::try_from(rows.len()).is_ok_and(|rows| rows == limit);
    let last = rows.last().filter(|_| full);
    let next = last.map(|row| row.try_get("id")).transpose()?;
    Ok(Listed {
        tasks: rows.iter().filter_map(readable).collect(),
        next: next.map(TaskId::from_uuid),
    })
}
