//! Domain events: the envelope, the transactional outbox, its relay, the feed and the consumer.
//!
//! The way of an event:
//! 1. [`append`] writes it to the outbox, in the transaction that makes the change.
//! 2. The [`Relay`] numbers it in the service's log, without gaps, and publishes it to a Redis
//!    stream. Losing Redis loses nothing but time.
//! 3. A [`Consumer`] in another service reads the stream or, for what it missed, the owner's
//!    [`FeedService`], and applies it in the transaction that moves its cursor: exactly once.
//! 4. [`Log`] reads the service's own log, for its watches.

mod consumer;
mod envelope;
mod feed;
mod log;
mod outbox;
mod relay;
mod wake;

use sqlx::migrate::Migrator;

pub use consumer::{Consumer, Feed, Handler};
pub use envelope::{Actor, NewEvent};
pub use feed::FeedService;
pub use log::Log;
pub use outbox::append;
pub use reeve_contracts::event::v1::Event;
pub use relay::Relay;
pub use wake::Wake;

/// The tables of the outbox, the log and the cursors; part of every service's schema.
pub static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The Redis stream that carries a service's events.
pub fn stream_of(source: &str) -> String {
    format!("events:{source}")
}

/// Why events could not be written, read or applied.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused or is away.
    #[error(transparent)]
    Database(#[from] reeve_postgres::Error),
    /// The owner of the log refused or is away.
    #[error("the feed of {source_name} answered: {fault}")]
    Feed {
        /// The service whose log was read.
        source_name: &'static str,
        /// What it answered.
        fault: reeve_status::Fault,
    },
    /// A stored batch does not decode.
    #[error("corrupt batch of events at sequence {sequence}")]
    Corrupt {
        /// First sequence of the batch.
        sequence: i64,
    },
    /// The handler could not apply an event.
    #[error("the handler failed: {0}")]
    Handler(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}
