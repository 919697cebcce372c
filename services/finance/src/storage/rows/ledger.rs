use chrono::{DateTime, Utc};
use reeve_ids::{AccountId, JournalId, Uuid};
use reeve_money::{Cost, Decimal};
use serde::Serialize;
use sqlx::FromRow;

use super::{Result, cost, currency, word};
use crate::domain::ledger::{AccountKind, AccountRef, Journal, JournalKind};

/// What is added to an account, which may not exist yet.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct PostedRow {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub code: String,
    pub currency: String,
    pub kind: &'static str,
    pub balance: Decimal,
    pub create_time: DateTime<Utc>,
}

/// A row of ledger_journal.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct JournalRow {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub kind: &'static str,
    pub source_id: Uuid,
    pub reverses_id: Option<Uuid>,
    pub effect_time: DateTime<Utc>,
    pub create_time: DateTime<Utc>,
}

/// A row of ledger_entry.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct EntryRow {
    pub journal_id: Uuid,
    pub line: i32,
    pub tenant_id: Uuid,
    pub account_id: Uuid,
    pub currency: String,
    pub amount: Decimal,
}

impl JournalRow {
    /// The row of a transaction.
    pub fn of(journal: &Journal, now: DateTime<Utc>) -> Self {
        Self {
            id: journal.id.uuid(),
            tenant_id: journal.tenant_id.uuid(),
            kind: journal.kind.as_str(),
            source_id: journal.source_id,
            reverses_id: journal.reverses.map(JournalId::uuid),
            effect_time: journal.effect_time,
            create_time: now,
        }
    }
}

/// A row of ledger_account.
#[derive(Debug, Clone, FromRow)]
#[allow(missing_docs)]
pub struct AccountRow {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub code: String,
    pub currency: String,
    pub kind: String,
    pub balance: Decimal,
    pub create_time: DateTime<Utc>,
}

/// An account with its balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAccount {
    /// The account.
    pub id: AccountId,
    /// Its place in the chart.
    pub account: AccountRef,
    /// Debits positive.
    pub balance: Cost,
    /// When it was first posted to.
    pub create_time: DateTime<Utc>,
}

impl AccountRow {
    /// The account.
    pub fn account(self) -> Result<StoredAccount> {
        let currency = currency("ledger_account", &self.currency)?;
        Ok(StoredAccount {
            id: AccountId::from_uuid(self.id),
            account: AccountRef {
                code: self.code,
                kind: word("ledger_account", AccountKind::from_word, &self.kind)?,
            },
            balance: cost("ledger_account", self.balance, currency)?,
            create_time: self.create_time,
        })
    }
}

/// An entry beside its transaction and account.
#[derive(Debug, Clone, FromRow)]
#[allow(missing_docs)]
pub struct StoredEntry {
    pub journal_id: Uuid,
    pub line: i32,
    pub account_id: Uuid,
    pub code: String,
    pub account_kind: String,
    pub currency: String,
    pub amount: Decimal,
    pub kind: String,
    pub source_id: Uuid,
    pub reverses_id: Option<Uuid>,
    pub effect_time: DateTime<Utc>,
    pub create_time: DateTime<Utc>,
}

impl StoredEntry {
    /// The signed amount.
    pub fn cost(&self) -> Result<Cost> {
        cost(
            "ledger_entry",
            self.amount,
            currency("ledger_entry", &self.currency)?,
        )
    }

    /// What kind of fact was posted.
    pub fn journal_kind(&self) -> Result<JournalKind> {
        word("ledger_journal", JournalKind::from_word, &self.kind)
    }

    /// Where it was posted.
    pub fn account(&self) -> Result<AccountRef> {
        let kind = word("ledger_account", AccountKind::from_word, &self.account_kind)?;
        Ok(AccountRef {
            code: self.code.clone(),
            kind,
        })
    }
}
