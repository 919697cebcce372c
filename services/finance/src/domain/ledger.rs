//! Double entry: what each fact posts, always adding up to zero.

use chrono::{DateTime, Utc};
use reeve_ids::{JournalId, TenantId, Uuid};
use reeve_money::{Cost, MoneyError};

use super::invoice::Invoice;
use super::payment::Payment;
use super::pricing::Charge;
use super::words;

words! {
    /// Which side of the books an account is on.
    AccountKind {
        /// What is owned or owed to us.
        Asset = "ASSET",
        /// What we owe.
        Liability = "LIABILITY",
        /// What was earned.
        Revenue = "REVENUE",
        /// What was consumed.
        Expense = "EXPENSE",
        /// What remains.
        Equity = "EQUITY",
    }
}

words! {
    /// What kind of fact was posted.
    JournalKind {
        /// Usage cost something.
        Usage = "USAGE",
        /// An invoice was issued.
        InvoiceIssued = "INVOICE_ISSUED",
        /// An issued invoice was cancelled.
        InvoiceCancelled = "INVOICE_CANCELLED",
        /// A payment was received.
        PaymentReceived = "PAYMENT_RECEIVED",
    }
}

/// An account by its place in the chart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountRef {
    /// Code, for example "revenue:services".
    pub code: String,
    /// Side of the books.
    pub kind: AccountKind,
}

/// A transaction of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// The transaction.
    pub id: JournalId,
    /// Whose books.
    pub tenant_id: TenantId,
    /// What kind of fact.
    pub kind: JournalKind,
    /// The usage record, invoice or payment.
    pub source_id: Uuid,
    /// The transaction that it reverses.
    pub reverses: Option<JournalId>,
    /// When the fact took effect.
    pub effect_time: DateTime<Utc>,
    /// The entries: debit positive, credit negative, never zero.
    pub entries: Vec<(AccountRef, Cost)>,
}

fn account(kind: AccountKind, code: String) -> AccountRef {
    AccountRef { code, kind }
}

/// What clients owe us.
fn receivable(client_id: &str) -> AccountRef {
    account(AccountKind::Asset, format!("assets:receivable:{client_id}"))
}

/// What the charges of one usage record post: each part's cost to the model or resource that
/// caused it, against what is owed to who provided it. Nothing when it costs nothing.
///
/// # Errors
/// When a sum is out of range.
pub fn usage_entries(charges: &[Charge]) -> Result<Vec<(AccountRef, Cost)>, MoneyError> {
    let mut entries: Vec<(AccountRef, Cost)> = Vec::new();
    for charge in charges {
        let (expense, payable) = if charge.key.is_model() {
            let (provider, model) = (&charge.key.provider, &charge.key.model);
            (
                format!("cogs:llm:{provider}:{model}"),
                format!("liabilities:payable:{provider}"),
            )
        } else {
            let resource = &charge.key.meter;
            (
                format!("cogs:compute:{resource}"),
                "liabilities:payable:compute".to_owned(),
            )
        };
        add(
            &mut entries,
            account(AccountKind::Expense, expense),
            charge.cost,
        )?;
        add(
            &mut entries,
            account(AccountKind::Liability, payable),
            charge.cost.negated(),
        )?;
    }
    entries.retain(|(_, amount)| !amount.is_zero());
    Ok(entries)
}

/// What issuing an invoice posts: the receivable, against revenue and tax.
///
/// # Errors
/// When a sum is out of range.
pub fn issue_entries(invoice: &Invoice) -> Result<Vec<(AccountRef, Cost)>, MoneyError> {
    let totals = &invoice.totals;
    let mut entries = Vec::new();
    add(
        &mut entries,
        receivable(&invoice.client_id),
        totals.total.cost(),
    )?;
    let revenue = account(AccountKind::Revenue, "revenue:services".to_owned());
    add(&mut entries, revenue, totals.net.cost().negated())?;
    for tax in &totals.taxes {
        let code = format!(
            "liabilities:tax:{}:{}",
            tax.category.code(),
            tax.percent.normalize()
        );
        add(
            &mut entries,
            account(AccountKind::Liability, code),
            tax.tax.cost().negated(),
        )?;
    }
    entries.retain(|(_, amount)| !amount.is_zero());
    Ok(entries)
}

/// What a received payment posts: cash and the processor's fee, against the receivable.
///
/// # Errors
/// When a sum is out of range.
pub fn payment_entries(
    payment: &Payment,
    client_id: &str,
) -> Result<Vec<(AccountRef, Cost)>, MoneyError> {
    let mut entries = Vec::new();
    let cash = format!(
        "assets:cash:{}",
        payment.method.as_str().to_ascii_lowercase()
    );
    let fees = account(AccountKind::Expense, "expense:fees".to_owned());
    let (gross, fee) = (payment.amount.cost(), payment.fee.cost());
    add(
        &mut entries,
        account(AccountKind::Asset, cash),
        gross.minus(fee)?,
    )?;
    add(&mut entries, fees, fee)?;
    add(&mut entries, receivable(client_id), gross.negated())?;
    entries.retain(|(_, amount)| !amount.is_zero());
    Ok(entries)
}

/// The mirror image of posted entries.
pub fn reversed(entries: &[(AccountRef, Cost)]) -> Vec<(AccountRef, Cost)> {
    entries
        .iter()
        .map(|(account, amount)| (account.clone(), amount.negated()))
        .collect()
}

fn add(
    entries: &mut Vec<(AccountRef, Cost)>,
    account: AccountRef,
    amount: Cost,
) -> Result<(), MoneyError> {
    match entries.iter_mut().find(|(other, _)| *other == account) {
        Some((_, sum)) => *sum = sum.plus(amount)?,
        None => entries.push((account, amount)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reeve_money::{Currency, Decimal};

    use super::*;
    use crate::domain::rate_card::{MeterKey, UnitPrice};

    fn charge(provider: &str, meter: &str, mantissa: i64) -> Charge {
        let currency: Currency = "USD".parse().unwrap();
        let key = if provider.is_empty() {
            MeterKey::resource(meter)
        } else {
            MeterKey::model(provider, "m", meter)
        };
        Charge {
            key,
            quantity: Decimal::ONE,
            price: UnitPrice {
                amount: Decimal::ONE,
                per_units: 1,
            },
            cost: Cost::new(Decimal::new(mantissa, 10), currency).unwrap(),
        }
    }

    proptest! {
        #[test]
        fn usage_always_posts_zero_in_all(
            parts in prop::collection::vec(
                (prop::sample::select(vec!["", "a", "b"]), "[a-c]", 0_i64..1_000_000_000_000),
                0..20,
            ),
        ) {
            let charges: Vec<_> =
                parts.iter().map(|(provider, meter, cost)| charge(provider, meter, *cost)).collect();
            let entries = usage_entries(&charges).unwrap();
            let sum = Cost::sum("USD".parse().unwrap(), entries.iter().map(|(_, amount)| *amount));
            prop_assert!(sum.unwrap().is_zero());
            prop_assert!(entries.iter().all(|(_, amount)| !amount.is_zero()));
            let back = reversed(&entries);
            prop_assert_eq!(reversed(&back), entries);
        }
    }

    #[test]
    fn the_cost_goes_to_the_model_and_is_owed_to_its_provider() {
        let charges = [
            charge("acme", "input_tokens", 5),
            charge("acme", "output_tokens", 7),
        ];
        let entries: Vec<_> = usage_entries(&charges)
            .unwrap()
            .into_iter()
            .map(|(account, amount)| (account.code, amount.amount()))
            .collect();
        assert_eq!(
            entries,
            [
                ("cogs:llm:acme:m".to_owned(), "0.0000000012".to_owned()),
                (
                    "liabilities:payable:acme".to_owned(),
                    "-0.0000000012".to_owned()
                ),
            ]
        );
    }
}
