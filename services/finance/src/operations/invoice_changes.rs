//! Issuing, viewing and cancelling an invoice.

use chrono::{DateTime, Utc};
use reeve_events::NewEvent;
use reeve_ids::{InvoiceId, JournalId};
use reeve_postgres::Tx;

use super::invoices::facts;
use super::{Call, Context, append, check_version};
use crate::domain::invoice::{Invoice, Number};
use crate::domain::ledger::{Journal, JournalKind, issue_entries, reversed};
use crate::error::Error;
use crate::storage::ledger::EntryFilter;
use crate::storage::rows::StoredEntry;
use crate::storage::{invoices, ledger, payments, time, usage};

/// Which invoice to change, and what the caller read of it.
#[derive(Debug, Clone)]
pub struct Change {
    /// Who calls for it.
    pub call: Call,
    /// The invoice.
    pub id: InvoiceId,
    /// Its version when it was read; nothing for any.
    pub version: Option<i64>,
}

impl Context {
    /// Issues a draft: books it, and numbers it last of all.
    pub async fn issue_invoice(&self, change: Change) -> Result<Invoice, Error> {
        let (now, tenant) = (self.now(), change.call.tenant_id);
        let mut tx = self.database.tenant(tenant).await?;
        let draft = match self.lock(&mut tx, &change).await? {
            Locked::Fresh(invoice) => invoice,
            Locked::Repeated(invoice) => return Ok(invoice),
        };
        let mut invoice = draft.clone();
        if !issue(&mut invoice, now)? {
            self.commit(tx).await?;
            return Ok(invoice);
        }
        let entries =
            issue_entries(&invoice).map_err(|error| Error::amount("invoice_id", error))?;
        let posting = Journal {
            id: JournalId::new(),
            tenant_id: tenant,
            kind: JournalKind::InvoiceIssued,
            source_id: change.id.uuid(),
            reverses: None,
            effect_time: now,
            entries,
        };
        ledger::post(&mut tx, &[posting], now).await?;
        let year = invoice.fiscal_year();
        // From here on the series is locked: only what needs the number may follow.
        let (value, time) =
            invoices::next_number(&mut tx, tenant, &invoice.series, year, now).await?;
        if time != now {
            // Another that waited less long has the number before and a later time.
            invoice = draft;
            issue(&mut invoice, time)?;
        }
        invoice.number = Some(Number::new(&invoice.series, year, value));
        invoices::save(&mut tx, &mut invoice).await?;
        append(&mut tx, vec![change.event(&invoice, now, "invoice.issued")]).await?;
        self.commit(tx).await?;
        self.counters.invoices.inc();
        self.counters.postings.inc();
        Ok(invoice)
    }

    /// Notes that the client has seen it.
    pub async fn view_invoice(&self, change: Change) -> Result<Invoice, Error> {
        let now = self.now();
        let mut tx = self.database.tenant(change.call.tenant_id).await?;
        let (Locked::Fresh(mut invoice) | Locked::Repeated(mut invoice)) =
            self.lock(&mut tx, &change).await?;
        let seen = invoice
            .view(now)
            .map_err(|f| Error::forbidden("invoice", change.id, f))?;
        if seen {
            invoices::save(&mut tx, &mut invoice).await?;
            append(&mut tx, vec![change.event(&invoice, now, "invoice.viewed")]).await?;
            self.commit(tx).await?;
        }
        Ok(invoice)
    }

    /// Voids it: reverses its posting and frees its work.
    pub async fn cancel_invoice(&self, change: Change, reason: String) -> Result<Invoice, Error> {
        let (now, tenant) = (self.now(), change.call.tenant_id);
        let mut tx = self.database.tenant(tenant).await?;
        let mut invoice = match self.lock(&mut tx, &change).await? {
            Locked::Fresh(invoice) => invoice,
            Locked::Repeated(invoice) => return Ok(invoice),
        };
        let open = payments::open_sum(&mut tx, tenant, change.id, invoice.currency()).await?;
        let cancelled = invoice
            .cancel(reason, open, now)
            .map_err(|f| Error::forbidden("invoice", change.id, f))?;
        if cancelled {
            usage::free(&mut tx, tenant, change.id).await?;
            time::free(&mut tx, tenant, change.id).await?;
            if invoice.issue_time.is_some() {
                let reversal = reversal(&mut tx, &change, now).await?;
                ledger::post(&mut tx, &reversal, now).await?;
            }
            invoices::save(&mut tx, &mut invoice).await?;
            append(
                &mut tx,
                vec![change.event(&invoice, now, "invoice.cancelled")],
            )
            .await?;
        }
        self.commit(tx).await?;
        Ok(invoice)
    }

    /// Locks the invoice, which must be as the caller read it unless the call is a repetition.
    async fn lock(&self, tx: &mut Tx, change: &Change) -> Result<Locked, Error> {
        let made = self.claim(tx, &change.call, change.id.uuid()).await?;
        let invoice = invoices::lock(tx, change.call.tenant_id, change.id)
            .await?
            .ok_or_else(|| Error::not_found("invoice", change.id))?;
        if made.is_some() {
            return Ok(Locked::Repeated(invoice));
        }
        check_version("invoice", change.id, invoice.version, change.version)?;
        Ok(Locked::Fresh(invoice))
    }
}

/// A locked invoice.
enum Locked {
    /// That may be changed.
    Fresh(Invoice),
    /// That a call with the same request id has changed already.
    Repeated(Invoice),
}

impl Change {
    fn event(&self, invoice: &Invoice, now: DateTime<Utc>, kind: &'static str) -> NewEvent {
        let actor = self.call.actor.clone();
        NewEvent::new(self.call.tenant_id, actor, now, kind, ("invoice", self.id))
            .with(facts(invoice))
    }
}

fn issue(invoice: &mut Invoice, now: DateTime<Utc>) -> Result<bool, Error> {
    let issued = invoice.issue(now);
    issued.map_err(|forbidden| Error::forbidden("invoice", invoice.id, forbidden))
}

/// The mirror image of what issuing posted; nothing when that posted nothing.
async fn reversal(tx: &mut Tx, change: &Change, now: DateTime<Utc>) -> Result<Vec<Journal>, Error> {
    let filter = EntryFilter {
        kind: JournalKind::InvoiceIssued.as_str(),
        source_id: Some(change.id.uuid()),
        ..EntryFilter::default()
    };
    let posted = ledger::list_entries(tx, change.call.tenant_id, filter, None, 1_000).await?;
    let Some(original) = posted.first().map(|entry| entry.journal_id) else {
        return Ok(Vec::new());
    };
    let entries = posted
        .iter()
        .map(|entry: &StoredEntry| Ok((entry.account()?, entry.cost()?)))
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(vec![Journal {
        id: JournalId::new(),
        tenant_id: change.call.tenant_id,
        kind: JournalKind::InvoiceCancelled,
        source_id: change.id.uuid(),
        reverses: Some(JournalId::from_uuid(original)),
        effect_time: now,
        entries: reversed(&entries),
    }])
}
