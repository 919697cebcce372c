//! When not to believe that a lease lapsed: after an outage of this service nobody could renew.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

/// The sweep normally runs every half second; a longer silence is an outage.
const SILENCE: TimeDelta = TimeDelta::seconds(5);

/// Watches for outages by the regularity of the sweep.
#[derive(Debug, Default)]
pub struct Brake {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    /// When the sweep last ran to its end.
    last: Option<DateTime<Utc>>,
    /// When the last outage was over.
    back: Option<DateTime<Utc>>,
}

impl Brake {
    /// Before when a lease must have lapsed to be taken away at `now`. While the grace after an
    /// outage lasts, only leases that had lapsed long before its end are taken.
    pub fn limit(
        &self,
        now: DateTime<Utc>,
        grace: TimeDelta,
        outage_grace: TimeDelta,
    ) -> DateTime<Utc> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.last.is_none_or(|last| now - last > SILENCE) {
            seen.back = Some(now);
        }
        // Every later call with the same outage must not take it for another one.
        seen.last = Some(now);
        let usual = now - grace;
        match seen.back {
            Some(back) if now < back + outage_grace => usual.min(now - outage_grace),
            _ => usual,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("in range")
    }

    #[test]
    fn holders_get_time_to_renew_after_an_outage() {
        let brake = Brake::default();
        let (grace, outage) = (TimeDelta::seconds(1), TimeDelta::seconds(4));
        let limit = |seconds| brake.limit(at(seconds), grace, outage);
        assert_eq!(limit(0), at(-4), "a start is the end of an outage");
        assert_eq!(limit(2), at(-2));
        assert_eq!(limit(4), at(3), "the usual grace");
        assert_eq!(limit(20), at(16), "sixteen seconds of silence");
        assert_eq!(limit(24), at(23));
    }
}
