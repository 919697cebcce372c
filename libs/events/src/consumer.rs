//! Applying another service's events, each exactly once.

use std::time::Duration;

use reeve_auth::ServiceTokens;
use reeve_contracts::event::v1::event_feed_service_client::EventFeedServiceClient;
use reeve_contracts::event::v1::{Event, ReadEventsRequest, ReadEventsResponse};
use reeve_ids::{TenantId, Uuid};
use reeve_postgres::Database;
use reeve_redis::{Entry, Redis, StreamReader};
use reeve_status::{Code, Fault, Reason};
use sqlx::PgConnection;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};
use tonic::transport::Channel;

use crate::{Error, Log, stream_of};

/// Batches that one pass reads from the stream, at most.
const STREAM_BATCH: usize = 128;
/// Bytes that one pass should read from the stream, about.
const STREAM_BYTES: usize = 512 * 1024;
/// Events that one pass reads from the feed.
const FEED_BATCH: i32 = 500;
/// Events after which one pass reads no further entry of the stream: they share a transaction.
const ENOUGH: usize = 1_000;
/// How long one pass waits on the stream before it asks the owner.
const PATIENCE: Duration = Duration::from_secs(1);

/// Events that may be passed over before the cursor is moved behind them, so that one who starts
/// again does not read very many of them anew.
const PASSED_OVER: i64 = 10_000;

/// What a service does with another's events.
#[tonic::async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Whether the handler may do anything about an event. A pass in which it does about none writes
    /// nothing, its cursor neither: a commit for events that are nobody's concern here would cost
    /// the database as much as any other.
    fn concerns(&self, event: &Event) -> bool {
        let _ = event;
        true
    }

    /// Runs before the transaction, for effects that are idempotent by themselves and for calls to
    /// other services, which must not happen inside one. Runs again when a crash follows.
    async fn prepare(&self, events: &[Event]) -> Result<(), Error> {
        let _ = events;
        Ok(())
    }

    /// Runs in the transaction that moves the cursor, so that its effects happen exactly once.
    async fn apply(&self, connection: &mut PgConnection, events: &[Event]) -> Result<(), Error> {
        let _ = (connection, events);
        Ok(())
    }
}

/// Where a log is read: at a peer, or in the service's own schema.
#[derive(Clone, Debug)]
pub enum Feed {
    /// The service's own log.
    Own(Log),
    /// A peer's log over gRPC.
    Peer {
        /// Connection to the peer.
        channel: Channel,
        /// Signs the calls.
        tokens: ServiceTokens,
        /// The calling service's name.
        caller: &'static str,
    },
}

/// The stream, and how many of its batches one pass asks for: few while they are large.
struct Stream {
    reader: StreamReader,
    count: usize,
}

/// How far a consumer has read beyond its stored cursor, past events that did not concern it.
#[derive(Clone, Copy, Default)]
struct Lead {
    stored: i64,
    read: i64,
}

/// Reads one source's events in order and hands them to a [`Handler`].
pub struct Consumer<H> {
    database: Database,
    stream: Mutex<Stream>,
    lead: Mutex<Lead>,
    rest: Duration,
    /// When the next pass may begin.
    again: Mutex<Instant>,
    feed: Feed,
    source: &'static str,
    name: &'static str,
    handler: H,
}

impl<H: Handler> Consumer<H> {
    /// A consumer called `name` (its cursor's key) of `source`'s events.
    pub fn new(
        database: Database,
        redis: &Redis,
        feed: Feed,
        source: &'static str,
        name: &'static str,
        handler: H,
    ) -> Self {
        // What a reader needs does not depend on how much the relay keeps.
        let stream = Mutex::new(Stream {
            reader: redis.streams(1).reader(&stream_of(source)),
            count: 1,
        });
        Self {
            database,
            stream,
            lead: Mutex::default(),
            rest: Duration::ZERO,
            again: Mutex::new(Instant::now()),
            feed,
            source,
            name,
            handler,
        }
    }

    /// As it is, but with a rest after each pass that found less than it may take, for a consumer
    /// for which milliseconds do not matter: under load its passes are fewer and its commits larger.
    /// After a silence the first event is applied at once.
    #[must_use]
    pub fn resting(mut self, rest: Duration) -> Self {
        self.rest = rest;
        self
    }

    /// Waits up to a second for events after the cursor and applies them; true when it read
    /// any. Several replicas may run it: the cursor moves by compare-and-set, so one of them wins
    /// a batch and the others read on.
    ///
    /// # Errors
    /// When the database or the owner is away, or the handler fails; the cursor has not moved.
    pub async fn tick(&self) -> Result<bool, Error> {
        sleep_until(*self.again.lock().await).await;
        let stored = self.cursor().await?;
        let read = self.read_up_to(stored).await;
        let (events, full) = match self.read_stream(read).await {
            Some(found) => found,
            None => self.read_feed(read).await?,
        };
        if !full && !events.is_empty() {
            *self.again.lock().await = Instant::now() + self.rest;
        }
        let Some(last) = events.last().map(|event| event.sequence) else {
            self.settle(stored, read).await?;
            return Ok(false);
        };
        self.notice_gap(read, &events);
        let concerned = events.iter().any(|event| self.handler.concerns(event));
        if !concerned && last - stored < PASSED_OVER {
            *self.lead.lock().await = Lead { stored, read: last };
            return Ok(true);
        }
        self.handler.prepare(&events).await?;
        let mut tx = self.database.internal().await?;
        if !self.advance(&mut tx, stored, last).await? {
            return Ok(true);
        }
        self.handler.apply(&mut tx, &events).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// How far this consumer has read, when its cursor stands at `stored`. A cursor that somebody
    /// else has moved counts as it stands.
    async fn read_up_to(&self, stored: i64) -> i64 {
        let lead = *self.lead.lock().await;
        if lead.stored == stored {
            lead.read.max(stored)
        } else {
            stored
        }
    }

    /// Moves the cursor behind what was passed over; there is time for it now.
    async fn settle(&self, stored: i64, read: i64) -> Result<(), Error> {
        if read > stored {
            let mut tx = self.database.internal().await?;
            self.advance(&mut tx, stored, read).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// The owner drops events past its retention. A consumer that was away longer goes on with what
    /// is left, and says so.
    fn notice_gap(&self, cursor: i64, events: &[Event]) {
        let first = events.first().map_or(0, |event| event.sequence);
        if first > cursor + 1 {
            tracing::error!(
                source = self.source,
                consumer = self.name,
                missing = first - cursor - 1,
                "events had expired before they were read"
            );
        }
    }

    async fn cursor(&self) -> Result<i64, Error> {
        let cursor = sqlx::query_scalar(
            "select sequence from consumer_cursor where source = $1 and consumer = $2",
        )
        .bind(self.source)
        .bind(self.name)
        .fetch_optional(self.database.internal_pool())
        .await?;
        Ok(cursor.unwrap_or(0))
    }

    /// Moves the cursor if it still stands where this pass read it, and holds its row lock until
    /// the transaction ends.
    async fn advance(
        &self,
        connection: &mut PgConnection,
        from: i64,
        to: i64,
    ) -> Result<bool, Error> {
        let moved = sqlx::query(
            "insert into consumer_cursor as cursor (source, consumer, sequence) values ($1, $2, $4)
             on conflict (source, consumer) do update
             set sequence = excluded.sequence, update_time = now()
             where cursor.sequence = $3",
        )
        .bind(self.source)
        .bind(self.name)
        .bind(from)
        .bind(to)
        .execute(connection)
        .await?;
        Ok(moved.rows_affected() == 1)
    }

    /// What the stream holds right after the cursor, and whether it may hold more; nothing when it is
    /// away, silent, or has a gap there, which is when the owner must be asked.
    async fn read_stream(&self, cursor: i64) -> Option<(Vec<Event>, bool)> {
        let mut stream = self.stream.lock().await;
        let count = stream.count;
        let entries = match stream.reader.read_after(cursor, count, PATIENCE).await {
            Ok(entries) => {
                stream.count = next_count(count, &entries);
                entries
            }
            Err(error) => {
                tracing::debug!(%error, source = self.source, "the stream cannot be read");
                tokio::time::sleep(PATIENCE / 4).await;
                return None;
            }
        };
        let full = entries.len() == count;
        let mut events: Vec<Event> = Vec::new();
        for entry in entries {
            let next = events.last().map_or(cursor, |event| event.sequence) + 1;
            if entry.first_seq > next {
                break;
            }
            let batch = crate::log::decode(entry.first_seq, &entry.payload).ok()?;
            events.extend(batch.into_iter().filter(|event| event.sequence >= next));
            if events.len() >= ENOUGH {
                break;
            }
        }
        let full = full || events.len() >= ENOUGH;
        (!events.is_empty()).then_some((events, full))
    }

    async fn read_feed(&self, cursor: i64) -> Result<(Vec<Event>, bool), Error> {
        let events = self.ask_owner(cursor).await?;
        // The owner cuts an answer by bytes as well, so any may be followed by another.
        let full = !events.is_empty();
        Ok((events, full))
    }

    async fn ask_owner(&self, cursor: i64) -> Result<Vec<Event>, Error> {
        match &self.feed {
            Feed::Own(log) => {
                log.read_after(
                    cursor,
                    FEED_BATCH.unsigned_abs().try_into().unwrap_or(usize::MAX),
                )
                .await
            }
            Feed::Peer {
                channel,
                tokens,
                caller,
            } => {
                let mut request = tonic::Request::new(ReadEventsRequest {
                    after_sequence: cursor,
                    page_size: FEED_BATCH,
                });
                // The feed spans tenants; the token names none.
                let token = tokens.mint(caller, TenantId::from_uuid(Uuid::nil()));
                let bearer = format!("Bearer {token}").parse().expect("a token is ASCII");
                request.metadata_mut().insert("authorization", bearer);
                request.set_timeout(Duration::from_secs(10));
                let answer = EventFeedServiceClient::new(channel.clone())
                    .read_events(request)
                    .await;
                let answer = answer
                    .map_err(|status| Fault::from(&status))
                    .and_then(|answer| reached(cursor, answer.into_inner()));
                answer.map_err(|fault| Error::Feed {
                    source_name: self.source,
                    fault,
                })
            }
        }
    }
}

/// The events of an answer. A log that ends before the cursor is not the log that was read, a
/// restored backup for example: what it gains until then would be passed over in silence.
fn reached(cursor: i64, answer: ReadEventsResponse) -> Result<Vec<Event>, Fault> {
    if answer.last_sequence >= cursor {
        return Ok(answer.events);
    }
    let message = format!(
        "the log ends at {}, and {cursor} was read before",
        answer.last_sequence
    );
    Err(Fault::new(Code::OutOfRange, Reason::CursorExpired, message))
}

/// How many batches to ask for, when the next are like these.
fn next_count(count: usize, entries: &[Entry]) -> usize {
    let bytes: usize = entries.iter().map(|entry| entry.payload.len()).sum();
    match bytes / entries.len().max(1) {
        0 => count,
        // A row that is larger than the last ones must not come with very many like it.
        mean => (STREAM_BYTES / mean).clamp(1, STREAM_BATCH.min(count * 2)),
    }
}

impl<H> std::fmt::Debug for Consumer<H> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Consumer({} of {})", self.name, self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_asks_for_few_batches_while_they_are_large() {
        let rows = |count, bytes| {
            let row = Entry {
                first_seq: 1,
                last_seq: 1,
                payload: vec![0; bytes],
            };
            vec![row; count]
        };
        assert_eq!(next_count(1, &rows(1, 300)), 2);
        assert_eq!(next_count(16, &rows(16, 300)), 32);
        assert_eq!(next_count(128, &rows(128, 300)), 128);
        assert_eq!(next_count(32, &rows(3, 200 * 1024)), 2);
        assert_eq!(next_count(32, &rows(1, 600 * 1024)), 1);
        assert_eq!(next_count(4, &[]), 4);
    }

    #[test]
    fn a_log_that_ends_before_the_cursor_is_another() {
        let answer = |last_sequence| ReadEventsResponse {
            last_sequence,
            ..Default::default()
        };
        assert!(reached(7, answer(7)).is_ok() && reached(7, answer(9)).is_ok());
        assert!(reached(7, answer(6)).is_err());
    }
}
