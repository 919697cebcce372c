//! Leasing, renewing and what a holder says on the way.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use reeve_ids::{AgentId, TaskId, TenantId, Uuid};
use serde_json::Value as Json;
use sqlx::postgres::PgRow;
use sqlx::types::Json as Stored;
use sqlx::{FromRow, PgConnection, Row as _};

use super::rows::{AdvancedRow, PassedRow, ReadyRow};
use super::task_rows::GrantRow;
use crate::Error;
use crate::domain::{LeaseToken, State, Task, Usage};

/// A task to be leased to an agent.
#[derive(Debug, Clone)]
pub struct GrantAsk {
    /// The task.
    pub task_id: TaskId,
    /// The agent's tenant.
    pub tenant_id: TenantId,
    /// The agent.
    pub agent_id: AgentId,
    /// How long the lease lasts.
    pub lease_ms: i64,
    /// Whether it is IN_PROGRESS at once.
    pub start: bool,
    /// In which version the agent offers the capability.
    pub version: Option<Arc<str>>,
    /// Whether it is given the task even if it failed there.
    pub last_resort: bool,
    /// By how much the fence grows: at least 1, random.
    pub fence_step: i64,
}

/// What a statement leased.
#[derive(Debug, Default)]
pub struct Leased {
    /// The tasks with their tokens and checkpoints, in order of priority and age.
    pub tasks: Vec<(Task, LeaseToken, Option<Json>)>,
    /// Those of them that people answered.
    pub answered: Vec<(TenantId, TaskId)>,
    /// Tasks whose rows this version cannot read. They must not be leased.
    pub unreadable: Vec<TaskId>,
}

impl Leased {
    /// Reads what a statement answered.
    ///
    /// # Errors
    /// When even the id of a row cannot be read.
    pub fn read(rows: Vec<PgRow>) -> Result<Self, Error> {
        let mut leased = Self::default();
        for row in rows {
            let read = GrantRow::from_row(&row).map_err(Error::from);
            match read.and_then(GrantRow::into_parts) {
                Ok((task, fence, is_answered, checkpoint)) => {
                    let task_id = task.id;
                    if is_answered {
                        leased.answered.push((task.tenant_id, task_id));
                    }
                    leased
                        .tasks
                        .push((task, LeaseToken { task_id, fence }, checkpoint));
                }
                Err(error) => {
                    let id = TaskId::from_uuid(row.try_get("id")?);
                    tracing::error!(%error, task = %id, "a task cannot be read, so it is not leased");
                    leased.unreadable.push(id);
                }
            }
        }
        Ok(leased)
    }
}

/// Leases what can be leased. Tasks that a limit may choose only if they have room: their places
/// are taken.
///
/// # Errors
/// When the database refuses.
pub async fn grant(
    connection: &mut PgConnection,
    asks: &[&GrantAsk],
    now: DateTime<Utc>,
    has_room: bool,
) -> Result<Leased, Error> {
    let rows = sqlx::query(include_str!("queries/task_run/grant.sql"))
        .bind(
            asks.iter()
                .map(|ask| ask.task_id.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(
            asks.iter()
                .map(|ask| ask.tenant_id.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(
            asks.iter()
                .map(|ask| ask.agent_id.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(asks.iter().map(|ask| ask.lease_ms).collect::<Vec<_>>())
        .bind(asks.iter().map(|ask| ask.start).collect::<Vec<_>>())
        .bind(asks.iter().map(|ask| ask.fence_step).collect::<Vec<_>>())
        .bind(now)
        .bind(has_room)
        .bind(
            asks.iter()
                .map(|ask| ask.version.as_deref())
                .collect::<Vec<_>>(),
        )
        .bind(asks.iter().map(|ask| ask.last_resort).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    Leased::read(rows)
}

/// Of tasks that were popped and not granted: those that still wait.
///
/// # Errors
/// When the database refuses.
pub async fn passed_over(
    connection: &mut PgConnection,
    asks: &[&GrantAsk],
    now: DateTime<Utc>,
) -> Result<Vec<PassedRow>, Error> {
    let rows = sqlx::query_as(include_str!("queries/task_run/refused.sql"))
        .bind(
            asks.iter()
                .map(|ask| ask.task_id.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(
            asks.iter()
                .map(|ask| ask.tenant_id.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(now)
        .fetch_all(connection)
        .await?;
    Ok(rows)
}

/// The first ready tasks for an agent, without Redis.
///
/// # Errors
/// When the database refuses.
pub async fn pick(
    pool: &sqlx::PgPool,
    (tenant, agent): (TenantId, AgentId),
    (queues, offers): (&[String], &[(String, String)]),
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<ReadyRow>, Error> {
    let (capabilities, demands): (Vec<_>, Vec<_>) = offers
        .iter()
        .map(|(capability, demand)| (capability.as_str(), demand.as_str()))
        .unzip();
    let rows = sqlx::query_as(include_str!("queries/task_run/pick.sql"))
        .bind(tenant.uuid())
        .bind(queues)
        .bind(capabilities)
        .bind(now)
        .bind(agent.uuid())
        .bind(limit)
        .bind(demands)
        .fetch_all(pool)
        .await?;
    Ok(rows)
}

/// A lease to be renewed.
#[derive(Debug, Clone)]
pub struct Renewal {
    /// The lease.
    pub token: LeaseToken,
    /// The holder's tenant.
    pub tenant_id: TenantId,
    /// For how long.
    pub lease_ms: i64,
}

/// A lease that was renewed.
#[derive(Debug, Clone, FromRow)]
pub struct Renewed {
    /// The task.
    pub task_id: Uuid,
    /// Its owner.
    pub tenant_id: Uuid,
    /// Its fence.
    pub fence: i64,
    /// When it lapses now.
    pub lease_until: Option<DateTime<Utc>>,
    /// Whether cancellation was asked for.
    pub cancel_requested: bool,
    /// Why.
    pub cancel_reason: Option<String>,
}

/// Renews leases; those that are not returned are lost.
///
/// # Errors
/// When the database refuses.
pub async fn renew(
    connection: &mut PgConnection,
    renewals: &[Renewal],
    now: DateTime<Utc>,
) -> Result<Vec<Renewed>, Error> {
    let rows = sqlx::query_as(include_str!("queries/task_run/renew.sql"))
        .bind(
            renewals
                .iter()
                .map(|renewal| renewal.token.task_id.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(
            renewals
                .iter()
                .map(|renewal| renewal.tenant_id.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(
            renewals
                .iter()
                .map(|renewal| renewal.token.fence)
                .collect::<Vec<_>>(),
        )
        .bind(
            renewals
                .iter()
                .map(|renewal| renewal.lease_ms)
                .collect::<Vec<_>>(),
        )
        .bind(now)
        .fetch_all(connection)
        .await?;
    Ok(rows)
}

impl Renewed {
    /// Whether it is this lease.
    pub fn is_of(&self, token: LeaseToken) -> bool {
        self.task_id == token.task_id.uuid() && self.fence == token.fence
    }
}

/// The current leases of some tasks.
///
/// # Errors
/// When the database refuses.
pub async fn standing_of(
    pool: &sqlx::PgPool,
    tenant: TenantId,
    tasks: &[TaskId],
) -> Result<Vec<Renewed>, Error> {
    let rows = sqlx::query_as(include_str!("queries/task_run/standing.sql"))
        .bind(tasks.iter().map(|task| task.uuid()).collect::<Vec<_>>())
        .bind(tenant.uuid())
        .fetch_all(pool)
        .await?;
    Ok(rows)
}

/// A lease whose task moves on.
#[derive(Debug, Clone)]
pub struct Advance {
    /// The lease.
    pub token: LeaseToken,
    /// The holder's tenant.
    pub tenant_id: TenantId,
    /// ACCEPTED or IN_PROGRESS.
    pub target: State,
}

/// Moves tasks on; those that are not returned are lost.
///
/// # Errors
/// When the database refuses.
pub async fn advance(
    connection: &mut PgConnection,
    advances: &[Advance],
    now: DateTime<Utc>,
) -> Result<Vec<AdvancedRow>, Error> {
    let rows = sqlx::query_as(include_str!("queries/task_run/advance.sql"))
        .bind(
            advances
                .iter()
                .map(|advance| advance.token.task_id.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(
            advances
                .iter()
                .map(|advance| advance.tenant_id.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(
            advances
                .iter()
                .map(|advance| advance.token.fence)
                .collect::<Vec<_>>(),
        )
        .bind(
            advances
                .iter()
                .map(|advance| advance.target.number())
                .collect::<Vec<_>>(),
        )
        .bind(now)
        .fetch_all(connection)
        .await?;
    Ok(rows)
}

/// What a holder reports.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The lease.
    pub token: LeaseToken,
    /// The holder's tenant.
    pub tenant_id: TenantId,
    /// 0 to 100.
    pub percent: f64,
    /// Sentence for people.
    pub message: String,
    /// What a next attempt needs; nothing: what it was.
    pub checkpoint: Option<Json>,
    /// Consumed so far; nothing: what it was.
    pub usage: Option<Vec<Usage>>,
    /// How large the report was.
    pub bytes: usize,
}

/// Stores reports of tasks that are held; at most one for each task.
///
/// # Errors
/// When the database refuses.
pub async fn put_progress(
    connection: &mut PgConnection,
    reports: &[&Progress],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if reports.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("queries/task_progress/put.sql"))
        .bind(
            reports
                .iter()
                .map(|report| report.token.task_id.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(
            reports
                .iter()
                .map(|report| report.tenant_id.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(
            reports
                .iter()
                .map(|report| report.token.fence)
                .collect::<Vec<_>>(),
        )
        .bind(
            reports
                .iter()
                .map(|report| report.percent)
                .collect::<Vec<_>>(),
        )
        .bind(
            reports
                .iter()
                .map(|report| report.message.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            reports
                .iter()
                .map(|report| report.checkpoint.as_ref())
                .collect::<Vec<_>>(),
        )
        .bind(
            reports
                .iter()
                .map(|report| report.usage.as_ref().map(Stored))
                .collect::<Vec<_>>(),
        )
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}
