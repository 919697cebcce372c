//! Invoices and what they were made from.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use reeve_ids::{InvoiceId, ProjectId, TenantId, Uuid};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::rows::{BreakdownRow, InvoiceRow, LineRow, ResourceRow, TaxRow, TimeLinkRow};
use super::{Result, insert_rows};
use crate::domain::billing::{Bill, Breakdown, ResourceUsage, TimeEntry};
use crate::domain::invoice::Invoice;

/// Which invoices to list.
#[derive(Debug, Clone, Default)]
pub struct InvoiceFilter {
    /// Of this project.
    pub project_id: Option<ProjectId>,
    /// To this client; empty for all.
    pub client_id: String,
    /// Of this status; empty for all.
    pub status: &'static str,
    /// Due before this moment.
    pub due_before: Option<DateTime<Utc>>,
}

/// Stores a draft with its lines and what it was made from.
pub async fn insert(
    connection: &mut PgConnection,
    invoice: &Invoice,
    bill: &Bill,
    time: &[TimeEntry],
) -> Result<()> {
    let row = InvoiceRow::from(invoice);
    insert_rows(
        connection,
        include_str!("queries/invoice/insert.sql"),
        &[row],
    )
    .await?;
    let lines = LineRow::all_of(invoice);
    insert_rows(
        connection,
        include_str!("queries/invoice/insert_lines.sql"),
        &lines,
    )
    .await?;
    let taxes = TaxRow::all_of(invoice);
    insert_rows(
        connection,
        include_str!("queries/invoice/insert_taxes.sql"),
        &taxes,
    )
    .await?;
    let parts = BreakdownRow::all_of(invoice, &bill.breakdowns);
    insert_rows(
        connection,
        include_str!("queries/invoice/insert_breakdowns.sql"),
        &parts,
    )
    .await?;
    let used = ResourceRow::all_of(invoice, &bill.resources);
    insert_rows(
        connection,
        include_str!("queries/invoice/insert_resources.sql"),
        &used,
    )
    .await?;
    let links: Vec<_> = time
        .iter()
        .map(|entry| TimeLinkRow {
            invoice_id: invoice.id.uuid(),
            tenant_id: invoice.tenant_id.uuid(),
            time_entry_id: entry.id,
        })
        .collect();
    insert_rows(
        connection,
        include_str!("queries/invoice/insert_times.sql"),
        &links,
    )
    .await?;
    Ok(())
}

/// One invoice.
pub async fn get(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: InvoiceId,
) -> Result<Option<Invoice>> {
    one(
        connection,
        include_str!("queries/invoice/get.sql"),
        tenant,
        id,
    )
    .await
}

/// One invoice, locked.
pub async fn lock(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: InvoiceId,
) -> Result<Option<Invoice>> {
    one(
        connection,
        include_str!("queries/invoice/lock.sql"),
        tenant,
        id,
    )
    .await
}

async fn one(
    connection: &mut PgConnection,
    sql: &'static str,
    tenant: TenantId,
    id: InvoiceId,
) -> Result<Option<Invoice>> {
    let row: Option<InvoiceRow> = sqlx::query_as(sql)
        .bind(tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(&mut *connection)
        .await?;
    Ok(with_lines(connection, tenant, row.into_iter().collect())
        .await?
        .pop())
}

/// Invoices before a key, newest first.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    filter: &InvoiceFilter,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Invoice>> {
    let rows: Vec<InvoiceRow> = sqlx::query_as(include_str!("queries/invoice/list.sql"))
        .bind(tenant.uuid())
        .bind(filter.project_id.map(ProjectId::uuid))
        .bind(&filter.client_id)
        .bind(filter.status)
        .bind(filter.due_before)
        .bind(before)
        .bind(limit)
        .fetch_all(&mut *connection)
        .await?;
    with_lines(connection, tenant, rows).await
}

/// Invoices of any tenant that fell due and are not marked so, locked, without their lines.
pub async fn lock_due(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Invoice>> {
    let rows: Vec<InvoiceRow> = sqlx::query_as(include_str!("queries/invoice/lock_due.sql"))
        .bind(now)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.into_iter()
        .map(|row| row.invoice(Vec::new(), Vec::new()))
        .collect()
}

async fn with_lines(
    connection: &mut PgConnection,
    tenant: TenantId,
    rows: Vec<InvoiceRow>,
) -> Result<Vec<Invoice>> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let lines: Vec<LineRow> = sqlx::query_as(include_str!("queries/invoice/lines.sql"))
        .bind(tenant.uuid())
        .bind(&ids)
        .fetch_all(&mut *connection)
        .await?;
    let taxes: Vec<TaxRow> = sqlx::query_as(include_str!("queries/invoice/taxes.sql"))
        .bind(tenant.uuid())
        .bind(&ids)
        .fetch_all(connection)
        .await?;
    let mut parts: BTreeMap<Uuid, (Vec<LineRow>, Vec<TaxRow>)> = BTreeMap::new();
    for line in lines {
        parts.entry(line.invoice_id).or_default().0.push(line);
    }
    for tax in taxes {
        parts.entry(tax.invoice_id).or_default().1.push(tax);
    }
    rows.into_iter()
        .map(|row| {
            let (lines, taxes) = parts.remove(&row.id).unwrap_or_default();
            row.invoice(lines, taxes)
        })
        .collect()
}

/// What an invoice's work cost and consumed.
pub async fn details(
    connection: &mut PgConnection,
    invoice: &Invoice,
) -> Result<(Vec<Breakdown>, Vec<ResourceUsage>)> {
    let (tenant, id) = (invoice.tenant_id.uuid(), invoice.id.uuid());
    let parts: Vec<BreakdownRow> = sqlx::query_as(include_str!("queries/invoice/breakdowns.sql"))
        .bind(tenant)
        .bind(id)
        .fetch_all(&mut *connection)
        .await?;
    let used: Vec<ResourceRow> = sqlx::query_as(include_str!("queries/invoice/resources.sql"))
        .bind(tenant)
        .bind(id)
        .fetch_all(connection)
        .await?;
    let currency = invoice.currency();
    Ok((
        parts
            .into_iter()
            .map(|row| row.breakdown(currency))
            .collect::<Result<_>>()?,
        used.into_iter()
            .map(|row| row.resource(currency))
            .collect::<Result<_>>()?,
    ))
}

/// The next number of a series and the time of its issue, which is `now`, or later when the number
/// before has a later one; locks the series until the commit.
pub async fn next_number(
    connection: &mut PgConnection,
    tenant: TenantId,
    series: &str,
    fiscal_year: i32,
    now: DateTime<Utc>,
) -> Result<(i64, DateTime<Utc>)> {
    let number = sqlx::query_as(include_str!("queries/invoice/next_number.sql"))
        .bind(tenant.uuid())
        .bind(series)
        .bind(fiscal_year)
        .bind(now)
        .fetch_one(connection)
        .await?;
    Ok(number)
}

/// Saves changed facts and counts the version.
pub async fn save(connection: &mut PgConnection, invoice: &mut Invoice) -> Result<()> {
    let row = InvoiceRow::from(&*invoice);
    sqlx::query(include_str!("queries/invoice/save.sql"))
        .bind(Json([row]))
        .execute(connection)
        .await?;
    invoice.version += 1;
    Ok(())
}
