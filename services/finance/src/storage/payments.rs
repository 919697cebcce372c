//! Payments.

use reeve_ids::{InvoiceId, PaymentId, TenantId, Uuid};
use reeve_money::{Currency, Money};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::rows::PaymentRow;
use super::{Result, StoreError, insert_rows};
use crate::domain::payment::Payment;

/// Which payments to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct PaymentFilter {
    /// Of this invoice.
    pub invoice_id: Option<InvoiceId>,
    /// Of this status; empty for all.
    pub status: &'static str,
}

/// Stores a payment.
pub async fn insert(connection: &mut PgConnection, payment: &Payment) -> Result<()> {
    let row = PaymentRow::from(payment);
    insert_rows(
        connection,
        include_str!("queries/payment/insert.sql"),
        &[row],
    )
    .await?;
    Ok(())
}

/// One payment.
pub async fn get(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: PaymentId,
) -> Result<Option<Payment>> {
    one(
        connection,
        include_str!("queries/payment/get.sql"),
        tenant,
        id,
    )
    .await
}

/// One payment, locked. Lock its invoice first.
pub async fn lock(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: PaymentId,
) -> Result<Option<Payment>> {
    one(
        connection,
        include_str!("queries/payment/lock.sql"),
        tenant,
        id,
    )
    .await
}

async fn one(
    connection: &mut PgConnection,
    sql: &'static str,
    tenant: TenantId,
    id: PaymentId,
) -> Result<Option<Payment>> {
    let row: Option<PaymentRow> = sqlx::query_as(sql)
        .bind(tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(connection)
        .await?;
    row.map(PaymentRow::payment).transpose()
}

/// An invoice's payments, oldest first.
pub async fn of_invoice(
    connection: &mut PgConnection,
    tenant: TenantId,
    invoice: InvoiceId,
) -> Result<Vec<Payment>> {
    let rows: Vec<PaymentRow> = sqlx::query_as(include_str!("queries/payment/of_invoice.sql"))
        .bind(tenant.uuid())
        .bind(invoice.uuid())
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(PaymentRow::payment).collect()
}

/// Sum of an invoice's payments whose outcome is open.
pub async fn open_sum(
    connection: &mut PgConnection,
    tenant: TenantId,
    invoice: InvoiceId,
    currency: Currency,
) -> Result<Money> {
    let minor: i64 = sqlx::query_scalar(include_str!("queries/payment/open_sum.sql"))
        .bind(tenant.uuid())
        .bind(invoice.uuid())
        .fetch_one(connection)
        .await?;
    Money::from_minor(minor, currency).map_err(|error| StoreError::Corrupt {
        table: "payment",
        what: error.to_string(),
    })
}

/// Saves a payment's change and counts its version.
pub async fn save(connection: &mut PgConnection, payment: &mut Payment) -> Result<()> {
    let row = PaymentRow::from(&*payment);
    sqlx::query(include_str!("queries/payment/save.sql"))
        .bind(Json([row]))
        .execute(connection)
        .await?;
    payment.version += 1;
    Ok(())
}

/// Payments before a key, newest first.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    filter: PaymentFilter,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Payment>> {
    let rows: Vec<PaymentRow> = sqlx::query_as(include_str!("queries/payment/list.sql"))
        .bind(tenant.uuid())
        .bind(filter.invoice_id.map(InvoiceId::uuid))
        .bind(filter.status)
        .bind(before)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(PaymentRow::payment).collect()
}
