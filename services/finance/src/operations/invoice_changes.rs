//! Issuing, viewing and cancelling an invoice.

use chrono::{DateTime, Utc};
use reeve_events::{Actor, NewEvent};
use reeve_ids::{InvoiceId, JournalId, TenantId};
use reeve_postgres::Tx;

use super::invoices::facts;
use super::{Context, append};
use crate::domain::invoice::{Invoice, Number};
use crate::domain::ledger::{Journal, JournalKind, issue_entries, reversed};
use crate::error::Error;
use crate::storage::ledger::EntryFilter;
use crate::storage::rows::StoredEntry;
use crate::storage::{invoices, ledger, payments, time, usage};

/// Which invoice to change, and what the caller read of it.
#[derive(Debug, Clone)]
pub struct Change {
    /// The caller's tenant.
    pub tenant_id: TenantId,
    /// The caller, for events.
    pub actor: Actor,
    /// The invoice.
    pub id: InvoiceId,
    /// Its version when it was read; nothing for any.
    pub version: Option<i64>,
}

impl Context {
    /// Issues a draft: books it, and numbers it last of all.
    pub async fn issue_invoice(&self, change: Change) -> Result<Invoice, Error> {
        let now = self.now();
        let mut tx = self.database.tenant(change.tenant_id).await?;
        let mut invoice = lock(&mut tx, &change).await?;
        let issued = invoice
            .issue(now)
            .map_err(|f| Error::forbidden("invoice", change.id, f))?;
        if !issued {
            return Ok(invoice);
        }
        let entries =
            issue_entries(&invoice).map_err(|error| Error::amount("invoice_id", error))?;
        let posting = Journal {
            id: JournalId::new(),
            tenant_id: change.tenant_id,
            kind: JournalKind::InvoiceIssued,
            source_id: change.id.uuid(),
            reverses: None,
            effect_time: now,
            entries,
        };
        ledger::post(&mut tx, &[posting], now).await?;
        let year = invoice.fiscal_year();
        // From here on the series is locked: only what needs the number may follow.
        let value = invoices::next_number(&mut tx, change.tenant_id, &invoice.series, year).await?;
        invoice.number = Some(Number::new(&invoice.series, year, value));
        invoices::save(&mut tx, &mut invoice).await?;
        let event = change.event(&invoice, now, "invoice.issued");
        append(&mut tx, vec![event]).await?;
        self.commit(tx).await?;
        self.counters.invoices.inc();
        self.counters.postings.inc();
        Ok(invoice)
    }

    /// Notes that the client has seen it.
    pub async fn view_invoice(&self, change: Change) -> Result<Invoice, Error> {
        let mut tx = self.database.tenant(change.tenant_id).await?;
        let mut invoice = lock(&mut tx, &change).await?;
        let seen = invoice
            .view(self.now())
            .map_err(|f| Error::forbidden("invoice", change.id, f))?;
        if seen {
            invoices::save(&mut tx, &mut invoice).await?;
            let event = change.event(&invoice, self.now(), "invoice.viewed");
            append(&mut tx, vec![event]).await?;
            self.commit(tx).await?;
        }
        Ok(invoice)
    }

    /// Voids it: reverses its posting and frees its work.
    pub async fn cancel_invoice(&self, change: Change, reason: String) -> Result<Invoice, Error> {
        let (now, tenant) = (self.now(), change.tenant_id);
        let mut tx = self.database.tenant(tenant).await?;
        let mut invoice = lock(&mut tx, &change).await?;
        let open = payments::open_sum(&mut tx, tenant, change.id, invoice.currency()).await?;
        let cancelled = invoice
            .cancel(reason, open, now)
            .map_err(|f| Error::forbidden("invoice", change.id, f))?;
        if !cancelled {
            return Ok(invoice);
        }
        usage::free(&mut tx, tenant, change.id).await?;
        time::free(&mut tx, tenant, change.id).await?;
        if invoice.issue_time.is_some() {
            let reversal = reversal(&mut tx, &change, now).await?;
            ledger::post(&mut tx, &reversal, now).await?;
        }
        invoices::save(&mut tx, &mut invoice).await?;
        let event = change.event(&invoice, now, "invoice.cancelled");
        append(&mut tx, vec![event]).await?;
        self.commit(tx).await?;
        Ok(invoice)
    }
}

impl Change {
    fn event(&self, invoice: &Invoice, now: DateTime<Utc>, kind: &'static str) -> NewEvent {
        NewEvent::new(
            self.tenant_id,
            self.actor.clone(),
            now,
            kind,
            ("invoice", self.id),
        )
        .with(facts(invoice))
    }
}

async fn lock(tx: &mut Tx, change: &Change) -> Result<Invoice, Error> {
    let invoice = invoices::lock(tx, change.tenant_id, change.id)
        .await?
        .ok_or_else(|| Error::not_found("invoice", change.id))?;
    if change
        .version
        .is_some_and(|version| version != invoice.version)
    {
        return Err(Error::EtagMismatch {
            id: change.id,
            current: invoice.version,
        });
    }
    Ok(invoice)
}

/// The mirror image of what issuing posted; nothing when that posted nothing.
async fn reversal(tx: &mut Tx, change: &Change, now: DateTime<Utc>) -> Result<Vec<Journal>, Error> {
    let filter = EntryFilter {
        kind: JournalKind::InvoiceIssued.as_str(),
        source_id: Some(change.id.uuid()),
        ..EntryFilter::default()
    };
    let posted = ledger::list_entries(tx, change.tenant_id, filter, None, 1_000).await?;
    let Some(original) = posted.first().map(|entry| entry.journal_id) else {
        return Ok(Vec::new());
    };
    let entries = posted
        .iter()
        .map(|entry: &StoredEntry| Ok((entry.account()?, entry.cost()?)))
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(vec![Journal {
        id: JournalId::new(),
        tenant_id: change.tenant_id,
        kind: JournalKind::InvoiceCancelled,
        source_id: change.id.uuid(),
        reverses: Some(JournalId::from_uuid(original)),
        effect_time: now,
        entries: reversed(&entries),
    }])
}
