//! What loops look for: time that has passed, order that Redis forgot, budgets to be asked.

use chrono::{DateTime, Utc};
use reeve_ids::{AgentId, HoldId, TaskId, TenantId, Uuid};
use sqlx::{FromRow, PgConnection, PgPool};

use super::rows::{Facts, ReadyRow};
use crate::Error;
use crate::domain::{Admission, LeaseToken};

/// A run that time has overtaken.
#[derive(Debug, Clone, Copy, FromRow)]
pub struct Due {
    /// The task.
    pub task_id: Uuid,
    /// Its owner.
    pub tenant_id: Uuid,
    /// Its fence when it was found.
    pub fence: i64,
    /// 1 lapsed, 2 took too long, 3 waited too long, 4 cancellation not obeyed.
    pub cause: i16,
}

/// Runs that time has overtaken.
///
/// # Errors
/// When the database refuses.
pub async fn due(
    pool: &PgPool,
    now: DateTime<Utc>,
    cancelled_before: DateTime<Utc>,
    lapsed_before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Due>, Error> {
    let rows = sqlx::query_as(include_str!("queries/task_run/due.sql"))
        .bind(now)
        .bind(cancelled_before)
        .bind(lapsed_before)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    Ok(rows)
}

/// What an agent holds.
///
/// # Errors
/// When the database refuses.
pub async fn held_by(
    pool: &PgPool,
    tenant: TenantId,
    agent: AgentId,
) -> Result<Vec<LeaseToken>, Error> {
    let rows: Vec<(Uuid, Uuid, i64)> =
        sqlx::query_as(include_str!("queries/task_run/of_agents.sql"))
            .bind(tenant.uuid())
            .bind(agent.uuid())
            .fetch_all(pool)
            .await?;
    let token = |(id, _, fence)| LeaseToken {
        task_id: TaskId::from_uuid(id),
        fence,
    };
    Ok(rows.into_iter().map(token).collect())
}

/// How many tasks of a lane are ready.
#[derive(Debug, Clone, FromRow)]
pub struct LaneCount {
    /// The tenant.
    pub tenant_id: Uuid,
    /// The queue.
    pub queue: String,
    /// The capability.
    pub capability: String,
    /// How many.
    pub tasks: i64,
}

/// How many tasks of each lane have been ready since before a time.
///
/// # Errors
/// When the database refuses.
pub async fn ready_counts(pool: &PgPool, before: DateTime<Utc>) -> Result<Vec<LaneCount>, Error> {
    let rows = sqlx::query_as(include_str!("queries/task_run/ready_counts.sql"))
        .bind(before)
        .fetch_all(pool)
        .await?;
    Ok(rows)
}

/// The first ready tasks of a lane with their places.
///
/// # Errors
/// When the database refuses.
pub async fn ready_of_lane(
    pool: &PgPool,
    lane: &LaneCount,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(Uuid, i64)>, Error> {
    let rows = sqlx::query_as(include_str!("queries/task_run/ready_of_lane.sql"))
        .bind(lane.tenant_id)
        .bind(&lane.queue)
        .bind(&lane.capability)
        .bind(now)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    Ok(rows)
}

/// Ready tasks by id, after one.
///
/// # Errors
/// When the database refuses.
pub async fn ready_page(
    pool: &PgPool,
    after: Uuid,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<ReadyRow>, Error> {
    let rows = sqlx::query_as(include_str!("queries/task_run/ready_page.sql"))
        .bind(after)
        .bind(now)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    Ok(rows)
}

/// A task whose budget has to be asked.
#[derive(Debug, Clone, FromRow)]
pub struct Unadmitted {
    /// The task.
    pub task_id: Uuid,
    /// Its owner.
    pub tenant_id: Uuid,
    /// Deliveries so far.
    pub attempt: i32,
    /// Its version, which must not change meanwhile.
    pub version: i32,
    /// What the budget said last.
    pub admission: i16,
    /// What it needs.
    pub capability: String,
    /// Its spec.
    #[sqlx(flatten)]
    pub facts: Facts,
}

/// Tasks whose budget has to be asked.
///
/// # Errors
/// When the database refuses.
pub async fn unadmitted(
    pool: &PgPool,
    refused_before: DateTime<Utc>,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Unadmitted>, Error> {
    let rows = sqlx::query_as(include_str!("queries/task_run/unadmitted.sql"))
        .bind(refused_before)
        .bind(now)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    Ok(rows)
}

/// Writes what the budget said; the task's place, unless it has moved on.
///
/// # Errors
/// When the database refuses.
pub async fn admit(
    connection: &mut PgConnection,
    task: &Unadmitted,
    admission: Admission,
    hold: Option<HoldId>,
    now: DateTime<Utc>,
) -> Result<Option<(DateTime<Utc>, i64)>, Error> {
    let place: Option<(DateTime<Utc>, i64, i32)> =
        sqlx::query_as(include_str!("queries/task_run/admit.sql"))
            .bind(task.task_id)
            .bind(task.tenant_id)
            .bind(task.version)
            .bind(admission.number())
            .bind(hold.map(HoldId::uuid))
            .bind(now)
            .fetch_optional(connection)
            .await?;
    Ok(place.map(|(ready_time, score, _)| (ready_time, score)))
}

/// A task of whose dependencies one more is complete.
#[derive(Debug, Clone, FromRow)]
pub struct Unblocked {
    /// Its place.
    #[sqlx(flatten)]
    pub ready: ReadyRow,
    /// When it may run.
    pub ready_time: DateTime<Utc>,
    /// How many are not complete yet.
    pub blocked_by: i32,
    /// What its budget says.
    pub admission: i16,
}
