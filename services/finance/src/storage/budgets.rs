//! Budgets and holds.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use reeve_ids::{BudgetId, HoldId, TaskId, TenantId, Uuid};
use reeve_money::{Cost, Decimal};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::rows::{BudgetRow, HoldRow};
use super::{Result, insert_rows};
use crate::domain::budget::{Budget, Hold, Movement};

/// Which budgets to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct BudgetFilter {
    /// Direct children of this one.
    pub parent_id: Option<BudgetId>,
    /// Of this scope; empty for all.
    pub scope: &'static str,
}

/// Which holds to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct HoldFilter {
    /// Of this budget.
    pub budget_id: Option<BudgetId>,
    /// Of this task.
    pub task_id: Option<TaskId>,
    /// In this state; empty for all.
    pub state: &'static str,
}

fn uuids(ids: &[BudgetId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.uuid()).collect()
}

/// Stores a budget.
pub async fn insert(connection: &mut PgConnection, budget: &Budget) -> Result<()> {
    let row = BudgetRow::from(budget);
    insert_rows(
        connection,
        include_str!("queries/budget/insert.sql"),
        &[row],
    )
    .await?;
    Ok(())
}

/// One budget.
pub async fn get(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: BudgetId,
) -> Result<Option<Budget>> {
    let row: Option<BudgetRow> = sqlx::query_as(include_str!("queries/budget/get.sql"))
        .bind(tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(connection)
        .await?;
    row.map(BudgetRow::budget).transpose()
}

/// Budgets of several tenants, for loops and the consumer.
pub async fn get_many(
    connection: &mut PgConnection,
    ids: &BTreeSet<(TenantId, BudgetId)>,
) -> Result<Vec<Budget>> {
    let (tenants, ids): (Vec<_>, Vec<_>) = ids.iter().map(|(t, id)| (t.uuid(), id.uuid())).unzip();
    let rows: Vec<BudgetRow> = sqlx::query_as(include_str!("queries/budget/get_many.sql"))
        .bind(tenants)
        .bind(ids)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(BudgetRow::budget).collect()
}

/// Budgets after a key, oldest first.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    filter: BudgetFilter,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Budget>> {
    let rows: Vec<BudgetRow> = sqlx::query_as(include_str!("queries/budget/list.sql"))
        .bind(tenant.uuid())
        .bind(filter.parent_id.map(BudgetId::uuid))
        .bind(filter.scope)
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(BudgetRow::budget).collect()
}

/// Every budget of a path, locked in the order of ids.
pub async fn lock(
    connection: &mut PgConnection,
    tenant: TenantId,
    path: &[BudgetId],
) -> Result<Vec<Budget>> {
    let rows: Vec<BudgetRow> = sqlx::query_as(include_str!("queries/budget/lock.sql"))
        .bind(tenant.uuid())
        .bind(uuids(path))
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(BudgetRow::budget).collect()
}

/// Sets money aside in every budget of a path that allows it; how many did.
pub async fn reserve(
    connection: &mut PgConnection,
    tenant: TenantId,
    path: &[BudgetId],
    amount: Cost,
) -> Result<usize> {
    let done = sqlx::query(include_str!("queries/budget/reserve.sql"))
        .bind(tenant.uuid())
        .bind(uuids(path))
        .bind(amount.decimal())
        .execute(connection)
        .await?;
    Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
}

/// Notes a refusal; true when it is the first for a minute.
pub async fn exhaust(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: BudgetId,
    now: DateTime<Utc>,
) -> Result<bool> {
    let done = sqlx::query(include_str!("queries/budget/exhaust.sql"))
        .bind(tenant.uuid())
        .bind(id.uuid())
        .bind(now)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Movements of many budgets, added up so that each row is touched once.
#[derive(Debug, Default)]
pub struct Movements(BTreeMap<(BudgetId, TenantId), Movement>);

impl Movements {
    /// Adds a movement to every budget of a tenant's path.
    pub fn add(&mut self, tenant: TenantId, path: &[BudgetId], movement: Movement) {
        for id in path {
            let sum = self.0.entry((*id, tenant)).or_insert(Movement {
                reserved: Decimal::ZERO,
                spent: Decimal::ZERO,
            });
            sum.reserved += movement.reserved;
            sum.spent += movement.spent;
        }
    }
}

/// Locks the budgets in the order of ids and moves them.
pub async fn apply(connection: &mut PgConnection, movements: &Movements) -> Result<()> {
    if movements.0.is_empty() {
        return Ok(());
    }
    let keys = movements.0.keys();
    let (tenants, ids): (Vec<Uuid>, Vec<Uuid>) =
        keys.map(|(id, tenant)| (tenant.uuid(), id.uuid())).unzip();
    sqlx::query(include_str!("queries/budget/lock_many.sql"))
        .bind(&tenants)
        .bind(&ids)
        .execute(&mut *connection)
        .await?;
    let reserved: Vec<Decimal> = movements.0.values().map(|sum| sum.reserved).collect();
    let spent: Vec<Decimal> = movements.0.values().map(|sum| sum.spent).collect();
    sqlx::query(include_str!("queries/budget/move.sql"))
        .bind(&tenants)
        .bind(&ids)
        .bind(reserved)
        .bind(spent)
        .execute(connection)
        .await?;
    Ok(())
}

/// Stores a hold.
pub async fn insert_hold(connection: &mut PgConnection, hold: &Hold) -> Result<()> {
    let row = HoldRow::from(hold);
    insert_rows(connection, include_str!("queries/hold/insert.sql"), &[row]).await?;
    Ok(())
}

/// One hold.
pub async fn get_hold(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: HoldId,
) -> Result<Option<Hold>> {
    one_hold(connection, include_str!("queries/hold/get.sql"), tenant, id).await
}

/// One hold, locked.
pub async fn lock_hold(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: HoldId,
) -> Result<Option<Hold>> {
    one_hold(
        connection,
        include_str!("queries/hold/lock.sql"),
        tenant,
        id,
    )
    .await
}

async fn one_hold(
    connection: &mut PgConnection,
    sql: &'static str,
    tenant: TenantId,
    id: HoldId,
) -> Result<Option<Hold>> {
    let row: Option<HoldRow> = sqlx::query_as(sql)
        .bind(tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(connection)
        .await?;
    row.map(HoldRow::hold).transpose()
}

/// Holds of several tenants, locked in the order of ids.
pub async fn lock_holds(
    connection: &mut PgConnection,
    ids: &BTreeSet<(TenantId, HoldId)>,
) -> Result<Vec<Hold>> {
    let (tenants, ids): (Vec<_>, Vec<_>) = ids.iter().map(|(t, id)| (t.uuid(), id.uuid())).unzip();
    let rows: Vec<HoldRow> = sqlx::query_as(include_str!("queries/hold/lock_many.sql"))
        .bind(tenants)
        .bind(ids)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(HoldRow::hold).collect()
}

/// Holds of any tenant that nobody ended in time, locked; others' locks are passed over.
pub async fn lock_expired(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Hold>> {
    let rows: Vec<HoldRow> = sqlx::query_as(include_str!("queries/hold/lock_expired.sql"))
        .bind(now)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(HoldRow::hold).collect()
}

/// Saves how holds ended.
pub async fn save_holds(connection: &mut PgConnection, holds: &[Hold]) -> Result<()> {
    if holds.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = holds.iter().map(HoldRow::from).collect();
    sqlx::query(include_str!("queries/hold/save.sql"))
        .bind(Json(rows))
        .execute(connection)
        .await?;
    Ok(())
}

/// Holds before a key, newest first.
pub async fn list_holds(
    connection: &mut PgConnection,
    tenant: TenantId,
    filter: HoldFilter,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Hold>> {
    let rows: Vec<HoldRow> = sqlx::query_as(include_str!("queries/hold/list.sql"))
        .bind(tenant.uuid())
        .bind(filter.budget_id.map(BudgetId::uuid))
        .bind(filter.task_id.map(TaskId::uuid))
        .bind(filter.state)
        .bind(before)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(HoldRow::hold).collect()
}
