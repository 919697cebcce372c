//! What loops look for: time that has passed, order that Redis forgot, budgets to be asked.

use chrono::{DateTime, Utc};
use reeve_ids::{AgentId, TaskId, TenantId, Uuid};
use sqlx::{FromRow, PgConnection, PgPool};

use super::rows::{Facts, ReadyRow};
use crate::Error;
use crate::domain::{Admission, Hold, LeaseToken};

/// A run that time has overtaken.
#[derive(Debug, Clone, Copy, FromRow)]
pub struct Due {
    /// The task.
    pub task_id: Uuid,
    /// Its owner.
    pub tenant_id: Uuid,
    /// Its fence when it was found.
    pub fence: i64,
    /// 1 lapsed, 2 took too long, 3 waited too long, 4 cancellation not obeyed, 5 gate expired.
    pub cause: i16,
}

/// Before when what must have been due to be taken.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Timeouts.
    pub timeout: DateTime<Utc>,
    /// Requests to cancel.
    pub cancel: DateTime<Utc>,
    /// Leases.
    pub lease: DateTime<Utc>,
}

/// Runs that time has overtaken.
///
/// # Errors
/// When the database refuses.
pub async fn due(pool: &PgPool, before: Limits, limit: i64) -> Result<Vec<Due>, Error> {
    let rows = sqlx::query_as(include_str!("queries/task_run/due.sql"))
        .bind(before.timeout)
        .bind(before.cancel)
        .bind(before.lease)
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

/// How many tasks of a line are ready.
#[derive(Debug, Clone, FromRow)]
pub struct LineCount {
    /// The tenant.
    pub tenant_id: Uuid,
    /// The queue.
    pub queue: String,
    /// The capability.
    pub capability: String,
    /// What more an agent must meet.
    pub demand: String,
    /// The line within the lane, as its mark.
    pub line: String,
    /// How many.
    pub tasks: i64,
}

/// How many tasks of each line are ready.
///
/// # Errors
/// When the database refuses.
pub async fn ready_counts(pool: &PgPool, now: DateTime<Utc>) -> Result<Vec<LineCount>, Error> {
    let rows = sqlx::query_as(include_str!("queries/task_run/ready_counts.sql"))
        .bind(now)
        .fetch_all(pool)
        .await?;
    Ok(rows)
}

/// Tasks of some lines that have been ready since before a time, up to a place in each.
///
/// # Errors
/// When the database refuses.
pub async fn ready_of_lanes(
    pool: &PgPool,
    lines: &[(&LineCount, i64)],
    before: DateTime<Utc>,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<ReadyRow>, Error> {
    let text = |of: fn(&LineCount) -> &String| -> Vec<&str> {
        lines.iter().map(|(line, _)| of(line).as_str()).collect()
    };
    let tenants: Vec<_> = lines.iter().map(|(line, _)| line.tenant_id).collect();
    let rows = sqlx::query_as(include_str!("queries/task_run/ready_of_lanes.sql"))
        .bind(tenants)
        .bind(text(|line| &line.queue))
        .bind(text(|line| &line.capability))
        .bind(text(|line| &line.demand))
        .bind(text(|line| &line.line))
        .bind(lines.iter().map(|(_, last)| *last).collect::<Vec<_>>())
        .bind(before)
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
    /// Its spec.
    #[sqlx(flatten)]
    pub facts: Facts,
}

/// Tasks whose budget has to be asked; ones that were asked in vain, if that was before a time.
///
/// # Errors
/// When the database refuses.
pub async fn unadmitted(
    pool: &PgPool,
    asked_before: DateTime<Utc>,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Unadmitted>, Error> {
    let rows = sqlx::query_as(include_str!("queries/task_run/unadmitted.sql"))
        .bind(asked_before)
        .bind(now)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    Ok(rows)
}

impl Unadmitted {
    /// Whose it is, and which.
    pub fn id(&self) -> (TenantId, TaskId) {
        (
            TenantId::from_uuid(self.tenant_id),
            TaskId::from_uuid(self.task_id),
        )
    }
}

/// Writes what the budget said; the task's place, unless it has moved on. A task that is AWAITING
/// is asked for again at once.
///
/// # Errors
/// When the database refuses.
pub async fn admit(
    connection: &mut PgConnection,
    task: &Unadmitted,
    admission: Admission,
    hold: Option<Hold>,
    now: DateTime<Utc>,
) -> Result<Option<Admitted>, Error> {
    let admitted = sqlx::query_as(include_str!("queries/task_run/admit.sql"))
        .bind(task.task_id)
        .bind(task.tenant_id)
        .bind(task.version)
        .bind(admission.number())
        .bind(hold.map(|hold| hold.id.uuid()))
        .bind(hold.map(|hold| hold.expire_time))
        .bind((admission != Admission::Awaiting).then_some(now))
        .bind(now)
        .fetch_optional(connection)
        .await?;
    Ok(admitted)
}

/// A task whose budget lets it run.
#[derive(Debug, Clone, FromRow)]
pub struct Admitted {
    /// Its place.
    #[sqlx(flatten)]
    pub ready: ReadyRow,
    /// When it may run.
    pub ready_time: DateTime<Utc>,
}

/// Notes that the budgets of these tasks were asked in vain.
///
/// # Errors
/// When the database refuses.
pub async fn postpone(
    pool: &PgPool,
    tasks: &[&Unadmitted],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if tasks.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("queries/task_run/postpone.sql"))
        .bind(tasks.iter().map(|task| task.task_id).collect::<Vec<_>>())
        .bind(tasks.iter().map(|task| task.tenant_id).collect::<Vec<_>>())
        .bind(tasks.iter().map(|task| task.version).collect::<Vec<_>>())
        .bind(now)
        .execute(pool)
        .await?;
    Ok(())
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
