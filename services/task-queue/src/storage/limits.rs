//! Limits, the places and tokens that tasks have of them, and who waits.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::{LimitId, TaskId, TenantId, Uuid};
use sqlx::types::Json as Stored;
use sqlx::{FromRow, PgConnection, PgPool};

use super::rows::{Facts, ReadyRow};
use crate::Error;
use crate::domain::{Actor, Bucket, Key, Limit, Limited, Per, Rate, Room, Selector};

#[derive(Debug, FromRow)]
struct LimitRow {
    tenant_id: Uuid,
    name: String,
    id: Uuid,
    queues: Vec<String>,
    types: Vec<String>,
    capabilities: Vec<String>,
    labels: Stored<BTreeMap<String, String>>,
    per: i16,
    key_prefix: String,
    max_running: Option<i32>,
    rate_tasks: Option<i32>,
    rate_period_ms: Option<i64>,
    rate_burst: Option<i32>,
    reason: String,
    actor_kind: i16,
    actor_subject: String,
    actor_name: String,
    create_time: DateTime<Utc>,
    update_time: DateTime<Utc>,
}

impl LimitRow {
    /// The limit; nothing when only a newer version can read it.
    fn into_limit(self) -> Option<Limit> {
        let Some(per) = Per::from_number(self.per) else {
            tracing::error!(tenant = %self.tenant_id, limit = self.name, "a limit cannot be read");
            return None;
        };
        let rate = self.rate_tasks.zip(self.rate_period_ms);
        Some(Limit {
            tenant_id: TenantId::from_uuid(self.tenant_id),
            id: LimitId::from_uuid(self.id),
            selector: Selector {
                queues: self.queues,
                kinds: self.types,
                capabilities: self.capabilities,
                labels: self.labels.0,
            },
            per,
            rate: rate.map(|(tasks, period)| Rate {
                tasks,
                period: TimeDelta::milliseconds(period),
                burst: self.rate_burst.unwrap_or(tasks),
            }),
            name: self.name,
            key_prefix: self.key_prefix,
            max_running: self.max_running,
            reason: self.reason,
            actor: Actor {
                kind: self.actor_kind,
                subject: self.actor_subject,
                display_name: self.actor_name,
            },
            create_time: self.create_time,
            update_time: self.update_time,
        })
    }
}

/// A limit by name.
///
/// # Errors
/// When the database refuses.
pub async fn get(
    connection: &mut PgConnection,
    tenant: TenantId,
    name: &str,
) -> Result<Option<Limit>, Error> {
    let row: Option<LimitRow> = sqlx::query_as(include_str!("queries/limit/get.sql"))
        .bind(tenant.uuid())
        .bind(name)
        .fetch_optional(connection)
        .await?;
    Ok(row.and_then(LimitRow::into_limit))
}

/// A tenant's limits by name, after one.
///
/// # Errors
/// When the database refuses.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Limit>, Error> {
    let rows: Vec<LimitRow> = sqlx::query_as(include_str!("queries/limit/list.sql"))
        .bind(tenant.uuid())
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().filter_map(LimitRow::into_limit).collect())
}

/// Every limit of some tenants.
///
/// # Errors
/// When the database refuses.
pub async fn of_tenants(
    connection: &mut PgConnection,
    tenants: &[TenantId],
) -> Result<HashMap<TenantId, Vec<Limit>>, Error> {
    let tenants: Vec<_> = tenants.iter().map(|tenant| tenant.uuid()).collect();
    let rows: Vec<LimitRow> = sqlx::query_as(include_str!("queries/limit/of_tenants.sql"))
        .bind(tenants)
        .fetch_all(connection)
        .await?;
    let mut limits = HashMap::<_, Vec<_>>::new();
    for limit in rows.into_iter().filter_map(LimitRow::into_limit) {
        limits.entry(limit.tenant_id).or_default().push(limit);
    }
    Ok(limits)
}

/// How many limits a tenant has.
///
/// # Errors
/// When the database refuses.
pub async fn count(connection: &mut PgConnection, tenant: TenantId) -> Result<i64, Error> {
    let count = sqlx::query_scalar(include_str!("queries/limit/count.sql"))
        .bind(tenant.uuid())
        .fetch_one(connection)
        .await?;
    Ok(count)
}

/// Sets a limit, or puts it in the place of the one of its name.
///
/// # Errors
/// When the database refuses.
pub async fn put(connection: &mut PgConnection, limit: &Limit) -> Result<(), Error> {
    sqlx::query(include_str!("queries/limit/put.sql"))
        .bind(limit.tenant_id.uuid())
        .bind(&limit.name)
        .bind(limit.id.uuid())
        .bind(&limit.selector.queues)
        .bind(&limit.selector.kinds)
        .bind(&limit.selector.capabilities)
        .bind(Stored(&limit.selector.labels))
        .bind(limit.per.number())
        .bind(&limit.key_prefix)
        .bind(limit.max_running)
        .bind(limit.rate.map(|rate| rate.tasks))
        .bind(limit.rate.map(|rate| rate.period.num_milliseconds()))
        .bind(limit.rate.map(|rate| rate.burst))
        .bind(&limit.reason)
        .bind(limit.actor.kind)
        .bind(&limit.actor.subject)
        .bind(&limit.actor.display_name)
        .bind(limit.create_time)
        .bind(limit.update_time)
        .execute(connection)
        .await?;
    Ok(())
}

/// Deletes a limit; answers with it as it was.
///
/// # Errors
/// When the database refuses.
pub async fn remove(
    connection: &mut PgConnection,
    tenant: TenantId,
    name: &str,
) -> Result<Option<Limit>, Error> {
    let row: Option<LimitRow> = sqlx::query_as(include_str!("queries/limit/remove.sql"))
        .bind(tenant.uuid())
        .bind(name)
        .fetch_optional(connection)
        .await?;
    Ok(row.and_then(LimitRow::into_limit))
}

/// Forgets what is left of the rates of a limit.
///
/// # Errors
/// When the database refuses.
pub async fn forget_buckets(connection: &mut PgConnection, limit: &Limit) -> Result<(), Error> {
    sqlx::query(include_str!("queries/limit/forget_buckets.sql"))
        .bind(limit.tenant_id.uuid())
        .bind(Limit::allowances_of(&limit.name))
        .execute(connection)
        .await?;
    Ok(())
}

#[derive(Debug, FromRow)]
struct LimitedRow {
    task_id: Uuid,
    tenant_id: Uuid,
    capability: String,
    #[sqlx(flatten)]
    facts: Facts,
}

/// A task with what limits look at.
pub type LimitedTask = (TenantId, TaskId, Limited);

impl From<LimitedRow> for LimitedTask {
    fn from(row: LimitedRow) -> Self {
        let details = &row.facts.details.0;
        let fairness_key = details.fairness().map(|fairness| fairness.key);
        let limited = Limited {
            fairness_key: fairness_key.unwrap_or_default(),
            concurrency_keys: details.concurrency_keys.clone(),
            queue: row.facts.queue,
            kind: row.facts.kind,
            capability: row.capability,
            labels: row.facts.labels.0,
        };
        let task = TaskId::from_uuid(row.task_id);
        (TenantId::from_uuid(row.tenant_id), task, limited)
    }
}

/// Tasks that wait, in their order.
///
/// # Errors
/// When the database refuses.
pub async fn waiting_tasks(
    connection: &mut PgConnection,
    tasks: &[(TenantId, TaskId)],
) -> Result<Vec<LimitedTask>, Error> {
    let rows: Vec<LimitedRow> = sqlx::query_as(include_str!("queries/limit/tasks.sql"))
        .bind(tasks.iter().map(|(_, id)| id.uuid()).collect::<Vec<_>>())
        .bind(tasks.iter().map(|(of, _)| of.uuid()).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(LimitedTask::from).collect())
}

/// A tenant's tasks that are with agents.
///
/// # Errors
/// When the database refuses.
pub async fn held_tasks(
    connection: &mut PgConnection,
    tenant: TenantId,
) -> Result<Vec<LimitedTask>, Error> {
    let rows: Vec<LimitedRow> = sqlx::query_as(include_str!("queries/limit/held.sql"))
        .bind(tenant.uuid())
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(LimitedTask::from).collect())
}

fn columns(keys: &[Key]) -> (Vec<Uuid>, Vec<&str>) {
    let tenant = |key: &Key| key.0.uuid();
    let allowances = keys.iter().map(|(_, allowance)| allowance.as_str());
    (keys.iter().map(tenant).collect(), allowances.collect())
}

/// Waits until nobody else takes places of these allowances, until the transaction ends.
///
/// # Errors
/// When the database refuses, or it takes too long.
pub async fn take_turns(connection: &mut PgConnection, keys: &[Key]) -> Result<(), Error> {
    let (tenants, allowances) = columns(keys);
    sqlx::query(include_str!("queries/limit/take_turns.sql"))
        .bind(tenants)
        .bind(allowances)
        .execute(connection)
        .await?;
    Ok(())
}

/// What is left of these allowances.
///
/// # Errors
/// When the database refuses.
pub async fn rooms(
    connection: &mut PgConnection,
    keys: &[Key],
) -> Result<HashMap<Key, Room>, Error> {
    let (tenants, allowances) = columns(keys);
    let mut rooms = HashMap::<Key, Room>::new();
    let running: Vec<(Uuid, String, i32)> =
        sqlx::query_as(include_str!("queries/limit/running.sql"))
            .bind(&tenants)
            .bind(&allowances)
            .fetch_all(&mut *connection)
            .await?;
    for (tenant, allowance, running) in running {
        let key = (TenantId::from_uuid(tenant), allowance);
        rooms.entry(key).or_default().running = running;
    }
    let buckets: Vec<(Uuid, String, f64, DateTime<Utc>)> =
        sqlx::query_as(include_str!("queries/limit/buckets.sql"))
            .bind(tenants)
            .bind(allowances)
            .fetch_all(connection)
            .await?;
    for (tenant, allowance, tokens, time) in buckets {
        let key = (TenantId::from_uuid(tenant), allowance);
        rooms.entry(key).or_default().bucket = Some(Bucket { tokens, time });
    }
    Ok(rooms)
}

/// Writes which tasks took places.
///
/// # Errors
/// When the database refuses.
pub async fn take(
    connection: &mut PgConnection,
    slots: &[(TenantId, TaskId, &str)],
) -> Result<(), Error> {
    if slots.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("queries/limit/take.sql"))
        .bind(slots.iter().map(|(of, ..)| of.uuid()).collect::<Vec<_>>())
        .bind(slots.iter().map(|(.., at)| *at).collect::<Vec<_>>())
        .bind(slots.iter().map(|(_, id, _)| id.uuid()).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes what is left of rates.
///
/// # Errors
/// When the database refuses.
pub async fn fill(connection: &mut PgConnection, buckets: &[(&Key, Bucket)]) -> Result<(), Error> {
    if buckets.is_empty() {
        return Ok(());
    }
    let tenants: Vec<_> = buckets.iter().map(|((of, _), _)| of.uuid()).collect();
    let allowances: Vec<_> = buckets.iter().map(|((_, at), _)| at.as_str()).collect();
    sqlx::query(include_str!("queries/limit/fill.sql"))
        .bind(tenants)
        .bind(allowances)
        .bind(buckets.iter().map(|(_, b)| b.tokens).collect::<Vec<_>>())
        .bind(buckets.iter().map(|(_, b)| b.time).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

/// Lets tasks wait for an allowance beside the ready queues.
///
/// # Errors
/// When the database refuses.
pub async fn park(
    connection: &mut PgConnection,
    tasks: &[(TenantId, TaskId, &str)],
) -> Result<(), Error> {
    if tasks.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("queries/limit/park.sql"))
        .bind(tasks.iter().map(|(_, id, _)| id.uuid()).collect::<Vec<_>>())
        .bind(tasks.iter().map(|(of, ..)| of.uuid()).collect::<Vec<_>>())
        .bind(tasks.iter().map(|(.., at)| *at).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

/// The allowances for which tasks wait.
///
/// # Errors
/// When the database refuses.
pub async fn waited_for(pool: &PgPool) -> Result<Vec<Key>, Error> {
    let rows: Vec<(Uuid, String)> = sqlx::query_as(include_str!("queries/limit/waiting.sql"))
        .fetch_all(pool)
        .await?;
    let key = |(tenant, allowance)| (TenantId::from_uuid(tenant), allowance);
    Ok(rows.into_iter().map(key).collect())
}

/// Sends up to so many tasks that wait for an allowance back to the ready queues.
///
/// # Errors
/// When the database refuses.
pub async fn unpark(
    connection: &mut PgConnection,
    (tenant, allowance): &Key,
    most: i64,
) -> Result<Vec<ReadyRow>, Error> {
    let rows = sqlx::query_as(include_str!("queries/limit/unpark.sql"))
        .bind(tenant.uuid())
        .bind(allowance)
        .bind(most)
        .fetch_all(connection)
        .await?;
    Ok(rows)
}

/// Has everything looked at anew that waits for room in a tenant.
///
/// # Errors
/// When the database refuses.
pub async fn wait_again(connection: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
    sqlx::query(include_str!("queries/limit/wait_again.sql"))
        .bind(tenant.uuid())
        .execute(connection)
        .await?;
    Ok(())
}

/// Of tasks that went back to the ready queues: those that no agent has yet.
///
/// # Errors
/// When the database refuses.
pub async fn unused(
    connection: &mut PgConnection,
    tasks: &[TaskId],
) -> Result<HashSet<TaskId>, Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(include_str!("queries/limit/unused.sql"))
        .bind(tasks.iter().map(|task| task.uuid()).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    Ok(ids.into_iter().map(TaskId::from_uuid).collect())
}

/// Takes away what counts for nothing: places of tasks that no agent holds, and waits of tasks that
/// are over.
///
/// # Errors
/// When the database refuses.
pub async fn clean(pool: &PgPool) -> Result<(), Error> {
    sqlx::query(include_str!("queries/limit/clean_slots.sql"))
        .execute(pool)
        .await?;
    sqlx::query(include_str!("queries/limit/clean_waits.sql"))
        .execute(pool)
        .await?;
    Ok(())
}

/// What one allowance of a limit is used for.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Use {
    /// Its name.
    pub allowance: String,
    /// Tasks of it that are with agents.
    pub running: i32,
    /// Tasks of it that found no room.
    pub throttled: i32,
}

/// The allowances of a limit that are in use, fullest first.
///
/// # Errors
/// When the database refuses.
pub async fn uses(
    connection: &mut PgConnection,
    tenant: TenantId,
    name: &str,
    most: i64,
) -> Result<Vec<Use>, Error> {
    let uses = sqlx::query_as(include_str!("queries/limit/allowances.sql"))
        .bind(tenant.uuid())
        .bind(Limit::allowances_of(name))
        .bind(most)
        .fetch_all(connection)
        .await?;
    Ok(uses)
}
