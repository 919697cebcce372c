//! A transaction that says how it ended.

use std::ops::{Deref, DerefMut};

use sqlx::{PgConnection, Postgres, Transaction};

use crate::Error;

/// A transaction that rolls back unless it is committed.
#[derive(Debug)]
pub struct Tx(pub(crate) Transaction<'static, Postgres>);

impl Tx {
    /// Commits.
    ///
    /// # Errors
    /// When the transaction was refused; [`Error::Uncertain`] when the connection broke meanwhile,
    /// and nobody knows whether it was.
    pub async fn commit(self) -> Result<(), Error> {
        let ended = self.0.commit().await.map_err(Error::of_commit);
        if let Err(Error::Uncertain(cause)) = &ended {
            tracing::warn!(%cause, "a commit may or may not have happened");
        }
        ended
    }

    /// Rolls back, and waits for it.
    ///
    /// # Errors
    /// When the connection broke; nothing was written then either.
    pub async fn rollback(self) -> Result<(), Error> {
        Ok(self.0.rollback().await?)
    }
}

impl Deref for Tx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}
