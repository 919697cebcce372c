use chrono::{DateTime, Utc};
use reeve_ids::{InvoiceId, PaymentId, TenantId, Uuid};
use serde::Serialize;
use sqlx::FromRow;

use super::{Result, currency, money, word};
use crate::domain::payment::{Payment, PaymentMethod, PaymentStatus};

const TABLE: &str = "payment";

/// A row of payment.
#[derive(Debug, Clone, FromRow, Serialize)]
#[allow(missing_docs)]
pub struct PaymentRow {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub version: i64,
    pub invoice_id: Uuid,
    pub currency: String,
    pub amount_minor: i64,
    pub fee_minor: i64,
    pub method: String,
    pub status: String,
    pub transaction_id: Option<String>,
    pub reference: String,
    pub payment_time: DateTime<Utc>,
    pub process_time: Option<DateTime<Utc>>,
    pub processor_response: String,
    pub notes: String,
    pub processor_data: serde_json::Value,
    pub create_time: DateTime<Utc>,
}

impl From<&Payment> for PaymentRow {
    fn from(payment: &Payment) -> Self {
        let transaction = &payment.transaction_id;
        Self {
            id: payment.id.uuid(),
            tenant_id: payment.tenant_id.uuid(),
            version: payment.version,
            invoice_id: payment.invoice_id.uuid(),
            currency: payment.amount.currency().code().to_owned(),
            amount_minor: payment.amount.minor(),
            fee_minor: payment.fee.minor(),
            method: payment.method.as_str().to_owned(),
            status: payment.status.as_str().to_owned(),
            transaction_id: (!transaction.is_empty()).then(|| transaction.clone()),
            reference: payment.reference.clone(),
            payment_time: payment.payment_time,
            process_time: payment.process_time,
            processor_response: payment.processor_response.clone(),
            notes: payment.notes.clone(),
            processor_data: payment.processor_data.clone(),
            create_time: payment.create_time,
        }
    }
}

impl PaymentRow {
    /// The payment.
    pub fn payment(self) -> Result<Payment> {
        let currency = currency(TABLE, &self.currency)?;
        Ok(Payment {
            id: PaymentId::from_uuid(self.id),
            tenant_id: TenantId::from_uuid(self.tenant_id),
            version: self.version,
            invoice_id: InvoiceId::from_uuid(self.invoice_id),
            amount: money(TABLE, self.amount_minor, currency)?,
            fee: money(TABLE, self.fee_minor, currency)?,
            method: word(TABLE, PaymentMethod::from_word, &self.method)?,
            status: word(TABLE, PaymentStatus::from_word, &self.status)?,
            transaction_id: self.transaction_id.unwrap_or_default(),
            reference: self.reference,
            payment_time: self.payment_time,
            process_time: self.process_time,
            processor_response: self.processor_response,
            notes: self.notes,
            processor_data: self.processor_data,
            create_time: self.create_time,
        })
    }
}
