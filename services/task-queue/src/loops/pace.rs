//! Keeps a loop that reads every open task to its period, and from taking more than a tenth of the
//! time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a scan must rest after it took some time.
const REST: u32 = 9;

/// The pace of one loop.
#[derive(Debug)]
pub struct Pace {
    period: Duration,
    not_before: Mutex<Option<Instant>>,
}

impl Pace {
    /// At most once in `period`.
    pub fn new(period: Duration) -> Self {
        Self {
            period,
            not_before: Mutex::default(),
        }
    }

    /// Returns when it may run.
    pub async fn rested(&self) {
        let not_before = *self
            .not_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(time) = not_before {
            tokio::time::sleep_until(time.into()).await;
        }
    }

    /// Whether it may run at this moment.
    pub fn allows(&self, now: Instant) -> bool {
        let not_before = self
            .not_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        not_before.is_none_or(|time| time <= now)
    }

    /// Notes how long it took; answers how long it rests now.
    pub fn took(&self, now: Instant, took: Duration) -> Duration {
        let rest = self.period.max(took * REST);
        let mut not_before = self
            .not_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *not_before = Some(now + rest);
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_nine_times_as_long_as_it_works_and_at_least_its_period() {
        let pace = Pace::new(Duration::from_secs(2));
        let now = Instant::now();
        assert!(pace.allows(now));
        pace.took(now, Duration::from_secs(1));
        assert!(!pace.allows(now + Duration::from_secs(8)));
        assert!(pace.allows(now + Duration::from_secs(9)));
        pace.took(now, Duration::from_millis(1));
        assert!(!pace.allows(now + Duration::from_secs(1)));
        assert!(pace.allows(now + Duration::from_secs(2)));
    }
}
