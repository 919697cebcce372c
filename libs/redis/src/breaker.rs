//! Remembers for a moment that Redis is away, so that a hot path does not wait for it each time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::Error;

/// After a refused or lost connection: long enough to spare a connect per call.
const AFTER_LOSS: Duration = Duration::from_millis(100);
/// After an answer that did not come: each further try may cost the whole response timeout.
const AFTER_TIMEOUT: Duration = Duration::from_millis(1_000);

#[derive(Debug)]
pub(crate) struct Breaker {
    epoch: Instant,
    /// Milliseconds after `epoch`, from which on calls go through.
    open_until: AtomicU64,
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Self {
            epoch: Instant::now(),
            open_until: AtomicU64::new(0),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.now() < self.open_until.load(Ordering::Relaxed) {
            return Err(Error::Unavailable(None));
        }
        Ok(())
    }

    pub(crate) fn note(&self, error: &Error) {
        let pause = match error {
            Error::Unavailable(_) => AFTER_LOSS,
            Error::Timeout => AFTER_TIMEOUT,
            _ => return,
        };
        let until = self.now().saturating_add(millis(pause));
        self.open_until.fetch_max(until, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        millis(self.epoch.elapsed())
    }
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
