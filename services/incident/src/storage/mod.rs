//! The service's tables. Rows become domain values in `rows`; the SQL lies in `queries/`, one file
//! a statement, a folder a table.

pub mod alerts;
pub mod events;
pub mod evidence;
pub mod incidents;
pub mod parts;
pub mod requests;
pub mod rows;
pub mod rules;
pub mod timeline;

/// Why rows could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused or is away.
    #[error(transparent)]
    Database(#[from] reeve_postgres::Error),
    /// A row holds what no version of this service writes.
    #[error(transparent)]
    Corrupt(#[from] rows::Corrupt),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}
