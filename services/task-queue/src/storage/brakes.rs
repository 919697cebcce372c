//! Brakes, and the tasks that they hold.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use reeve_ids::{BrakeId, TaskId, TenantId, Uuid};
use sqlx::types::Json as Stored;
use sqlx::{FromRow, PgConnection, PgPool};

use super::rows::{LockedRow, ReadyRow};
use crate::Error;
use crate::domain::{Actor, Brake, Selector};

/// The class of the advisory locks between grants and brakes.
pub const GRANTS: i32 = 0x6772_616e;

#[derive(Debug, FromRow)]
struct BrakeRow {
    tenant_id: Uuid,
    name: String,
    id: Uuid,
    queues: Vec<String>,
    types: Vec<String>,
    capabilities: Vec<String>,
    labels: Stored<BTreeMap<String, String>>,
    reason: String,
    creator_kind: i16,
    creator_subject: String,
    creator_name: String,
    create_time: DateTime<Utc>,
}

impl From<BrakeRow> for Brake {
    fn from(row: BrakeRow) -> Self {
        Self {
            id: BrakeId::from_uuid(row.id),
            tenant_id: TenantId::from_uuid(row.tenant_id),
            name: row.name,
            selector: Selector {
                queues: row.queues,
                kinds: row.types,
                capabilities: row.capabilities,
                labels: row.labels.0,
            },
            reason: row.reason,
            creator: Actor {
                kind: row.creator_kind,
                subject: row.creator_subject,
                display_name: row.creator_name,
            },
            create_time: row.create_time,
        }
    }
}

/// The key of a tenant's lock in the class [`GRANTS`]. Two tenants that share one wait for each other
/// now and then, and nothing else.
pub fn lock_key(tenant: TenantId) -> i32 {
    let [.., a, b, c, d] = tenant.uuid().into_bytes();
    i32::from_be_bytes([a, b, c, d])
}

/// Sets a brake; false when its name is taken.
///
/// # Errors
/// When the database refuses.
pub async fn insert_brake(connection: &mut PgConnection, brake: &Brake) -> Result<bool, Error> {
    let inserted = sqlx::query(include_str!("queries/brake/insert.sql"))
        .bind(brake.tenant_id.uuid())
        .bind(&brake.name)
        .bind(brake.id.uuid())
        .bind(&brake.selector.queues)
        .bind(&brake.selector.kinds)
        .bind(&brake.selector.capabilities)
        .bind(Stored(&brake.selector.labels))
        .bind(&brake.reason)
        .bind(brake.creator.kind)
        .bind(&brake.creator.subject)
        .bind(&brake.creator.display_name)
        .bind(brake.create_time)
        .execute(connection)
        .await?;
    Ok(inserted.rows_affected() == 1)
}

/// A brake by name.
///
/// # Errors
/// When the database refuses.
pub async fn get_brake(
    connection: &mut PgConnection,
    tenant: TenantId,
    name: &str,
) -> Result<Option<Brake>, Error> {
    let row: Option<BrakeRow> = sqlx::query_as(include_str!("queries/brake/get.sql"))
        .bind(tenant.uuid())
        .bind(name)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(Brake::from))
}

/// A tenant's brakes by name, after one.
///
/// # Errors
/// When the database refuses.
pub async fn list_brakes(
    connection: &mut PgConnection,
    tenant: TenantId,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Brake>, Error> {
    let rows: Vec<BrakeRow> = sqlx::query_as(include_str!("queries/brake/list.sql"))
        .bind(tenant.uuid())
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(Brake::from).collect())
}

/// How many brakes a tenant has.
///
/// # Errors
/// When the database refuses.
pub async fn count_brakes(connection: &mut PgConnection, tenant: TenantId) -> Result<i64, Error> {
    let count = sqlx::query_scalar(include_str!("queries/brake/count.sql"))
        .bind(tenant.uuid())
        .fetch_one(connection)
        .await?;
    Ok(count)
}

/// Lifts a brake; answers with it as it was.
///
/// # Errors
/// When the database refuses.
pub async fn remove_brake(
    connection: &mut PgConnection,
    tenant: TenantId,
    name: &str,
) -> Result<Option<Brake>, Error> {
    let row: Option<BrakeRow> = sqlx::query_as(include_str!("queries/brake/remove.sql"))
        .bind(tenant.uuid())
        .bind(name)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(Brake::from))
}

/// Waits for the grants to a tenant that are under way, and holds new ones up until the transaction
/// ends.
///
/// # Errors
/// When the database refuses, or a grant does not end in time.
pub async fn wait_for_grants(connection: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
    sqlx::query(include_str!("queries/brake/wait_for_grants.sql"))
        .bind(GRANTS)
        .bind(lock_key(tenant))
        .execute(connection)
        .await?;
    Ok(())
}

/// The first ready tasks that a lifted brake chose and that no other does.
///
/// # Errors
/// When the database refuses.
pub async fn released(
    pool: &PgPool,
    brake: &Brake,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<ReadyRow>, Error> {
    let rows = sqlx::query_as(include_str!("queries/task_run/released.sql"))
        .bind(brake.tenant_id.uuid())
        .bind(&brake.selector.queues)
        .bind(&brake.selector.capabilities)
        .bind(&brake.selector.kinds)
        .bind(Stored(&brake.selector.labels))
        .bind(now)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    Ok(rows)
}

/// Of some tasks that wait: those that a brake chooses.
///
/// # Errors
/// When the database refuses.
pub async fn braked(pool: &PgPool, tasks: &[(TenantId, TaskId)]) -> Result<HashSet<TaskId>, Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(include_str!("queries/task_run/braked.sql"))
        .bind(tasks.iter().map(|(_, id)| id.uuid()).collect::<Vec<_>>())
        .bind(
            tasks
                .iter()
                .map(|(tenant, _)| tenant.uuid())
                .collect::<Vec<_>>(),
        )
        .fetch_all(pool)
        .await?;
    Ok(ids.into_iter().map(TaskId::from_uuid).collect())
}

/// Whether a brake chooses a task that is locked, whatever its state.
///
/// # Errors
/// When the database refuses.
pub async fn is_braked(connection: &mut PgConnection, row: &LockedRow) -> Result<bool, Error> {
    let braked = sqlx::query_scalar(include_str!("queries/brake/chooses.sql"))
        .bind(row.task_id)
        .bind(row.tenant_id)
        .bind(&row.facts.queue)
        .bind(&row.place.capability)
        .fetch_one(connection)
        .await?;
    Ok(braked)
}

/// What waits and runs in one queue for one capability.
#[derive(Debug, Clone, FromRow)]
pub struct FiguresRow {
    /// The tenant.
    pub tenant_id: Uuid,
    /// The queue.
    pub queue: String,
    /// The capability.
    pub capability: String,
    /// PENDING, by what they wait for.
    pub ready: i64,
    pub scheduled: i64,
    pub blocked: i64,
    pub paused: i64,
    pub throttled: i64,
    pub over_budget: i64,
    pub awaiting_budget: i64,
    /// For a person to answer.
    pub awaiting_input: i64,
    /// For a person to decide.
    pub awaiting_approval: i64,
    /// With an agent.
    pub assigned: i64,
    pub accepted: i64,
    pub in_progress: i64,
    /// From when the oldest ready one could be leased.
    pub oldest_ready_time: Option<DateTime<Utc>>,
}

/// What waits and runs in every queue of every tenant.
///
/// # Errors
/// When the database refuses.
pub async fn figures(pool: &PgPool, now: DateTime<Utc>) -> Result<Vec<FiguresRow>, Error> {
    let rows = sqlx::query_as(include_str!("queries/task_run/figures.sql"))
        .bind(now)
        .fetch_all(pool)
        .await?;
    Ok(rows)
}
