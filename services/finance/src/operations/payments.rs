//! Recording payments and what became of them.

use chrono::{DateTime, Utc};
use reeve_events::{Actor, NewEvent};
use reeve_ids::{InvoiceId, JournalId, PaymentId, TenantId};
use reeve_money::Money;
use reeve_postgres::Tx;
use serde_json::{Value as Json, json};

use super::invoices::facts;
use super::{Call, Context, append, check_version};
use crate::domain::invoice::Invoice;
use crate::domain::invoice_status::InvoiceStatus;
use crate::domain::ledger::{Journal, JournalKind, payment_entries};
use crate::domain::payment::{Payment, PaymentMethod, PaymentStatus};
use crate::error::Error;
use crate::storage::{invoices, ledger, payments};

/// A payment to record.
#[derive(Debug, Clone)]
pub struct NewPayment {
    /// The invoice that it pays.
    pub invoice_id: InvoiceId,
    /// Gross amount.
    pub amount: Money,
    /// What the processor kept.
    pub fee: Money,
    /// How it came.
    pub method: PaymentMethod,
    /// At the processor.
    pub transaction_id: String,
    /// The payer's.
    pub reference: String,
    /// When; now when not said.
    pub payment_time: Option<DateTime<Utc>>,
    /// The processor's words.
    pub processor_response: String,
    /// For people.
    pub notes: String,
    /// A JSON object.
    pub processor_data: Json,
}

/// What became of a payment.
#[derive(Debug, Clone)]
pub struct PaymentEnd {
    /// The payment.
    pub id: PaymentId,
    /// Its version when it was read; nothing for any.
    pub version: Option<i64>,
    /// What it becomes.
    pub to: PaymentStatus,
    /// The processor's words; empty keeps what is there.
    pub processor_response: String,
}

impl Context {
    /// Records a payment; money in hand is booked at once.
    pub async fn record_payment(
        &self,
        call: Call,
        new: NewPayment,
    ) -> Result<(Payment, Invoice), Error> {
        let (now, tenant) = (self.now(), call.tenant_id);
        let id = PaymentId::new();
        let mut tx = self.database.tenant(tenant).await?;
        if let Some(made) = self.claim(&mut tx, &call, id.uuid()).await? {
            let payment = payment(&mut tx, tenant, PaymentId::from_uuid(made)).await?;
            let invoice = invoice(&mut tx, tenant, payment.invoice_id).await?;
            return Ok((payment, invoice));
        }
        let mut invoice = lock_invoice(&mut tx, tenant, new.invoice_id).await?;
        let open = payments::open_sum(&mut tx, tenant, invoice.id, invoice.currency()).await?;
        let payment = payment_of(id, tenant, new, now);
        invoice
            .may_take(payment.amount, open)
            .map_err(|refused| Error::payment(invoice.id, payment.amount, refused))?;
        let inserted = payments::insert(&mut tx, &payment).await;
        if inserted
            .as_ref()
            .is_err_and(|e| e.violates_unique("payment_transaction_unique"))
        {
            return Err(Error::Exists {
                kind: "payment",
                name: payment.transaction_id,
            });
        }
        inserted?;
        let mut events = vec![recorded(&payment, &call.actor, now)];
        if payment.status == PaymentStatus::Completed {
            events.extend(
                self.book(&mut tx, &payment, &mut invoice, open, &call.actor)
                    .await?,
            );
        }
        append(&mut tx, events).await?;
        self.commit(tx).await?;
        Ok((payment, invoice))
    }

    /// Says what became of a payment.
    pub async fn end_payment(
        &self,
        call: Call,
        end: PaymentEnd,
    ) -> Result<(Payment, Invoice), Error> {
        let (now, tenant) = (self.now(), call.tenant_id);
        let mut tx = self.database.tenant(tenant).await?;
        let repeated = self.claim(&mut tx, &call, end.id.uuid()).await?.is_some();
        // The invoice is locked before its payments, everywhere.
        let invoice_id = payment(&mut tx, tenant, end.id).await?.invoice_id;
        let mut invoice = lock_invoice(&mut tx, tenant, invoice_id).await?;
        let mut payment = payments::lock(&mut tx, tenant, end.id)
            .await?
            .ok_or_else(|| Error::not_found("payment", end.id))?;
        if repeated {
            return Ok((payment, invoice));
        }
        check_version("payment", end.id, payment.version, end.version)?;
        if payment.status == end.to {
            self.commit(tx).await?;
            return Ok((payment, invoice));
        }
        let was_open = payment.status.is_open();
        payment.status = payment
            .status
            .become_status(end.to)
            .map_err(|forbidden| Error::forbidden("payment", end.id, forbidden))?;
        payment.process_time = Some(now);
        if !end.processor_response.is_empty() {
            payment.processor_response = end.processor_response;
        }
        let mut events = vec![changed(&payment, &call.actor, now)];
        if end.to == PaymentStatus::Completed {
            let currency = invoice.currency();
            let mut open = payments::open_sum(&mut tx, tenant, invoice_id, currency).await?;
            if was_open {
                open = open
                    .minus(payment.amount)
                    .map_err(|error| Error::amount("payment_id", error))?;
            }
            events.extend(
                self.book(&mut tx, &payment, &mut invoice, open, &call.actor)
                    .await?,
            );
        }
        payments::save(&mut tx, &mut payment).await?;
        append(&mut tx, events).await?;
        self.commit(tx).await?;
        Ok((payment, invoice))
    }

    /// Books money that arrived: in the invoice and in the ledger.
    async fn book(
        &self,
        tx: &mut Tx,
        payment: &Payment,
        invoice: &mut Invoice,
        open: Money,
        actor: &Actor,
    ) -> Result<Option<NewEvent>, Error> {
        let now = self.now();
        invoice
            .pay(payment.amount, open, now)
            .map_err(|refused| Error::payment(invoice.id, payment.amount, refused))?;
        let entries = payment_entries(payment, &invoice.client_id)
            .map_err(|error| Error::amount("amount", error))?;
        invoices::save(tx, invoice).await?;
        let posting = Journal {
            id: JournalId::new(),
            tenant_id: payment.tenant_id,
            kind: JournalKind::PaymentReceived,
            source_id: payment.id.uuid(),
            reverses: None,
            effect_time: payment.payment_time,
            entries,
        };
        ledger::post(tx, &[posting], now).await?;
        self.counters.payments.inc();
        self.counters.postings.inc();
        let paid = invoice.status == InvoiceStatus::Paid;
        Ok(paid.then(|| {
            let resource = ("invoice", invoice.id);
            NewEvent::new(
                payment.tenant_id,
                actor.clone(),
                now,
                "invoice.paid",
                resource,
            )
            .with(facts(invoice))
        }))
    }
}

async fn payment(tx: &mut Tx, tenant: TenantId, id: PaymentId) -> Result<Payment, Error> {
    let payment = payments::get(tx, tenant, id).await?;
    payment.ok_or_else(|| Error::not_found("payment", id))
}

async fn invoice(tx: &mut Tx, tenant: TenantId, id: InvoiceId) -> Result<Invoice, Error> {
    let invoice = invoices::get(tx, tenant, id).await?;
    invoice.ok_or_else(|| Error::not_found("invoice", id))
}

async fn lock_invoice(tx: &mut Tx, tenant: TenantId, id: InvoiceId) -> Result<Invoice, Error> {
    let invoice = invoices::lock(tx, tenant, id).await?;
    invoice.ok_or_else(|| Error::not_found("invoice", id))
}

fn payment_of(id: PaymentId, tenant: TenantId, new: NewPayment, now: DateTime<Utc>) -> Payment {
    let status = new.method.first_status();
    Payment {
        id,
        tenant_id: tenant,
        version: 1,
        invoice_id: new.invoice_id,
        amount: new.amount,
        fee: new.fee,
        method: new.method,
        status,
        transaction_id: new.transaction_id,
        reference: new.reference,
        payment_time: new.payment_time.unwrap_or(now),
        process_time: (!status.is_open()).then_some(now),
        processor_response: new.processor_response,
        notes: new.notes,
        processor_data: new.processor_data,
        create_time: now,
    }
}

fn recorded(payment: &Payment, actor: &Actor, now: DateTime<Utc>) -> NewEvent {
    event(payment, actor, now, "payment.recorded")
}

fn changed(payment: &Payment, actor: &Actor, now: DateTime<Utc>) -> NewEvent {
    let kind = match payment.status {
        PaymentStatus::Completed => "payment.completed",
        PaymentStatus::Failed => "payment.failed",
        PaymentStatus::Cancelled => "payment.cancelled",
        PaymentStatus::Refunded => "payment.refunded",
        PaymentStatus::Disputed => "payment.disputed",
        PaymentStatus::Pending | PaymentStatus::Processing => "payment.updated",
    };
    event(payment, actor, now, kind)
}

fn event(payment: &Payment, actor: &Actor, now: DateTime<Utc>, kind: &'static str) -> NewEvent {
    let data = json!({
        "invoice_id": payment.invoice_id.to_string(),
        "amount": payment.amount.amount(),
        "currency_code": payment.amount.currency().code(),
        "method": payment.method.as_str(),
        "status": payment.status.as_str(),
    });
    NewEvent::new(
        payment.tenant_id,
        actor.clone(),
        now,
        kind,
        ("payment", payment.id),
    )
    .with(data)
}
