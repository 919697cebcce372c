//! Keeps a loop that reads the whole table from taking more than a tenth of the time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a scan must rest after it took some time.
const REST: u32 = 9;

/// The pace of one loop.
#[derive(Debug, Default)]
pub struct Pace {
    not_before: Mutex<Option<Instant>>,
}

impl Pace {
    /// Whether it may run at this moment.
    pub fn allows(&self, now: Instant) -> bool {
        let not_before = self
            .not_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        not_before.is_none_or(|time| time <= now)
    }

    /// Notes how long it took.
    pub fn took(&self, now: Instant, took: Duration) {
        let mut not_before = self
            .not_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *not_before = Some(now + took * REST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_nine_times_as_long_as_it_works() {
        let (pace, now) = (Pace::default(), Instant::now());
        assert!(pace.allows(now));
        pace.took(now, Duration::from_secs(1));
        assert!(!pace.allows(now + Duration::from_secs(8)));
        assert!(pace.allows(now + Duration::from_secs(9)));
    }
}
