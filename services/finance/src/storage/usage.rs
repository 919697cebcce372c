//! Usage and its charges.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use reeve_ids::{
    AgentId, ExecutionId, InvoiceId, ProjectId, RateCardId, TaskId, TenantId, UsageId, Uuid,
};
use reeve_money::{Cost, Currency, Decimal};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::rows::{ChargeGroupRow, ChargeRow, SummaryRow, UsageRow};
use super::{Result, insert_rows};
use crate::domain::billing::ChargeGroup;
use crate::domain::usage::UsageRecord;

/// Which records to list or add up.
#[derive(Debug, Clone, Default)]
pub struct UsageFilter {
    /// Of this task.
    pub task_id: Option<TaskId>,
    /// Of this agent.
    pub agent_id: Option<AgentId>,
    /// Of this project.
    pub project_id: Option<ProjectId>,
    /// Of this execution.
    pub execution_id: Option<ExecutionId>,
    /// Of this status; empty for all. Not for sums.
    pub status: &'static str,
    /// Used at or after.
    pub start_time: Option<DateTime<Utc>>,
    /// Used before.
    pub end_time: Option<DateTime<Utc>>,
}

/// Inserts records and their charges; those that were recorded before are left out, and the ids
/// of the new ones returned.
pub async fn insert(
    connection: &mut PgConnection,
    records: &[UsageRecord],
) -> Result<BTreeSet<UsageId>> {
    let rows: Vec<_> = records.iter().map(UsageRow::of).collect();
    let (records, charges): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    let new: Vec<Uuid> = sqlx::query_scalar(include_str!("queries/usage_record/insert.sql"))
        .bind(Json(records))
        .fetch_all(&mut *connection)
        .await?;
    let new: BTreeSet<UsageId> = new.into_iter().map(UsageId::from_uuid).collect();
    let of_new = |charge: &ChargeRow| new.contains(&UsageId::from_uuid(charge.usage_id));
    let charges: Vec<_> = charges.into_iter().flatten().filter(of_new).collect();
    insert_charges(connection, &charges).await?;
    Ok(new)
}

/// Inserts charges.
pub async fn insert_charges(connection: &mut PgConnection, charges: &[ChargeRow]) -> Result<()> {
    insert_rows(
        connection,
        include_str!("queries/usage_charge/insert.sql"),
        charges,
    )
    .await?;
    Ok(())
}

/// Which of these sources are recorded already.
pub async fn known(
    connection: &mut PgConnection,
    tenant: TenantId,
    sources: &[String],
) -> Result<BTreeSet<String>> {
    let known: Vec<String> = sqlx::query_scalar(include_str!("queries/usage_record/known.sql"))
        .bind(tenant.uuid())
        .bind(sources)
        .fetch_all(connection)
        .await?;
    Ok(known.into_iter().collect())
}

/// The records of one source, by line.
pub async fn by_source(
    connection: &mut PgConnection,
    tenant: TenantId,
    source: &str,
) -> Result<Vec<UsageRecord>> {
    let rows: Vec<UsageRow> = sqlx::query_as(include_str!("queries/usage_record/by_source.sql"))
        .bind(tenant.uuid())
        .bind(source)
        .fetch_all(&mut *connection)
        .await?;
    with_charges(connection, tenant, rows).await
}

/// Records before a key, newest first.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    filter: &UsageFilter,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<UsageRecord>> {
    let rows: Vec<UsageRow> = sqlx::query_as(include_str!("queries/usage_record/list.sql"))
        .bind(tenant.uuid())
        .bind(filter.task_id.map(TaskId::uuid))
        .bind(filter.agent_id.map(AgentId::uuid))
        .bind(filter.project_id.map(ProjectId::uuid))
        .bind(filter.execution_id.map(ExecutionId::uuid))
        .bind(filter.status)
        .bind(filter.start_time)
        .bind(filter.end_time)
        .bind(before)
        .bind(limit)
        .fetch_all(&mut *connection)
        .await?;
    with_charges(connection, tenant, rows).await
}

/// The last row of a page of sums: its key, cost and currency.
pub type SummaryKey = (String, Option<Decimal>, Option<String>);

/// Costs by one dimension after a row, dearest first.
pub async fn summary(
    connection: &mut PgConnection,
    tenant: TenantId,
    dimension: &'static str,
    filter: &UsageFilter,
    after: Option<&SummaryKey>,
    limit: i64,
) -> Result<Vec<SummaryRow>> {
    let rows = sqlx::query_as(include_str!("queries/usage_record/summary.sql"))
        .bind(tenant.uuid())
        .bind(dimension)
        .bind(filter.task_id.map(TaskId::uuid))
        .bind(filter.agent_id.map(AgentId::uuid))
        .bind(filter.project_id.map(ProjectId::uuid))
        .bind(filter.execution_id.map(ExecutionId::uuid))
        .bind(filter.start_time)
        .bind(filter.end_time)
        .bind(after.map(|(key, ..)| key))
        .bind(after.and_then(|(_, cost, _)| *cost))
        .bind(after.and_then(|(.., currency)| currency.as_ref()))
        .bind(limit)
        .fetch_all(connection)
        .await?;
    Ok(rows)
}

/// Unpriced records of any tenant that a new card may price, locked.
pub async fn lock_unpriced(
    connection: &mut PgConnection,
    tried_before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<UsageRecord>> {
    let rows: Vec<UsageRow> =
        sqlx::query_as(include_str!("queries/usage_record/lock_unpriced.sql"))
            .bind(tried_before)
            .bind(limit)
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(|row| row.record(Vec::new())).collect()
}

/// Gives an unpriced record its price.
pub async fn price(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: UsageId,
    card: RateCardId,
    cost: Cost,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(include_str!("queries/usage_record/price.sql"))
        .bind(tenant.uuid())
        .bind(id.uuid())
        .bind(card.uuid())
        .bind(cost.currency().code())
        .bind(cost.decimal())
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes that pricing was tried in vain.
pub async fn tried(
    connection: &mut PgConnection,
    records: &[UsageRecord],
    now: DateTime<Utc>,
) -> Result<()> {
    let keys = records
        .iter()
        .map(|one| (one.tenant_id.uuid(), one.id.uuid()));
    let (tenants, ids): (Vec<Uuid>, Vec<Uuid>) = keys.unzip();
    sqlx::query(include_str!("queries/usage_record/tried.sql"))
        .bind(tenants)
        .bind(ids)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

/// What of a project to bill.
#[derive(Debug, Clone, Copy)]
pub struct Unbilled {
    /// Whose work.
    pub tenant_id: TenantId,
    /// Which project.
    pub project_id: ProjectId,
    /// From here, or from the first.
    pub start: Option<DateTime<Utc>>,
    /// Up to here.
    pub end: DateTime<Utc>,
}

/// Marks unbilled costs as billed by an invoice, and adds them up by meter and price.
pub async fn claim(
    connection: &mut PgConnection,
    work: Unbilled,
    currency: Currency,
    invoice: InvoiceId,
) -> Result<Vec<ChargeGroup>> {
    sqlx::query(include_str!("queries/usage_record/claim.sql"))
        .bind(work.tenant_id.uuid())
        .bind(invoice.uuid())
        .bind(work.project_id.uuid())
        .bind(currency.code())
        .bind(work.start)
        .bind(work.end)
        .execute(&mut *connection)
        .await?;
    let rows: Vec<ChargeGroupRow> =
        sqlx::query_as(include_str!("queries/usage_charge/of_invoice.sql"))
            .bind(work.tenant_id.uuid())
            .bind(invoice.uuid())
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(|row| row.group(currency)).collect()
}

/// Makes an invoice's costs unbilled again.
pub async fn free(
    connection: &mut PgConnection,
    tenant: TenantId,
    invoice: InvoiceId,
) -> Result<()> {
    sqlx::query(include_str!("queries/usage_record/free.sql"))
        .bind(tenant.uuid())
        .bind(invoice.uuid())
        .execute(connection)
        .await?;
    Ok(())
}

async fn with_charges(
    connection: &mut PgConnection,
    tenant: TenantId,
    rows: Vec<UsageRow>,
) -> Result<Vec<UsageRecord>> {
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let charges: Vec<ChargeRow> =
        sqlx::query_as(include_str!("queries/usage_charge/of_records.sql"))
            .bind(tenant.uuid())
            .bind(ids)
            .fetch_all(connection)
            .await?;
    let mut by_record: BTreeMap<Uuid, Vec<ChargeRow>> = BTreeMap::new();
    for charge in charges {
        by_record.entry(charge.usage_id).or_default().push(charge);
    }
    rows.into_iter()
        .map(|row| {
            let charges = by_record.remove(&row.id).unwrap_or_default();
            row.record(charges)
        })
        .collect()
}
