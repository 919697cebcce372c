//! From the outbox to the log and the stream.

use reeve_postgres::Database;
use reeve_redis::{Entry, Redis, Streams};

use crate::{Error, Wake, stream_of};

/// Rows of the outbox that one pass moves.
const BATCH: i64 = 200;
/// Rows that the stream keeps, to bound what Redis holds; a consumer that is further behind reads
/// the feed.
const STREAM_KEEPS: u32 = 500;
/// Days that the log keeps events.
const RETENTION_DAYS: i32 = 14;

/// Numbers a service's events and publishes them. Any number of replicas may run one; the head's
/// row lock lets one of them work at a time.
#[derive(Clone, Debug)]
pub struct Relay {
    database: Database,
    streams: Streams,
    source: &'static str,
    wake: Wake,
}

impl Relay {
    /// The relay of a service.
    pub fn new(database: Database, redis: &Redis, source: &'static str, wake: Wake) -> Self {
        Self {
            database,
            streams: redis.streams(STREAM_KEEPS),
            source,
            wake,
        }
    }

    /// Moves what waits; true when there may be more.
    ///
    /// A crash before the commit moves nothing. A crash between the commit and the stream leaves a
    /// gap in the stream, which consumers see by the numbers and close from the feed.
    ///
    /// # Errors
    /// When the database is away; nothing was moved.
    pub async fn tick(&self) -> Result<bool, Error> {
        let moved: Vec<(i64, i64, Vec<u8>)> = sqlx::query_as(include_str!("move_batch.sql"))
            .bind(BATCH)
            .fetch_all(self.database.internal_pool())
            .await?;
        let Some((_, last_sequence, _)) = moved.last() else {
            return Ok(false);
        };
        self.wake.advance(*last_sequence);
        let more = i64::try_from(moved.len()).is_ok_and(|rows| rows == BATCH);
        let entries = moved
            .into_iter()
            .map(|(first_seq, last_seq, payload)| Entry {
                first_seq,
                last_seq,
                payload,
            });
        let entries: Vec<_> = entries.collect();
        if let Err(error) = self.streams.append(&stream_of(self.source), &entries).await {
            tracing::debug!(%error, source = self.source, "events are read from the feed meanwhile");
        }
        Ok(more)
    }

    /// Drops batches that are older than the retention.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn expire(&self) -> Result<(), Error> {
        sqlx::query(include_str!("expire.sql"))
            .bind(RETENTION_DAYS)
            .execute(self.database.internal_pool())
            .await?;
        Ok(())
    }
}
