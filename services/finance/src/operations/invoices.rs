//! Making an invoice from work that no invoice bills yet.

use chrono::{DateTime, Utc};
use reeve_events::NewEvent;
use reeve_ids::{AgentId, InvoiceId, ProjectId};
use reeve_money::Money;
use serde_json::{Value as Json, json};

use super::{Call, Context, append};
use crate::domain::billing::{Bill, CustomLine, Rules, bill};
use crate::domain::invoice::{Document, Invoice};
use crate::domain::invoice_status::InvoiceStatus;
use crate::error::Error;
use crate::storage::usage::Unbilled;
use crate::storage::{invoices, time, usage};

/// What the lines of an invoice and what they were made from may weigh: all of it is read at once,
/// and an invoice that does not fit into a message could never be read again.
const MOST_BYTES: usize = 5 * 512 * 1024;

/// What to bill to whom.
#[derive(Debug, Clone)]
pub struct NewInvoice {
    /// Whose work.
    pub project_id: ProjectId,
    /// How work becomes money.
    pub rules: Rules,
    /// From here, or from the first.
    pub period_start: Option<DateTime<Utc>>,
    /// Up to here.
    pub period_end: DateTime<Utc>,
    /// What is printed.
    pub document: Document,
    /// Lines to add.
    pub custom: Vec<CustomLine>,
    /// A JSON object.
    pub custom_fields: Json,
    /// The agent that makes it.
    pub generated_by: Option<AgentId>,
    /// Of its number.
    pub series: String,
}

impl Context {
    /// Makes a draft, and marks the work as billed by it.
    pub async fn create_invoice(&self, call: Call, new: NewInvoice) -> Result<Invoice, Error> {
        let (now, tenant) = (self.now(), call.tenant_id);
        let id = InvoiceId::new();
        let mut tx = self.database.tenant(tenant).await?;
        if let Some(made) = self.claim(&mut tx, &call, id.uuid()).await? {
            let made = InvoiceId::from_uuid(made);
            let invoice = invoices::get(&mut tx, tenant, made).await?;
            return invoice.ok_or_else(|| Error::not_found("invoice", made));
        }
        let work = Unbilled {
            tenant_id: tenant,
            project_id: new.project_id,
            start: new.period_start,
            end: new.period_end,
        };
        let charges = usage::claim(&mut tx, work, new.rules.currency, id).await?;
        let entries = time::lock_unbilled(&mut tx, work).await?;
        let bill = bill(&new.rules, &charges, &entries, &new.custom)
            .map_err(|error| Error::amount("custom_line_items", error))?;
        if bill.lines.is_empty() {
            return Err(Error::NothingToInvoice);
        }
        if bill.weight() > MOST_BYTES {
            let description = "holds more lines than an invoice can; bill a shorter one".to_owned();
            return Err(Error::Invalid {
                field: "billing_period",
                description,
            });
        }
        let invoice = draft(id, &call, new, &bill, now);
        invoices::insert(&mut tx, &invoice, &bill, &entries).await?;
        time::bill(&mut tx, tenant, id, &bill.billed_time).await?;
        let event = NewEvent::new(tenant, call.actor, now, "invoice.created", ("invoice", id));
        append(&mut tx, vec![event.with(facts(&invoice))]).await?;
        self.commit(tx).await?;
        Ok(invoice)
    }
}

fn draft(id: InvoiceId, call: &Call, new: NewInvoice, bill: &Bill, now: DateTime<Utc>) -> Invoice {
    let currency = new.rules.currency;
    Invoice {
        id,
        tenant_id: call.tenant_id,
        version: 1,
        project_id: new.project_id,
        series: new.series,
        number: None,
        status: InvoiceStatus::Draft,
        client_id: new.document.client.client_id.clone(),
        document: new.document,
        custom_fields: new.custom_fields,
        generated_by: new.generated_by,
        period_start: new.period_start,
        period_end: new.period_end,
        lines: bill.lines.clone(),
        totals: bill.totals.clone(),
        paid: Money::zero(currency),
        refunded: Money::zero(currency),
        create_time: now,
        issue_time: None,
        view_time: None,
        due_time: None,
        paid_time: None,
        cancel_time: None,
        cancel_reason: String::new(),
    }
}

/// What every event of an invoice tells.
pub(super) fn facts(invoice: &Invoice) -> Json {
    json!({
        "project_id": invoice.project_id.to_string(),
        "client_id": invoice.client_id,
        "number": invoice.number.as_ref().map(|number| &number.text),
        "status": invoice.status.as_str(),
        "total": invoice.totals.total.amount(),
        "due": invoice.due().amount(),
        "currency_code": invoice.currency().code(),
    })
}
