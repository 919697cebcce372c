//! The newest events of this service, in memory, for every watch of this process; and what keeps
//! the fleet true when another replica changes an agent.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reeve_events::{Event, Log, Wake};
use tokio::sync::watch;

use crate::error::Error;

/// Events that are kept. A watch that falls behind further reads the log instead.
const KEPT: usize = 4_096;
/// Events that one read of the log brings.
const BATCH: usize = 500;
/// How long the tail waits for a wake-up before it looks by itself.
const PATIENCE: Duration = Duration::from_secs(1);

/// The end of the service's log.
#[derive(Debug)]
pub struct Tail {
    log: Log,
    wake: Wake,
    ring: RwLock<Ring>,
    head: watch::Sender<Option<i64>>,
}

/// Consecutive events; `next` is the sequence that will follow the last of them.
#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    next: i64,
}

impl Tail {
    /// A tail that has read nothing yet.
    pub fn new(log: Log, wake: Wake) -> Self {
        Self {
            log,
            wake,
            ring: RwLock::default(),
            head: watch::Sender::new(None),
        }
    }

    /// Reads what is new, waiting up to a second for it, and hands it to `seen`. The first read
    /// finds where the log ends.
    pub async fn follow(&self, seen: impl Fn(&Event)) -> Result<bool, Error> {
        let Some(head) = *self.head.borrow() else {
            let last = self.log.last_sequence().await?;
            self.ring
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .next = last + 1;
            self.head.send_replace(Some(last));
            return Ok(true);
        };
        self.await_events(head).await;
        let events = self.log.read_after(head, BATCH).await?;
        let Some(last) = events.last().map(|event| event.sequence) else {
            return Ok(false);
        };
        events.iter().for_each(seen);
        self.keep(events, last);
        self.head.send_replace(Some(last));
        Ok(true)
    }

    async fn await_events(&self, head: i64) {
        let mut relayed = self.wake.head();
        let longer = relayed.wait_for(|relayed| *relayed > head);
        // Another replica may have relayed: then nobody wakes us.
        let _ = tokio::time::timeout(PATIENCE, longer).await;
    }

    fn keep(&self, events: Vec<Event>, last: i64) {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        ring.events.extend(events.into_iter().map(Arc::new));
        ring.next = last + 1;
        let excess = ring.events.len().saturating_sub(KEPT);
        ring.events.drain(..excess);
    }

    /// The sequence of the newest event that was read; waits for the first read.
    pub async fn head(&self) -> i64 {
        self.beyond(i64::MIN).await
    }

    /// Refuses a sequence that no event ever had, which a cursor may name: one that was made up, or
    /// one from before the database was restored.
    ///
    /// # Errors
    /// When there is no such sequence.
    pub async fn check(&self, sequence: i64) -> Result<(), Error> {
        if sequence < 0 {
            return Err(Error::CursorExpired);
        }
        // Another replica may have read further.
        if sequence > self.head().await && sequence > self.log.last_sequence().await? {
            return Err(Error::CursorExpired);
        }
        Ok(())
    }

    /// Waits until events after a sequence have been read; the newest's sequence.
    pub async fn beyond(&self, sequence: i64) -> i64 {
        let mut head = self.head.subscribe();
        match head
            .wait_for(|head| head.is_some_and(|head| head > sequence))
            .await
        {
            Ok(head) => head.unwrap_or(sequence),
            // The sender is ours and lives as long as we do.
            Err(_) => sequence,
        }
    }

    /// Events after a sequence, in order, at most about 500: from memory, or from the log.
    ///
    /// # Errors
    /// When the log no longer holds the event right after it.
    pub async fn read_after(&self, sequence: i64) -> Result<Vec<Arc<Event>>, Error> {
        if let Some(events) = self.remembered(sequence) {
            return Ok(events);
        }
        let head = *self.head.borrow();
        let events = self.log.read_after(sequence, BATCH).await?;
        match events.first() {
            // There were some, and the retention took all of them.
            None if head > Some(sequence) => Err(Error::CursorExpired),
            Some(first) if first.sequence > sequence.saturating_add(1) => Err(Error::CursorExpired),
            _ => Ok(events.into_iter().map(Arc::new).collect()),
        }
    }

    fn remembered(&self, sequence: i64) -> Option<Vec<Arc<Event>>> {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let kept = i64::try_from(ring.events.len()).ok()?;
        let first = ring.next - kept;
        let skipped = sequence.checked_add(1)?.checked_sub(first)?;
        let skipped = usize::try_from(skipped).ok()?;
        Some(
            ring.events
                .iter()
                .skip(skipped)
                .take(BATCH)
                .cloned()
                .collect(),
        )
    }
}
