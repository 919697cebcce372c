//! Storing new tasks.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::{ProjectId, TaskId, TenantId, Uuid};
use serde_json::Value as Json;
use sqlx::PgConnection;
use sqlx::types::Json as Stored;

use super::Details;
use super::dependencies::columns;
use crate::Error;
use crate::domain::{NewTask, Placement};

/// A request id that was claimed before.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Claimed {
    /// Index in the question, from 1.
    pub position: i64,
    /// Who claimed it.
    pub task_id: Uuid,
    /// With what body.
    pub digest: Vec<u8>,
}

/// Claims the request ids of those tasks that have one; answers for those that were claimed before and
/// are not free again,
/// with their index in `tasks`.
///
/// # Errors
/// When the database refuses.
pub async fn claim_requests(
    connection: &mut PgConnection,
    tasks: &[&NewTask],
    now: DateTime<Utc>,
) -> Result<Vec<(usize, Claimed)>, Error> {
    let asked: Vec<_> = tasks
        .iter()
        .enumerate()
        .filter_map(|(index, task)| task.request.as_ref().map(|request| (index, *task, request)))
        .collect();
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    // Of those that are twice in this flush, the first.
    let mut seen = HashSet::new();
    let first: Vec<_> = asked
        .iter()
        .filter(|(_, task, request)| seen.insert((task.tenant_id, &request.id)))
        .collect();
    let won: Vec<Uuid> = sqlx::query_scalar(include_str!("queries/task_request/claim.sql"))
        .bind(
            first
                .iter()
                .map(|(_, task, _)| task.tenant_id.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(
            first
                .iter()
                .map(|(_, _, request)| request.id.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            first
                .iter()
                .map(|(_, task, _)| task.id.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(
            first
                .iter()
                .map(|(_, _, request)| request.digest.as_slice())
                .collect::<Vec<_>>(),
        )
        .bind(
            first
                .iter()
                .map(|(_, task, request)| request.window.map(|window| task.create_time + window))
                .collect::<Vec<_>>(),
        )
        .bind(now)
        .fetch_all(&mut *connection)
        .await?;
    if won.len() == asked.len() {
        return Ok(Vec::new());
    }
    let won: std::collections::HashSet<_> = won.into_iter().collect();
    let lost: Vec<_> = asked
        .iter()
        .filter(|(_, task, _)| !won.contains(&task.id.uuid()))
        .collect();
    let found: Vec<Claimed> = sqlx::query_as(include_str!("queries/task_request/find.sql"))
        .bind(
            lost.iter()
                .map(|(_, task, _)| task.tenant_id.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(
            lost.iter()
                .map(|(_, _, request)| request.id.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(now)
        .fetch_all(connection)
        .await?;
    let index = |position: i64| {
        usize::try_from(position - 1)
            .ok()
            .and_then(|at| lost.get(at))
    };
    Ok(found
        .into_iter()
        .filter_map(|claimed| index(claimed.position).map(|(index, ..)| (*index, claimed)))
        .collect())
}

/// The digests of those of a tenant's request ids that were claimed.
///
/// # Errors
/// When the database refuses.
pub async fn find_requests(
    connection: &mut PgConnection,
    tenant: TenantId,
    requests: &[&str],
    now: DateTime<Utc>,
) -> Result<HashMap<String, Vec<u8>>, Error> {
    let found: Vec<Claimed> = sqlx::query_as(include_str!("queries/task_request/find.sql"))
        .bind(vec![tenant.uuid(); requests.len()])
        .bind(requests)
        .bind(now)
        .fetch_all(connection)
        .await?;
    let request = |position: i64| {
        let at = usize::try_from(position - 1).ok()?;
        requests.get(at).map(|request| (*request).to_owned())
    };
    let found = found.into_iter();
    Ok(found
        .filter_map(|claimed| Some((request(claimed.position)?, claimed.digest)))
        .collect())
}

/// Gives the request ids of these tasks back.
///
/// # Errors
/// When the database refuses.
pub async fn unclaim_requests(
    connection: &mut PgConnection,
    tasks: &[&NewTask],
) -> Result<(), Error> {
    let claimed = tasks.iter().filter_map(|task| {
        let request = task.request.as_ref()?;
        Some((task.tenant_id.uuid(), request.id.as_str(), task.id.uuid()))
    });
    let claimed: Vec<_> = claimed.collect();
    if claimed.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("queries/task_request/unclaim.sql"))
        .bind(claimed.iter().map(|one| one.0).collect::<Vec<_>>())
        .bind(claimed.iter().map(|one| one.1).collect::<Vec<_>>())
        .bind(claimed.iter().map(|one| one.2).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

/// Which of these tasks exist, each in its tenant.
///
/// # Errors
/// When the database refuses.
pub async fn existing_tasks(
    connection: &mut PgConnection,
    tasks: &[(TenantId, TaskId)],
) -> Result<Vec<(TenantId, TaskId)>, Error> {
    let (tenants, tasks) = columns(tasks);
    let found: Vec<(Uuid, Uuid)> = sqlx::query_as(include_str!("queries/task/existing.sql"))
        .bind(tasks)
        .bind(tenants)
        .fetch_all(connection)
        .await?;
    let pair = |(tenant, task)| (TenantId::from_uuid(tenant), TaskId::from_uuid(task));
    Ok(found.into_iter().map(pair).collect())
}

/// Stores tasks, each with how many of its dependencies are not complete; answers which of them a
/// brake holds.
///
/// # Errors
/// When the database refuses.
pub async fn insert_tasks(
    connection: &mut PgConnection,
    tasks: &[(&NewTask, i32)],
) -> Result<HashSet<TaskId>, Error> {
    if tasks.is_empty() {
        return Ok(HashSet::new());
    }
    let column = Column(tasks);
    let millis = |span: Option<TimeDelta>| span.map(|span| span.num_milliseconds());
    let braked: Vec<Uuid> = sqlx::query_scalar(include_str!("queries/task/insert.sql"))
        .bind(column.of(|task| task.id.uuid()))
        .bind(column.of(|task| task.tenant_id.uuid()))
        .bind(column.of(|task| task.spec.kind.as_str()))
        .bind(column.of(|task| task.spec.title.as_str()))
        .bind(column.of(|task| task.spec.queue.as_str()))
        .bind(column.of(|task| task.spec.capability.as_str()))
        .bind(column.of(|task| task.spec.priority.number()))
        .bind(column.of(|task| task.spec.parameters.as_ref()) as Vec<Option<&Json>>)
        .bind(column.of(|task| task.spec.project_id.map(ProjectId::uuid)))
        .bind(column.of(|task| task.spec.parent_task_id.map(TaskId::uuid)))
        .bind(column.of(|task| task.spec.origin.as_ref().map(|origin| origin.kind.as_str())))
        .bind(column.of(|task| task.spec.origin.as_ref().map(|o| o.resource_id.as_str())))
        .bind(column.of(|task| Stored(&task.spec.labels)))
        .bind(column.of(|task| Stored(Details::from(task))))
        .bind(column.of(|task| task.create_time))
        .bind(column.of(|task| millis(task.spec.timeouts.heartbeat)))
        .bind(column.of(|task| millis(task.spec.timeouts.start_to_close)))
        .bind(
            tasks
                .iter()
                .map(|(_, blocked_by)| *blocked_by)
                .collect::<Vec<_>>(),
        )
        .bind(column.of(|task| task.admission().number()))
        .bind(column.of(NewTask::order_score))
        .bind(column.of(NewTask::ready_time))
        .bind(column.of(NewTask::start_deadline) as Vec<Option<DateTime<Utc>>>)
        .bind(column.of(|task| task.spec.demand.as_str()))
        .bind(column.of(|task| task.spec.line()))
        .bind(column.of(|task| task.spec.line_weight()))
        .bind(column.of(|task| !task.spec.concurrency_keys.is_empty()))
        .bind(column.of(|task| avoided(&task.spec.placement)) as Vec<Option<String>>)
        .fetch_all(&mut *connection)
        .await?;
    insert_dependencies(connection, tasks).await?;
    Ok(braked.into_iter().map(TaskId::from_uuid).collect())
}

async fn insert_dependencies(
    connection: &mut PgConnection,
    tasks: &[(&NewTask, i32)],
) -> Result<(), Error> {
    let pairs: Vec<_> = tasks
        .iter()
        .filter(|(_, blocked_by)| *blocked_by > 0)
        .flat_map(|(task, _)| {
            task.spec
                .depends_on
                .iter()
                .map(move |on| (on.uuid(), *task))
        })
        .collect();
    if pairs.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("queries/task_dependency/insert.sql"))
        .bind(pairs.iter().map(|(on, _)| *on).collect::<Vec<_>>())
        .bind(
            pairs
                .iter()
                .map(|(_, task)| task.id.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(
            pairs
                .iter()
                .map(|(_, task)| task.tenant_id.uuid())
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await?;
    Ok(())
}

/// The agents that a task avoids as PostgreSQL writes an array, because a column of arrays cannot be
/// taken apart; nothing for none.
fn avoided(placement: &Placement) -> Option<String> {
    let ids: Vec<_> = placement.avoid.iter().map(ToString::to_string).collect();
    (!ids.is_empty()).then(|| format!("{{{}}}", ids.join(",")))
}

struct Column<'a>(&'a [(&'a NewTask, i32)]);

impl<'a> Column<'a> {
    fn of<T>(&self, value: impl Fn(&'a NewTask) -> T) -> Vec<T> {
        self.0.iter().map(|(task, _)| value(task)).collect()
    }
}
