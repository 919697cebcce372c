//! The service's tables. Queries for requests name their tenant; those of the loops see all tenants,
//! and say so.

pub mod approvals;
pub mod commands;
pub mod executions;
pub mod history;
pub mod rows;
pub mod save;
pub mod timers;
pub mod wakefulness;
pub mod workflows;

use rows::Corrupt;
use sqlx::PgConnection;

/// Makes a transaction that has read nothing yet see one moment, and write nothing.
///
/// # Errors
/// When the database refuses.
pub async fn snapshot(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query("set transaction isolation level repeatable read, read only")
        .execute(connection)
        .await?;
    Ok(())
}

/// Why a query gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused or is away.
    #[error(transparent)]
    Database(#[from] reeve_postgres::Error),
    /// A row holds what no version of this service writes.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}
