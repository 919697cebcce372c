//! What bulk calls look at, and what they write.

use chrono::{DateTime, Utc};
use reeve_ids::{AgentId, ProjectId, TaskId, TenantId, Uuid};
use sqlx::postgres::PgArguments;
use sqlx::query::QueryScalar;
use sqlx::types::Json as Stored;
use sqlx::{PgConnection, Postgres};

use super::Filter;
use crate::Error;
use crate::domain::Discard;

/// Which tasks a bulk call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Those that are not over.
    Open,
    /// Dead letters.
    Dead,
}

impl Kind {
    const fn choose(self) -> &'static str {
        match self {
            Self::Open => include_str!("queries/task/choose_open.sql"),
            Self::Dead => include_str!("queries/task/choose_dead.sql"),
        }
    }

    const fn count(self) -> &'static str {
        match self {
            Self::Open => concat!(
                "select count(*) from (",
                include_str!("queries/task/choose_open.sql"),
                ") as chosen"
            ),
            Self::Dead => concat!(
                "select count(*) from (",
                include_str!("queries/task/choose_dead.sql"),
                ") as chosen"
            ),
        }
    }
}

/// Tasks that a filter chooses, newest first, after one.
///
/// # Errors
/// When the database refuses.
pub async fn choose(
    connection: &mut PgConnection,
    kind: Kind,
    (tenant, filter): (TenantId, &Filter),
    after: Option<TaskId>,
    limit: i64,
) -> Result<Vec<TaskId>, Error> {
    let query = sqlx::query_scalar(kind.choose());
    let ids: Vec<Uuid> = bind(query, tenant, filter, after, limit)
        .fetch_all(connection)
        .await?;
    Ok(ids.into_iter().map(TaskId::from_uuid).collect())
}

/// How many tasks a filter chooses; counting ends at `limit`.
///
/// # Errors
/// When the database refuses.
pub async fn count(
    connection: &mut PgConnection,
    kind: Kind,
    (tenant, filter): (TenantId, &Filter),
    limit: i64,
) -> Result<i64, Error> {
    let query = sqlx::query_scalar(kind.count());
    let count = bind(query, tenant, filter, None, limit)
        .fetch_one(connection)
        .await?;
    Ok(count)
}

type Query<'q, T> = QueryScalar<'q, Postgres, T, PgArguments>;

fn bind<'q, T>(
    query: Query<'q, T>,
    tenant: TenantId,
    filter: &'q Filter,
    after: Option<TaskId>,
    limit: i64,
) -> Query<'q, T> {
    let labels = (!filter.labels.is_empty()).then_some(Stored(&filter.labels));
    let ids = filter.task_ids.iter().map(|task| task.uuid());
    query
        .bind(after.map(TaskId::uuid))
        .bind(tenant.uuid())
        .bind(&filter.states)
        .bind(&filter.queues)
        .bind(&filter.kinds)
        .bind(filter.project_id.map(ProjectId::uuid))
        .bind(filter.parent_task_id.map(TaskId::uuid))
        .bind(&filter.origin_kind)
        .bind(&filter.origin_resource_id)
        .bind(filter.agent_id.map(AgentId::uuid))
        .bind(labels)
        .bind(ids.collect::<Vec<Uuid>>())
        .bind(filter.created_from)
        .bind(filter.created_before)
        .bind(limit)
}

/// Locks the outcomes of tasks that are over, before it is read what became of them.
///
/// # Errors
/// When the database refuses.
pub async fn lock_outcomes(
    connection: &mut PgConnection,
    tenant: TenantId,
    tasks: &[TaskId],
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/task_outcome/lock.sql"))
        .bind(tasks.iter().map(|task| task.uuid()).collect::<Vec<_>>())
        .bind(tenant.uuid())
        .execute(connection)
        .await?;
    Ok(())
}

/// Marks dead letters as discarded.
///
/// # Errors
/// When the database refuses.
pub async fn insert_discards(
    connection: &mut PgConnection,
    tenant: TenantId,
    tasks: &[TaskId],
    discard: &Discard,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/task_discard/insert.sql"))
        .bind(tasks.iter().map(|task| task.uuid()).collect::<Vec<_>>())
        .bind(tenant.uuid())
        .bind(&discard.reason)
        .bind(discard.actor.kind)
        .bind(&discard.actor.subject)
        .bind(&discard.actor.display_name)
        .bind(discard.time)
        .execute(connection)
        .await?;
    Ok(())
}

/// Asks whoever holds these tasks to let go.
///
/// # Errors
/// When the database refuses.
pub async fn request_cancel(
    connection: &mut PgConnection,
    tenant: TenantId,
    tasks: &[TaskId],
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/task_run/request_cancel.sql"))
        .bind(tasks.iter().map(|task| task.uuid()).collect::<Vec<_>>())
        .bind(tenant.uuid())
        .bind(now)
        .bind(reason)
        .execute(connection)
        .await?;
    Ok(())
}
