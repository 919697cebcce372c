//! One replica at a time: work that is safe to do twice but wasteful to.

use futures::FutureExt as _;
use reeve_postgres::{Database, sqlx};

use super::{Loop, Progress};
use crate::service::BoxError;

impl Loop {
    /// Lets the loop tick only where no other replica's loop of the same name is ticking, by an
    /// advisory lock of the service's database. The lock goes with its connection, so correctness
    /// must not rest on it.
    #[must_use]
    pub fn alone(mut self, database: Database, schema: &'static str) -> Self {
        let name = self.name;
        let mut tick = self.tick;
        self.tick = Box::new(move |stop| {
            // Made now and run later: the tick's future does nothing before it is polled.
            let work = tick(stop);
            let database = database.clone();
            async move {
                let mut lock = database.internal().await?;
                let (leads,): (bool,) =
                    sqlx::query_as("select pg_try_advisory_xact_lock(hashtextextended($1, 0))")
                        .bind(format!("{schema}/loop/{name}"))
                        .fetch_one(&mut *lock)
                        .await
                        .map_err(reeve_postgres::Error::from)?;
                let progress = if leads { work.await? } else { Progress::Idle };
                // Ends the transaction, and with it the lock; nothing was written in it.
                lock.rollback().await?;
                Ok::<Progress, BoxError>(progress)
            }
            .boxed()
        });
        self
    }
}
