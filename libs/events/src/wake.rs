//! Telling the relay that there is something to relay, and watches that there is something to read.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

/// Wakes a service's relay after a commit, and its watches after the relay. Losing a wake-up costs
/// time only: both also poll.
#[derive(Clone, Debug)]
pub struct Wake {
    relay: Arc<Notify>,
    head: Arc<watch::Sender<i64>>,
}

impl Wake {
    /// A wake that nobody has called yet.
    pub fn new() -> Self {
        Self {
            relay: Arc::new(Notify::new()),
            head: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Makes the relay run at once. Call it after the commit.
    pub fn notify(&self) {
        self.relay.notify_one();
    }

    /// What the relay's loop waits on.
    pub fn relay(&self) -> Arc<Notify> {
        Arc::clone(&self.relay)
    }

    /// The newest sequence that this process knows of; changes when the log grows.
    pub fn head(&self) -> watch::Receiver<i64> {
        self.head.subscribe()
    }

    /// Tells watches how long the log is.
    pub fn advance(&self, last_sequence: i64) {
        self.head.send_if_modified(|head| {
            let grown = last_sequence > *head;
            *head = (*head).max(last_sequence);
            grown
        });
    }
}

impl Default for Wake {
    fn default() -> Self {
        Self::new()
    }
}
