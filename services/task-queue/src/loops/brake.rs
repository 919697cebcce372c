//! When not to believe that time has overtaken a task: during an outage of this service nobody could
//! renew, report or lease.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// A silence of the sweep that is no outage yet.
const SILENCE: Duration = Duration::from_secs(5);

/// A moment by both clocks: one goes on while the process is frozen, the other while the machine is.
pub type Moment = (Instant, DateTime<Utc>);

/// Watches for outages by the regularity of the sweep, and holds it back after one.
#[derive(Debug, Default)]
pub struct Brake {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    /// When the sweep last looked.
    last: Option<Moment>,
    /// How long it rests in between.
    rest: Duration,
    outage: Option<Outage>,
}

#[derive(Debug, Clone, Copy)]
struct Outage {
    /// When it began; nothing when this process was not there.
    begin: Option<DateTime<Utc>>,
    end: Instant,
}

impl Brake {
    /// The time by which to judge what is due: now, or while the grace after an outage lasts, the
    /// beginning of the outage. Nothing when not even that is known: then nothing is due.
    pub fn time(&self, (instant, now): Moment, grace: Duration) -> Option<DateTime<Utc>> {
        let mut seen = self.seen();
        if seen.was_silent((instant, now)) {
            let begin = seen.begin_of_outage(grace);
            seen.outage = Some(Outage {
                begin,
                end: instant,
            });
        }
        match seen.outage {
            Some(outage) if instant < outage.end + grace => outage.begin,
            _ => Some(now),
        }
    }

    /// Notes that the sweep has looked, and how long it rests now. When PostgreSQL did not answer it
    /// has not, which is an outage, too.
    pub fn looked(&self, at: Moment, rest: Duration) {
        let mut seen = self.seen();
        seen.last = Some(at);
        seen.rest = rest;
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn was_silent(&self, (instant, now): Moment) -> bool {
        let Some((then, time)) = self.last else {
            return true;
        };
        let by_clock = (now - time).to_std().unwrap_or_default();
        instant.duration_since(then).max(by_clock) > SILENCE.max(self.rest * 3)
    }

    /// An outage that follows within the grace of another goes on with it: the grace was not had.
    fn begin_of_outage(&self, grace: Duration) -> Option<DateTime<Utc>> {
        let (then, time) = self.last?;
        match self.outage {
            Some(before) if then < before.end + grace => before.begin,
            _ => Some(time),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    struct Story {
        brake: Brake,
        start: Instant,
    }

    impl Story {
        fn at(&self, second: u64) -> Moment {
            (self.start + Duration::from_secs(second), time(second))
        }

        /// What the sweep judges by at this second, if PostgreSQL answers.
        fn sweep(&self, second: u64) -> Option<DateTime<Utc>> {
            let judged = self.attempt(second);
            self.brake.looked(self.at(second), Duration::from_secs(1));
            judged
        }

        fn sweep_until(&self, second: u64) {
            for second in 0..second {
                self.sweep(second);
            }
        }

        fn attempt(&self, second: u64) -> Option<DateTime<Utc>> {
            self.brake.time(self.at(second), Duration::from_secs(4))
        }
    }

    fn time(second: u64) -> DateTime<Utc> {
        let second = i64::try_from(second).expect("small");
        DateTime::from_timestamp(1_800_000_000 + second, 0).expect("in range")
    }

    fn story() -> Story {
        Story {
            brake: Brake::default(),
            start: Instant::now(),
        }
    }

    #[test]
    fn nothing_is_due_before_holders_could_renew_after_a_start() {
        let story = story();
        assert_eq!(story.sweep(0), None);
        assert_eq!(story.sweep(3), None);
        assert_eq!(story.sweep(4), Some(time(4)));
    }

    #[test]
    fn what_fell_due_during_an_outage_has_its_grace_from_the_end() {
        let story = story();
        story.sweep_until(10);
        assert_eq!(story.attempt(70), Some(time(9)), "still away");
        assert_eq!(story.sweep(80), Some(time(9)));
        assert_eq!(story.sweep(83), Some(time(9)));
        assert_eq!(story.sweep(84), Some(time(84)));
    }

    #[test]
    fn an_outage_right_after_another_is_the_same_one() {
        let story = story();
        story.sweep_until(10);
        assert_eq!(story.sweep(80), Some(time(9)));
        assert_eq!(story.sweep(90), Some(time(9)));
        assert_eq!(story.sweep(94), Some(time(94)));
    }

    #[test]
    fn a_sweep_that_rests_long_is_no_outage() {
        let story = story();
        story.sweep_until(10);
        story.brake.looked(story.at(9), Duration::from_secs(10));
        assert_eq!(story.sweep(30), Some(time(30)));
    }

    #[test]
    fn a_machine_that_was_frozen_was_away() {
        let story = story();
        story.sweep_until(10);
        let (instant, _) = story.at(10);
        let grace = Duration::from_secs(4);
        let later = time(9) + TimeDelta::minutes(1);
        assert_eq!(story.brake.time((instant, later), grace), Some(time(9)));
    }
}
