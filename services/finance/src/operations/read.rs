//! Reading one thing, and lists. A list reads one row more than its page to know of a next one.

use chrono::{DateTime, Utc};
use reeve_ids::{BudgetId, InvoiceId, PaymentId, RateCardId, TenantId, Uuid};

use super::Context;
use crate::domain::billing::{Breakdown, ResourceUsage, TimeEntry};
use crate::domain::budget::{Budget, Hold};
use crate::domain::invoice::Invoice;
use crate::domain::payment::Payment;
use crate::domain::rate_card::RateCard;
use crate::domain::usage::UsageRecord;
use crate::error::Error;
use crate::storage::budgets::{self, BudgetFilter, HoldFilter};
use crate::storage::invoices::{self, InvoiceFilter};
use crate::storage::ledger::{self, EntryFilter};
use crate::storage::payments::{self, PaymentFilter};
use crate::storage::rate_cards::{self, CardFilter};
use crate::storage::rows::{StoredAccount, StoredEntry, SummaryRow};
use crate::storage::time::{self, TimeFilter};
use crate::storage::usage::{self, SummaryKey, UsageFilter};
use crate::storage::verify::{self, Verification};

/// Time entries that come with an invoice.
const MOST_TIME: i64 = 1_000;

/// An invoice with everything that belongs to it.
#[derive(Debug, Clone)]
pub struct FullInvoice {
    /// The invoice.
    pub invoice: Invoice,
    /// Its payments.
    pub payments: Vec<Payment>,
    /// What the work cost.
    pub breakdowns: Vec<Breakdown>,
    /// What it consumed.
    pub resources: Vec<ResourceUsage>,
    /// How long it took.
    pub time: Vec<TimeEntry>,
}

/// A page of a list: after which key it begins, and how many rows to read.
#[derive(Debug, Clone)]
pub struct Page<Key> {
    /// The last key of the page before.
    pub after: Option<Key>,
    /// One more than the page holds.
    pub limit: i64,
}

impl Context {
    /// One version of a price list.
    pub async fn get_rate_card(&self, tenant: TenantId, id: RateCardId) -> Result<RateCard, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        let card = rate_cards::get(&mut tx, tenant, id).await?;
        card.ok_or_else(|| Error::not_found("rate_card", id))
    }

    /// Versions, newest first.
    pub async fn list_rate_cards(
        &self,
        tenant: TenantId,
        filter: &CardFilter,
        page: Page<Uuid>,
    ) -> Result<Vec<RateCard>, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        Ok(rate_cards::list(&mut tx, tenant, filter, page.after, page.limit).await?)
    }

    /// Usage, newest first.
    pub async fn list_usage(
        &self,
        tenant: TenantId,
        filter: &UsageFilter,
        page: Page<Uuid>,
    ) -> Result<Vec<UsageRecord>, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        Ok(usage::list(&mut tx, tenant, filter, page.after, page.limit).await?)
    }

    /// Costs by a dimension, dearest first, and the sums of all by currency.
    pub async fn summarize_costs(
        &self,
        tenant: TenantId,
        dimension: &'static str,
        filter: &UsageFilter,
        page: Page<SummaryKey>,
    ) -> Result<(Vec<SummaryRow>, Vec<SummaryRow>), Error> {
        let mut tx = self.database.tenant(tenant).await?;
        let (after, limit) = (page.after.as_ref(), page.limit);
        let rows = usage::summary(&mut tx, tenant, dimension, filter, after, limit).await?;
        // One row for each currency, of which there are fewer than this.
        let totals = usage::summary(&mut tx, tenant, "", filter, None, 1_000).await?;
        Ok((rows, totals))
    }

    /// One budget.
    pub async fn get_budget(&self, tenant: TenantId, id: BudgetId) -> Result<Budget, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        let budget = budgets::get(&mut tx, tenant, id).await?;
        budget.ok_or_else(|| Error::not_found("budget", id))
    }

    /// Budgets, oldest first.
    pub async fn list_budgets(
        &self,
        tenant: TenantId,
        filter: BudgetFilter,
        page: Page<Uuid>,
    ) -> Result<Vec<Budget>, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        Ok(budgets::list(&mut tx, tenant, filter, page.after, page.limit).await?)
    }

    /// Holds, newest first.
    pub async fn list_holds(
        &self,
        tenant: TenantId,
        filter: HoldFilter,
        page: Page<Uuid>,
    ) -> Result<Vec<Hold>, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        Ok(budgets::list_holds(&mut tx, tenant, filter, page.after, page.limit).await?)
    }

    /// Accounts, by code and currency.
    pub async fn list_accounts(
        &self,
        tenant: TenantId,
        code_prefix: &str,
        currency: &str,
        page: Page<(String, String)>,
    ) -> Result<Vec<StoredAccount>, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        let after = page.after.as_ref();
        Ok(
            ledger::list_accounts(&mut tx, tenant, code_prefix, currency, after, page.limit)
                .await?,
        )
    }

    /// Entries, newest transaction first.
    pub async fn list_entries(
        &self,
        tenant: TenantId,
        filter: EntryFilter,
        page: Page<(Uuid, i32)>,
    ) -> Result<Vec<StoredEntry>, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        Ok(ledger::list_entries(&mut tx, tenant, filter, page.after, page.limit).await?)
    }

    /// Adds the books up again.
    pub async fn verify_ledger(&self, tenant: TenantId) -> Result<Verification, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        Ok(verify::verify(&mut tx, tenant).await?)
    }

    /// One invoice with everything that belongs to it.
    pub async fn get_invoice(&self, tenant: TenantId, id: InvoiceId) -> Result<FullInvoice, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        let invoice = invoices::get(&mut tx, tenant, id)
            .await?
            .ok_or_else(|| Error::not_found("invoice", id))?;
        let (breakdowns, resources) = invoices::details(&mut tx, &invoice).await?;
        let listed = TimeFilter {
            invoice_id: Some(id),
            project_id: None,
        };
        Ok(FullInvoice {
            payments: payments::of_invoice(&mut tx, tenant, id).await?,
            time: time::list(&mut tx, tenant, listed, None, MOST_TIME).await?,
            invoice,
            breakdowns,
            resources,
        })
    }

    /// Time worked, oldest first.
    pub async fn list_time(
        &self,
        tenant: TenantId,
        filter: TimeFilter,
        page: Page<(DateTime<Utc>, Uuid)>,
    ) -> Result<Vec<TimeEntry>, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        Ok(time::list(&mut tx, tenant, filter, page.after, page.limit).await?)
    }

    /// Invoices, newest first.
    pub async fn list_invoices(
        &self,
        tenant: TenantId,
        filter: &InvoiceFilter,
        page: Page<Uuid>,
    ) -> Result<Vec<Invoice>, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        Ok(invoices::list(&mut tx, tenant, filter, page.after, page.limit).await?)
    }

    /// One payment.
    pub async fn get_payment(&self, tenant: TenantId, id: PaymentId) -> Result<Payment, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        let payment = payments::get(&mut tx, tenant, id).await?;
        payment.ok_or_else(|| Error::not_found("payment", id))
    }

    /// Payments, newest first.
    pub async fn list_payments(
        &self,
        tenant: TenantId,
        filter: PaymentFilter,
        page: Page<Uuid>,
    ) -> Result<Vec<Payment>, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        Ok(payments::list(&mut tx, tenant, filter, page.after, page.limit).await?)
    }
}
