//! The begin of a transaction, which neither a caller who leaves nor a connection that broke while
//! it was idle can spoil.

use std::panic::resume_unwind;

use sqlx::postgres::PgPool;
use sqlx::{SqlStr, Transaction};

use crate::{Error, Tx};

/// Begins a transaction by `statement`.
pub(crate) async fn begin(pool: &PgPool, statement: SqlStr) -> Result<Tx, Error> {
    // After a restart of the server each connection of the pool may be broken, one after the other.
    let mut broken = pool.options().get_max_connections();
    loop {
        match begin_once(pool, statement.clone()).await {
            // Nothing but the begin was sent, so another connection may be tried. That none can be
            // had at all is said by the pool, after its own patience.
            Err(Error::Unavailable(sqlx::Error::Io(_) | sqlx::Error::Database(_)))
                if broken > 0 =>
            {
                broken -= 1;
            }
            ended => return ended,
        }
    }
}

async fn begin_once(pool: &PgPool, statement: SqlStr) -> Result<Tx, Error> {
    let connection = pool.acquire().await?;
    // On a task of its own: dropped in the middle, it would leave the connection in a transaction of
    // which the pool knows nothing, and whoever got it next would work in it. When nobody waits for
    // the task any more, its transaction is rolled back. It ends by itself, so nothing watches it.
    #[expect(clippy::disallowed_methods)]
    let begun = tokio::spawn(Transaction::begin(connection, Some(statement)));
    match begun.await {
        Ok(begun) => Ok(Tx(begun?)),
        Err(ended) if ended.is_panic() => resume_unwind(ended.into_panic()),
        // The runtime ends.
        Err(_) => Err(Error::Unavailable(sqlx::Error::WorkerCrashed)),
    }
}
