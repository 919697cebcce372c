//! Reading a service's own log.

use futures::TryStreamExt as _;
use prost::Message as _;
use reeve_contracts::event::v1::Event;
use reeve_postgres::Database;

use crate::Error;

/// Bytes after which a read ends, so that its answer fits into a message with room to spare.
const READ_BYTES: usize = 2 * 1024 * 1024;

/// The numbered events of the service whose schema this is.
#[derive(Clone, Debug)]
pub struct Log {
    database: Database,
}

impl Log {
    /// The log in a service's schema.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Events after a sequence, in order: at least one row of the log if there is any, and about
    /// `count`, fewer when they are large.
    ///
    /// # Errors
    /// When the database is away, or a batch does not decode.
    pub async fn read_after(&self, sequence: i64, count: usize) -> Result<Vec<Event>, Error> {
        let mut rows = sqlx::query_as::<_, (i64, Vec<u8>)>(
            "select first_sequence, events from event_log
             where last_sequence > $1 order by last_sequence limit 200",
        )
        .bind(sequence)
        .fetch(self.database.internal_pool());
        let mut events = Vec::new();
        let mut bytes = 0;
        while let Some((first, encoded)) = rows.try_next().await? {
            bytes += encoded.len();
            let batch = decode(first, &encoded)?;
            events.extend(batch.into_iter().filter(|event| event.sequence > sequence));
            if events.len() >= count || bytes >= READ_BYTES {
                break;
            }
        }
        Ok(events)
    }

    /// Sequence of the newest event; 0 for an empty log.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn last_sequence(&self) -> Result<i64, Error> {
        let head = sqlx::query_scalar("select last_sequence from event_head");
        Ok(head.fetch_one(self.database.internal_pool()).await?)
    }
}

/// The events of one batch, numbered from `first`.
pub(crate) fn decode(first: i64, mut encoded: &[u8]) -> Result<Vec<Event>, Error> {
    let mut events = Vec::new();
    let mut sequence = first;
    while !encoded.is_empty() {
        let mut event = Event::decode_length_delimited(&mut encoded)
            .map_err(|_| Error::Corrupt { sequence: first })?;
        event.sequence = sequence;
        sequence += 1;
        events.push(event);
    }
    Ok(events)
}
