//! The time that agents worked.

use chrono::{DateTime, Utc};
use reeve_ids::{InvoiceId, ProjectId, TenantId, Uuid};
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

/// Unbilled time, locked until the commit, oldest first. Whoever else wants it waits, looks again
/// and finds what is billed by then gone.
pub async fn lock_unbilled(
    connection: &mut PgConnection,
    work: Unbilled,
) -> Result<Vec<TimeEntry>> {
    let mut rows: Vec<TimeRow> =
        sqlx::query_as(include_str!("queries/time_entry/lock_unbilled.sql"))
            .bind(work.tenant_id.uuid())
            .bind(work.project_id.uuid())
            .bind(work.start)
            .bind(work.end)
            .fetch_all(connection)
            .await?;
    rows.sort_by_key(|row| (row.start_time, row.id));
    Ok(rows.into_iter().map(TimeRow::entry).collect())
}

/// Marks time as billed by an invoice.
pub async fn bill(
    connection: &mut PgConnection,
    tenant: TenantId,
    invoice: InvoiceId,
    entries: &[Uuid],
) -> Result<()> {
    sqlx::query(include_str!("queries/time_entry/bill.sql"))
        .bind(tenant.uuid())
        .bind(invoice.uuid())
        .bind(entries)
        .execute(connection)
        .await?;
    Ok(())
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

/// Which time to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct TimeFilter {
    /// That this invoice lists.
    pub invoice_id: Option<InvoiceId>,
    /// Of this project.
    pub project_id: Option<ProjectId>,
}

/// Time after a key, oldest first.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    filter: TimeFilter,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<TimeEntry>> {
    let rows: Vec<TimeRow> = sqlx::query_as(include_str!("queries/time_entry/list.sql"))
        .bind(tenant.uuid())
        .bind(filter.invoice_id.map(InvoiceId::uuid))
        .bind(filter.project_id.map(ProjectId::uuid))
        .bind(after.map(|(time, _)| time))
        .bind(after.map(|(_, id)| id))
        .bind(limit)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(TimeRow::entry).collect())
}
