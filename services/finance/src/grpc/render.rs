//! Writing money, budgets, holds and the ledger.

use chrono::{DateTime, Utc};
use reeve_contracts::finance::v1 as proto;
use reeve_contracts::r#type::v1 as types;
use reeve_ids::{BudgetId, TaskId};
use reeve_money::{Cost, Currency, Decimal, Money, format_decimal};

use crate::domain::budget::{Budget, Hold};
use crate::error::Error;
use crate::storage::rows::{StoredAccount, StoredEntry};
use crate::storage::verify::{LedgerFault, Verification};

/// The number of an enum's value, by the word of the domain. A test reads every word.
pub fn number<E: Into<i32>>(parse: fn(&str) -> Option<E>, prefix: &str, word: &str) -> i32 {
    parse(&format!("{prefix}{word}")).map_or(0, Into::into)
}

/// Booked money.
pub fn money(money: Money) -> types::Money {
    types::Money {
        amount: money.amount(),
        currency_code: money.currency().code().to_owned(),
    }
}

/// An accrued cost.
pub fn cost(cost: Cost) -> types::Money {
    types::Money {
        amount: cost.amount(),
        currency_code: cost.currency().code().to_owned(),
    }
}

/// A sum that may be below zero or above what a cost may be.
pub fn sum(amount: Decimal, currency: Currency) -> types::Money {
    types::Money {
        amount: format_decimal(amount, currency.exponent()),
        currency_code: currency.code().to_owned(),
    }
}

/// A moment that may be missing.
pub fn time(time: Option<DateTime<Utc>>) -> Option<prost_types::Timestamp> {
    time.map(reeve_wellknown::timestamp)
}

/// An id that may be missing.
pub fn id<T: ToString>(id: Option<T>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

/// A budget.
pub fn budget(budget: &Budget) -> proto::Budget {
    let word = budget.scope.as_str();
    proto::Budget {
        id: budget.id.to_string(),
        name: budget.name.clone(),
        parent_id: id(budget.parent_id()),
        scope: number(proto::BudgetScope::from_str_name, "BUDGET_SCOPE_", word),
        scope_id: budget.scope_id.clone(),
        limit: Some(cost(budget.cap)),
        spent: Some(cost(budget.spent)),
        reserved: Some(cost(budget.reserved)),
        available: Some(sum(budget.available(), budget.currency())),
        exhaust_time: time(budget.exhaust_time),
        create_time: time(Some(budget.create_time)),
    }
}

/// A hold.
pub fn hold(hold: &Hold) -> proto::Hold {
    let word = hold.state.as_str();
    proto::Hold {
        id: hold.id.to_string(),
        budget_id: BudgetId::to_string(&hold.budget_id),
        task_id: id::<TaskId>(hold.task_id),
        attempt: hold.attempt,
        amount: Some(cost(hold.amount)),
        state: number(proto::HoldState::from_str_name, "HOLD_STATE_", word),
        actual: hold.actual.map(cost),
        overrun: hold.overrun(),
        expire_time: time(Some(hold.expire_time)),
        create_time: time(Some(hold.create_time)),
        close_time: time(hold.close_time),
    }
}

/// An account.
pub fn account(account: &StoredAccount) -> proto::Account {
    let word = account.account.kind.as_str();
    proto::Account {
        id: account.id.to_string(),
        code: account.account.code.clone(),
        kind: number(proto::AccountKind::from_str_name, "ACCOUNT_KIND_", word),
        balance: Some(cost(account.balance)),
        create_time: time(Some(account.create_time)),
    }
}

/// An entry.
pub fn entry(entry: &StoredEntry) -> Result<proto::LedgerEntry, Error> {
    let word = entry.journal_kind()?.as_str();
    Ok(proto::LedgerEntry {
        journal_id: entry.journal_id.to_string(),
        line: entry.line,
        account_id: entry.account_id.to_string(),
        account_code: entry.code.clone(),
        amount: Some(cost(entry.cost()?)),
        kind: number(proto::JournalKind::from_str_name, "JOURNAL_KIND_", word),
        source_id: entry.source_id.to_string(),
        reverses_journal_id: id(entry.reverses_id),
        effect_time: time(Some(entry.effect_time)),
        create_time: time(Some(entry.create_time)),
    })
}

/// The result of a check.
pub fn verification(result: &Verification, now: DateTime<Utc>) -> proto::VerifyLedgerResponse {
    let fault = |fault: &LedgerFault| proto::LedgerFault {
        rule: fault.rule.clone(),
        subject: fault.subject.clone(),
        description: format!("is {}, should be {}", fault.found, fault.expected),
    };
    proto::VerifyLedgerResponse {
        balanced: result.faults.is_empty(),
        journal_count: result.counts.journals,
        entry_count: result.counts.entries,
        account_count: result.counts.accounts,
        sums: result
            .sums
            .iter()
            .map(|(currency, amount)| sum(*amount, *currency))
            .collect(),
        faults: result.faults.iter().map(fault).collect(),
        verify_time: time(Some(now)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain;

    /// Every word of the domain is a value of the contract, so that none is shown as unspecified.
    #[test]
    fn every_word_has_its_number() {
        macro_rules! check {
            ($words:ty, $contract:ty, $prefix:literal) => {
                for one in <$words>::ALL {
                    let word = one.as_str();
                    let shown = number(<$contract>::from_str_name, $prefix, word);
                    assert_ne!(shown, 0, "{}{word} is not in the contract", $prefix);
                }
            };
        }
        check!(
            domain::budget::BudgetScope,
            proto::BudgetScope,
            "BUDGET_SCOPE_"
        );
        check!(domain::budget::HoldState, proto::HoldState, "HOLD_STATE_");
        check!(
            domain::ledger::AccountKind,
            proto::AccountKind,
            "ACCOUNT_KIND_"
        );
        check!(
            domain::ledger::JournalKind,
            proto::JournalKind,
            "JOURNAL_KIND_"
        );
        check!(
            domain::usage::UsageStatus,
            proto::UsageStatus,
            "USAGE_STATUS_"
        );
        check!(
            domain::usage::Outcome,
            proto::UsageOutcome,
            "USAGE_OUTCOME_"
        );
        check!(
            domain::invoice_status::InvoiceStatus,
            proto::InvoiceStatus,
            "INVOICE_STATUS_"
        );
        check!(
            domain::payment::PaymentStatus,
            proto::PaymentStatus,
            "PAYMENT_STATUS_"
        );
        check!(
            domain::payment::PaymentMethod,
            proto::PaymentMethod,
            "PAYMENT_METHOD_"
        );
        check!(
            domain::totals::TaxCategory,
            proto::TaxCategory,
            "TAX_CATEGORY_"
        );
        check!(
            domain::totals::LineKind,
            proto::LineItemKind,
            "LINE_ITEM_KIND_"
        );
    }
}
