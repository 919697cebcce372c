//! The service's tables. Every query names its tenant; the ones that do not say why.

pub mod agents;
pub mod api_keys;
pub mod requests;
pub mod rows;
pub mod statuses;
pub mod tenants;

use rows::Corrupt;

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
