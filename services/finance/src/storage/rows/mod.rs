//! Rows as the database holds them, and their way to and from the domain.

mod budget;
mod invoice;
mod ledger;
mod payment;
mod rate_card;
mod usage;

pub use budget::{BudgetRow, HoldRow};
pub use invoice::{BreakdownRow, InvoiceRow, LineRow, ResourceRow, TaxRow, TimeLinkRow};
pub use ledger::{AccountRow, EntryRow, JournalRow, PostedRow, StoredAccount, StoredEntry};
pub use payment::PaymentRow;
pub use rate_card::{CardPriceRow, CardRow, PriceRow};
pub use usage::{ChargeGroupRow, ChargeRow, SummaryRow, TimeRow, UsageRow, charge_rows};

use reeve_money::{Cost, Currency, Decimal, Money};

use super::{Result, StoreError};

/// Says that a row is corrupt.
fn corrupt(table: &'static str, what: impl ToString) -> StoreError {
    StoreError::Corrupt {
        table,
        what: what.to_string(),
    }
}

fn currency(table: &'static str, code: &str) -> Result<Currency> {
    code.parse()
        .map_err(|_| corrupt(table, format!("currency {code:?}")))
}

fn word<T>(table: &'static str, parse: fn(&str) -> Option<T>, word: &str) -> Result<T> {
    parse(word).ok_or_else(|| corrupt(table, format!("word {word:?}")))
}

fn money(table: &'static str, minor: i64, currency: Currency) -> Result<Money> {
    Money::from_minor(minor, currency).map_err(|error| corrupt(table, error))
}

fn cost(table: &'static str, amount: Decimal, currency: Currency) -> Result<Cost> {
    Cost::new(amount, currency).map_err(|error| corrupt(table, error))
}
