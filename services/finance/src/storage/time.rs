//! The time that agents worked.

use chrono::{DateTime, Utc};
use reeve_ids::{InvoiceId, TenantId};
use sqlx::PgConnection;

use super::rows::TimeRow;
use super::usage::Unbilled;
use super::{Result, insert_rows};
use crate::domain::billing::TimeEntry;

/// Inserts entries; those that were recorded before are left out.
pub async fn insert(
    connection: &mut PgConnection,
    entries: &[(TenantId, TimeEntry)],
    now: DateTime<Utc>,
) -> Result<()> {
    let rows: Vec<_> = entries
        .iter()
        .map(|(tenant, entry)| TimeRow::of(*tenant, entry, now))
        .collect();
    insert_rows(
        connection,
        include_str!("queries/time_entry/insert.sql"),
        &rows,
    )
    .await?;
    Ok(())
}

/// Marks unbilled time as billed by an invoice; the entries, oldest first.
pub async fn claim(
    connection: &mut PgConnection,
    work: Unbilled,
    invoice: InvoiceId,
) -> Result<Vec<TimeEntry>> {
    let mut rows: Vec<TimeRow> = sqlx::query_as(include_str!("queries/time_entry/claim.sql"))
        .bind(work.tenant_id.uuid())
        .bind(invoice.uuid())
        .bind(work.project_id.uuid())
        .bind(work.start)
        .bind(work.end)
        .fetch_all(connection)
        .await?;
    rows.sort_by_key(|row| (row.start_time, row.id));
    Ok(rows.into_iter().map(TimeRow::entry).collect())
}

/// Makes an invoice's time unbilled again.
pub async fn free(
    connection: &mut PgConnection,
    tenant: TenantId,
    invoice: InvoiceId,
) -> Result<()> {
    sqlx::query(include_str!("queries/time_entry/free.sql"))
        .bind(tenant.uuid())
        .bind(invoice.uuid())
        .execute(connection)
        .await?;
    Ok(())
}

/// The time that an invoice was made from, oldest first; at most 1000 entries.
pub async fn of_invoice(
    connection: &mut PgConnection,
    tenant: TenantId,
    invoice: InvoiceId,
) -> Result<Vec<TimeEntry>> {
    let rows: Vec<TimeRow> = sqlx::query_as(include_str!("queries/time_entry/of_invoice.sql"))
        .bind(tenant.uuid())
        .bind(invoice.uuid())
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(TimeRow::entry).collect())
}
