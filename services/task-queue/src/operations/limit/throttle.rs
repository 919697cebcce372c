//! What the ends of tasks and the loop of limits tell each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Whether tasks wait for room, as far as this replica knows: while none does, the end of a task
/// wakes nobody.
#[derive(Debug, Default)]
pub struct Throttle {
    waiting: AtomicBool,
    wake: Arc<Notify>,
}

impl Throttle {
    /// From now on nobody waits, unless somebody is found or comes.
    pub fn look(&self) {
        self.waiting.store(false, Ordering::SeqCst);
    }

    /// Somebody waits.
    pub fn wait(&self) {
        self.waiting.store(true, Ordering::SeqCst);
    }

    /// Whether somebody does.
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Tasks have ended: there may be room for those that wait.
    pub fn ended(&self) {
        if self.is_waiting() {
            self.wake.notify_one();
        }
    }

    /// Limits have changed.
    pub fn changed(&self) {
        self.wait();
        self.wake.notify_one();
    }

    /// Notified when it is worth looking.
    pub fn wake(&self) -> &Arc<Notify> {
        &self.wake
    }
}
