//! The store: one function for each thing that operations ask of the database. The SQL lies in
//! `queries/<table>/`; rows become domain values in `rows/`, the only place that can find one
//! corrupt. Many rows are inserted by one statement, from a JSON array of whole rows.

pub mod budgets;
pub mod invoices;
pub mod ledger;
pub mod payments;
pub mod rate_cards;
pub mod refused_events;
pub mod requests;
pub mod rows;
pub mod time;
pub mod usage;
pub mod verify;

use serde::Serialize;
use sqlx::PgConnection;

/// What can go wrong in the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or is away.
    #[error(transparent)]
    Database(#[from] reeve_postgres::Error),
    /// A row holds what no code of ours wrote.
    #[error("corrupt row of {table}: {what}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        what: String,
    },
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl StoreError {
    /// Whether a unique constraint of this name refused a row.
    pub fn violates_unique(&self, name: &str) -> bool {
        matches!(self, Self::Database(reeve_postgres::Error::UniqueViolation { constraint })
            if constraint == name)
    }
}

/// The result of asking the store.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Inserts whole rows with one statement; the number that were new.
async fn insert_rows(
    connection: &mut PgConnection,
    sql: &'static str,
    rows: &[impl Serialize],
) -> Result<u64> {
    if rows.is_empty() {
        return Ok(0);
    }
    let done = sqlx::query(sql)
        .bind(sqlx::types::Json(rows))
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}
