//! Adding the books up again.

use reeve_ids::TenantId;
use reeve_money::{Currency, Decimal};
use sqlx::{FromRow, PgConnection};

use super::{Result, StoreError};

/// Something that must never be.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct LedgerFault {
    /// Which rule is broken.
    pub rule: String,
    /// By what.
    pub subject: String,
    /// What is.
    pub found: String,
    /// What should be.
    pub expected: String,
}

/// How much was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct Counts {
    /// Transactions.
    pub journals: i64,
    /// Entries.
    pub entries: i64,
    /// Accounts.
    pub accounts: i64,
}

/// The result of a check.
#[derive(Debug, Clone)]
pub struct Verification {
    /// How much was checked.
    pub counts: Counts,
    /// Sum of each currency.
    pub sums: Vec<(Currency, Decimal)>,
    /// At most 100 faults.
    pub faults: Vec<LedgerFault>,
}

/// Adds everything up in one snapshot. The transaction must have run no query before.
pub async fn verify(connection: &mut PgConnection, tenant: TenantId) -> Result<Verification> {
    sqlx::query("set transaction isolation level repeatable read, read only")
        .execute(&mut *connection)
        .await?;
    let counts = sqlx::query_as(include_str!("queries/ledger_entry/counts.sql"))
        .bind(tenant.uuid())
        .fetch_one(&mut *connection)
        .await?;
    let sums: Vec<(String, Decimal, i64)> =
        sqlx::query_as(include_str!("queries/ledger_entry/sums.sql"))
            .bind(tenant.uuid())
            .fetch_all(&mut *connection)
            .await?;
    let sums = sums
        .into_iter()
        .map(|(code, sum, _)| Ok((currency(&code)?, sum)))
        .collect::<Result<_>>()?;
    let codes: Vec<String> = sqlx::query_scalar(include_str!("queries/invoice/currencies.sql"))
        .bind(tenant.uuid())
        .fetch_all(&mut *connection)
        .await?;
    let factors = codes
        .iter()
        .map(|code| Ok(10_i64.pow(currency(code)?.exponent())))
        .collect::<Result<Vec<_>>>()?;
    let faults = sqlx::query_as(include_str!("queries/ledger_entry/faults.sql"))
        .bind(tenant.uuid())
        .bind(codes)
        .bind(factors)
        .fetch_all(connection)
        .await?;
    Ok(Verification {
        counts,
        sums,
        faults,
    })
}

fn currency(code: &str) -> Result<Currency> {
    let what = || format!("currency {code:?}");
    code.parse().map_err(|_| StoreError::Corrupt {
        table: "ledger_entry",
        what: what(),
    })
}
