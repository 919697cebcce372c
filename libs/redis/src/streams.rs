//! Events on their way to other services. The owner's table is the truth: a stream may be trimmed
//! or lost, and a reader that sees a gap (`first_seq` beyond its cursor + 1) asks the owner.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::streams::{StreamId, StreamRangeReply, StreamReadReply};
use tokio::time::timeout;

use crate::breaker::millis;
use crate::link::RESPONSE_TIMEOUT;
use crate::scripts::STREAM_APPEND;
use crate::{Error, Redis};

/// Entries that one script appends.
const APPEND_CHUNK: usize = 100;

/// A batch of events, numbered `first_seq..=last_seq` by their owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Number of the first event in the payload.
    pub first_seq: i64,
    /// Number of the last event in the payload, greater than 0; also the entry's id, so that
    /// appending twice has the effect of once.
    pub last_seq: i64,
    /// The events, in a form that is theirs.
    pub payload: Vec<u8>,
}

/// Appends to streams and reads them without waiting.
#[derive(Debug, Clone)]
pub struct Streams {
    redis: Redis,
    keep: u32,
}

/// Reads one stream over a connection of its own, so that waiting disturbs nobody.
#[derive(Debug)]
pub struct StreamReader {
    redis: Redis,
    key: String,
    connection: Option<MultiplexedConnection>,
}

impl Streams {
    pub(crate) fn new(redis: Redis, keep: u32) -> Self {
        Self { redis, keep }
    }

    /// Appends entries, which must ascend. One whose `last_seq` is not greater than the stream's
    /// last is passed over: somebody else appended it. Answers how many were new.
    pub async fn append(&self, stream: &str, entries: &[Entry]) -> Result<usize, Error> {
        if entries.iter().any(|entry| entry.last_seq < 1) {
            return Err(Error::Invalid("sequence numbers start at 1"));
        }
        let key = self.redis.keys().stream(stream);
        let mut appended = 0;
        for chunk in entries.chunks(APPEND_CHUNK) {
            let mut invocation = STREAM_APPEND.key(&key);
            invocation.arg(self.keep.max(1));
            for entry in chunk {
                invocation
                    .arg(entry.last_seq)
                    .arg(entry.first_seq)
                    .arg(&entry.payload);
            }
            appended += self.redis.invoke::<usize>(&invocation).await?;
        }
        Ok(appended)
    }

    /// Up to `count` entries whose `last_seq` is greater, oldest first; empty if there are none.
    pub async fn read_after(
        &self,
        stream: &str,
        last_seq: i64,
        count: usize,
    ) -> Result<Vec<Entry>, Error> {
        let key = self.redis.keys().stream(stream);
        let command = read_command(&key, last_seq, count, None);
        entries_of(self.redis.query(&command).await?)
    }

    /// The `last_seq` of the newest entry; `None` for a stream that is empty or lost.
    pub async fn last_id(&self, stream: &str) -> Result<Option<i64>, Error> {
        let mut command = redis::cmd("XREVRANGE");
        command
            .arg(self.redis.keys().stream(stream))
            .arg("+")
            .arg("-")
            .arg("COUNT")
            .arg(1);
        let reply: StreamRangeReply = self.redis.query(&command).await?;
        reply.ids.first().map(seq_of).transpose()
    }

    /// A reader that can wait.
    pub fn reader(&self, stream: &str) -> StreamReader {
        let key = self.redis.keys().stream(stream);
        StreamReader {
            redis: self.redis.clone(),
            key,
            connection: None,
        }
    }
}

impl StreamReader {
    /// Up to `count` entries whose `last_seq` is greater, oldest first; waits up to `block` for the
    /// first and then answers none. May be dropped while it waits. After an error the next call
    /// connects again.
    pub async fn read_after(
        &mut self,
        last_seq: i64,
        count: usize,
        block: Duration,
    ) -> Result<Vec<Entry>, Error> {
        // Taken out for the time of the call: if the caller drops us, the connection goes too,
        // and with it the command that still waits on it.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.redis.dedicated().await?,
        };
        let command = read_command(&self.key, last_seq, count, Some(block));
        let answer = timeout(
            block + RESPONSE_TIMEOUT,
            command.query_async(&mut connection),
        );
        let reply = answer.await.map_err(|_| Error::Timeout)??;
        self.connection = Some(connection);
        entries_of(reply)
    }
}

fn read_command(key: &str, last_seq: i64, count: usize, block: Option<Duration>) -> redis::Cmd {
    let mut command = redis::cmd("XREAD");
    command.arg("COUNT").arg(count.max(1));
    if let Some(block) = block {
        // BLOCK 0 would wait for ever.
        command.arg("BLOCK").arg(millis(block).max(1));
    }
    // The order of ids is (seq, n): everything after `<seq>-0` has a greater seq.
    command
        .arg("STREAMS")
        .arg(key)
        .arg(format!("{}-0", last_seq.max(0)));
    command
}

fn entries_of(reply: Option<StreamReadReply>) -> Result<Vec<Entry>, Error> {
    let ids = reply
        .into_iter()
        .flat_map(|reply| reply.keys)
        .flat_map(|key| key.ids);
    ids.map(|id| {
        let first_seq = id
            .get("first")
            .ok_or(Error::protocol("an entry without first"))?;
        let payload = id
            .get("payload")
            .ok_or(Error::protocol("an entry without payload"))?;
        Ok(Entry {
            first_seq,
            last_seq: seq_of(&id)?,
            payload,
        })
    })
    .collect()
}

fn seq_of(id: &StreamId) -> Result<i64, Error> {
    let number = id.id.split_once('-').and_then(|(seq, _)| seq.parse().ok());
    number.ok_or(Error::protocol(
        "an entry whose id is not a sequence number",
    ))
}
