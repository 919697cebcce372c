//! Streams over the tenant's log: they read on from a cursor, and wait when there is nothing.

use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use reeve_ids::TenantId;
use reeve_status::{Fault, Reason};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::operations::EventFilter as Filter;
use crate::operations::Operations;
use crate::operations::events::Batch;

/// How long a stream waits for a wake-up before it looks by itself: another replica may have
/// recorded, and then nobody wakes it.
const PATIENCE: Duration = Duration::from_secs(1);

/// What all streams share.
#[derive(Debug, Clone)]
pub struct Streams {
    /// How long a stream is silent before it says where it stands.
    pub bookmark_period: Duration,
    /// Cancelled when the server drains.
    pub drain: CancellationToken,
}

/// A place in a tenant's log that moves on.
pub struct Follower {
    operations: Operations,
    streams: Streams,
    tenant: TenantId,
    filter: Filter,
    cursor: i64,
    grown: watch::Receiver<u64>,
    /// Whether the client knows that it has caught up.
    told: bool,
    spoke: Instant,
}

impl Follower {
    /// A follower from a cursor; without one, from the beginning or the end of the log.
    pub async fn start(
        operations: Operations,
        streams: Streams,
        (tenant, filter): (TenantId, Filter),
        (cursor, only_new): (Option<i64>, bool),
    ) -> Result<Self, Fault> {
        let head = operations.log_head(tenant).await?;
        let cursor = match cursor {
            Some(cursor) if cursor > head => {
                return Err(crate::error::Error::CursorExpired.into());
            }
            Some(cursor) => cursor,
            None if only_new => head,
            None => 0,
        };
        let grown = operations.grown().streams();
        let spoke = Instant::now();
        Ok(Self {
            operations,
            streams,
            tenant,
            filter,
            cursor,
            grown,
            told: false,
            spoke,
        })
    }

    /// The next batch with entries, or a bookmark when it is time for one.
    async fn next(&mut self) -> Result<Batch, Fault> {
        loop {
            self.grown.borrow_and_update();
            let batch = self
                .operations
                .read_log(self.tenant, self.cursor, &self.filter)
                .await?;
            let news = !batch.entries.is_empty() || (batch.caught_up && !self.told);
            if news || self.spoke.elapsed() >= self.streams.bookmark_period {
                return Ok(batch);
            }
            self.cursor = batch.cursor;
            if batch.caught_up {
                self.wait().await?;
            }
        }
    }

    async fn wait(&mut self) -> Result<(), Fault> {
        let silent = self
            .streams
            .bookmark_period
            .saturating_sub(self.spoke.elapsed());
        tokio::select! {
            () = self.streams.drain.cancelled() => {
                let message = "the server is shutting down; resume with the last cursor";
                Err(Fault::unavailable(Reason::Draining, message, Duration::from_secs(1)))
            }
            _ = self.grown.changed() => Ok(()),
            () = tokio::time::sleep(PATIENCE.min(silent)) => Ok(()),
        }
    }

    fn said(&mut self, batch: &Batch) {
        self.cursor = batch.cursor;
        self.told = batch.caught_up;
        self.spoke = Instant::now();
    }

    /// The batches as messages, up to the first error. `render` gives back the batch, cut to what
    /// fits into its message; the rest follows.
    pub fn stream<M, R, F>(self, render: R) -> BoxStream<'static, Result<M, Status>>
    where
        M: Send + 'static,
        R: Fn(Batch) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<(M, Batch), Fault>> + Send,
    {
        stream::unfold(Some(self), move |follower| {
            let render = render.clone();
            async move {
                let mut follower = follower?;
                let batch = follower.next().await;
                let message = match batch {
                    Ok(batch) => render(batch).await,
                    Err(fault) => Err(fault),
                };
                match message {
                    Ok((message, batch)) => {
                        follower.said(&batch);
                        Some((Ok(message), Some(follower)))
                    }
                    Err(fault) => Some((Err(Status::from(fault)), None)),
                }
            }
        })
        .boxed()
    }
}
