//! From the outbox to the log and the stream.

use reeve_postgres::Database;
use reeve_redis::{Entry, Redis};

use crate::{Error, Wake, stream_of};

/// Rows of the outbox that one pass moves.
const BATCH: i64 = 200;
/// Bytes of rows after which a pass moves no further one.
const BATCH_BYTES: i64 = 4 * 1024 * 1024;
/// Bytes that one command appends to the stream, unless one row is larger.
const APPEND_BYTES: usize = 1024 * 1024;
/// Rows that the stream keeps, to bound what Redis holds; a consumer that is further behind reads
/// the feed.
const STREAM_ROWS: usize = 500;
/// Bytes that the stream keeps, about, where rows are large.
const STREAM_BYTES: usize = 16 * 1024 * 1024;
/// Days that the log keeps events.
const RETENTION_DAYS: i32 = 14;
/// Rows that one pass drops.
const EXPIRE_BATCH: i64 = 1_000;

/// Numbers a service's events and publishes them. Any number of replicas may run one; the head's
/// row lock lets one of them work at a time.
#[derive(Clone, Debug)]
pub struct Relay {
    database: Database,
    redis: Redis,
    source: &'static str,
    wake: Wake,
}

impl Relay {
    /// The relay of a service.
    pub fn new(database: Database, redis: &Redis, source: &'static str, wake: Wake) -> Self {
        Self {
            database,
            redis: redis.clone(),
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
            .bind(BATCH_BYTES)
            .fetch_all(self.database.internal_pool())
            .await?;
        let Some((_, last_sequence, _)) = moved.last() else {
            return Ok(false);
        };
        self.wake.advance(*last_sequence);
        let entries = moved
            .into_iter()
            .map(|(first_seq, last_seq, payload)| Entry {
                first_seq,
                last_seq,
                payload,
            });
        let entries: Vec<_> = entries.collect();
        if let Err(error) = self.publish(&entries).await {
            tracing::debug!(%error, source = self.source, "events are read from the feed meanwhile");
        }
        let rows = i64::try_from(entries.len()).unwrap_or(i64::MAX);
        let bytes = i64::try_from(bytes(&entries)).unwrap_or(i64::MAX);
        Ok(rows == BATCH || bytes >= BATCH_BYTES)
    }

    async fn publish(&self, entries: &[Entry]) -> Result<(), reeve_redis::Error> {
        let (streams, stream) = (self.redis.streams(kept(entries)), stream_of(self.source));
        let mut rest = entries;
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at(fitting(rest));
            streams.append(&stream, chunk).await?;
            rest = later;
        }
        Ok(())
    }

    /// Drops batches that are older than the retention; true when there may be more.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn expire(&self) -> Result<bool, Error> {
        let dropped = sqlx::query(include_str!("expire.sql"))
            .bind(RETENTION_DAYS)
            .bind(EXPIRE_BATCH)
            .execute(self.database.internal_pool())
            .await?;
        Ok(i64::try_from(dropped.rows_affected()).is_ok_and(|rows| rows == EXPIRE_BATCH))
    }
}

fn bytes(entries: &[Entry]) -> usize {
    entries.iter().map(|entry| entry.payload.len()).sum()
}

/// How many rows the stream keeps, when its rows are like these.
fn kept(entries: &[Entry]) -> u32 {
    let mean = bytes(entries) / entries.len().max(1);
    let rows = (STREAM_BYTES / mean.max(1)).clamp(1, STREAM_ROWS);
    u32::try_from(rows).unwrap_or(u32::MAX)
}

/// How many of the first entries one command appends; one at least.
fn fitting(entries: &[Entry]) -> usize {
    let mut bytes = 0;
    let fit = entries.iter().take_while(|entry| {
        bytes += entry.payload.len();
        bytes <= APPEND_BYTES
    });
    fit.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: usize, bytes: usize) -> Vec<Entry> {
        let row = |_| Entry {
            first_seq: 1,
            last_seq: 1,
            payload: vec![0; bytes],
        };
        (0..count).map(row).collect()
    }

    #[test]
    fn the_stream_keeps_fewer_rows_when_they_are_large() {
        assert_eq!(kept(&rows(200, 300)), 500);
        assert_eq!(kept(&rows(8, 512 * 1024)), 32);
        assert_eq!(kept(&rows(1, 64 * 1024 * 1024)), 1);
    }

    #[test]
    fn a_command_appends_what_fits_and_one_row_at_least() {
        assert_eq!(fitting(&rows(200, 300)), 200);
        assert_eq!(fitting(&rows(8, 512 * 1024)), 2);
        assert_eq!(fitting(&rows(2, 2 * APPEND_BYTES)), 1);
    }
}
