//! The books.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use reeve_ids::{AccountId, JournalId, TenantId, Uuid};
use reeve_money::Decimal;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::rows::{AccountRow, EntryRow, JournalRow, PostedRow, StoredAccount, StoredEntry};
use super::{Result, insert_rows};
use crate::domain::ledger::Journal;

type AccountKey = (Uuid, String, String);

/// Posts transactions, of one tenant or several. Call it once in a database transaction and after
/// budgets are moved: accounts are then locked last and in one order everywhere.
pub async fn post(
    connection: &mut PgConnection,
    journals: &[Journal],
    now: DateTime<Utc>,
) -> Result<()> {
    let journals: Vec<&Journal> = journals
        .iter()
        .filter(|journal| !journal.entries.is_empty())
        .collect();
    if journals.is_empty() {
        return Ok(());
    }
    let accounts = add_to_accounts(connection, &journals, now).await?;
    let rows: Vec<_> = journals
        .iter()
        .map(|journal| JournalRow::of(journal, now))
        .collect();
    insert_rows(
        connection,
        include_str!("queries/ledger_journal/insert.sql"),
        &rows,
    )
    .await?;
    let mut entries = Vec::new();
    for journal in journals {
        for (line, (account, amount)) in (0..).zip(&journal.entries) {
            let tenant_id = journal.tenant_id.uuid();
            let currency = amount.currency().code().to_owned();
            entries.push(EntryRow {
                journal_id: journal.id.uuid(),
                line,
                tenant_id,
                account_id: accounts[&(tenant_id, account.code.clone(), currency.clone())],
                currency,
                amount: amount.decimal(),
            });
        }
    }
    insert_rows(
        connection,
        include_str!("queries/ledger_entry/insert.sql"),
        &entries,
    )
    .await?;
    Ok(())
}

async fn add_to_accounts(
    connection: &mut PgConnection,
    journals: &[&Journal],
    now: DateTime<Utc>,
) -> Result<HashMap<AccountKey, Uuid>> {
    let mut sums: BTreeMap<AccountKey, (&'static str, Decimal)> = BTreeMap::new();
    for journal in journals {
        for (account, amount) in &journal.entries {
            let currency = amount.currency().code().to_owned();
            let key = (journal.tenant_id.uuid(), account.code.clone(), currency);
            sums.entry(key)
                .or_insert((account.kind.as_str(), Decimal::ZERO))
                .1 += amount.decimal();
        }
    }
    let rows: Vec<_> = sums
        .into_iter()
        .map(|((tenant_id, code, currency), (kind, balance))| PostedRow {
            id: AccountId::new().uuid(),
            tenant_id,
            code,
            currency,
            kind,
            balance,
            create_time: now,
        })
        .collect();
    let accounts: Vec<AccountRow> = sqlx::query_as(include_str!("queries/ledger_account/post.sql"))
        .bind(Json(rows))
        .fetch_all(connection)
        .await?;
    Ok(accounts
        .into_iter()
        .map(|row| ((row.tenant_id, row.code, row.currency), row.id))
        .collect())
}

/// Accounts after a key, by code and currency.
pub async fn list_accounts(
    connection: &mut PgConnection,
    tenant: TenantId,
    code_prefix: &str,
    currency: &str,
    after: Option<&(String, String)>,
    limit: i64,
) -> Result<Vec<StoredAccount>> {
    let rows: Vec<AccountRow> = sqlx::query_as(include_str!("queries/ledger_account/list.sql"))
        .bind(tenant.uuid())
        .bind(code_prefix)
        .bind(currency)
        .bind(after.map(|(code, _)| code))
        .bind(after.map(|(_, currency)| currency))
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(AccountRow::account).collect()
}

/// Which entries to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct EntryFilter {
    /// Of this account.
    pub account_id: Option<AccountId>,
    /// Of this transaction.
    pub journal_id: Option<JournalId>,
    /// Of this kind; empty for all.
    pub kind: &'static str,
    /// Of the posting of this thing.
    pub source_id: Option<Uuid>,
    /// Posted at or after.
    pub start_time: Option<DateTime<Utc>>,
    /// Posted before.
    pub end_time: Option<DateTime<Utc>>,
}

/// Entries after a key, newest transaction first.
pub async fn list_entries(
    connection: &mut PgConnection,
    tenant: TenantId,
    filter: EntryFilter,
    after: Option<(Uuid, i32)>,
    limit: i64,
) -> Result<Vec<StoredEntry>> {
    let rows = sqlx::query_as(include_str!("queries/ledger_entry/list.sql"))
        .bind(tenant.uuid())
        .bind(filter.account_id.map(AccountId::uuid))
        .bind(filter.journal_id.map(JournalId::uuid))
        .bind(filter.kind)
        .bind(filter.source_id)
        .bind(filter.start_time)
        .bind(filter.end_time)
        .bind(after.map(|(journal, _)| journal))
        .bind(after.map(|(_, line)| line))
        .bind(limit)
        .fetch_all(connection)
        .await?;
    Ok(rows)
}
