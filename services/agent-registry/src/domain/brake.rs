//! When not to believe that agents are dead. One dead agent is news about the agent; most of a
//! fleet dying at once, or a lease store without memory, is news about Reeve.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};

/// Fewer lapsing agents than this never arm the brake.
const FEWEST: usize = 5;

/// Why expiry was suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The lease store came back without its leases.
    LeasesLost,
    /// The lease store could not be reached.
    LeasesUnreachable,
    /// More than half of the fleet would lapse within one lease.
    FleetLapsing,
}

impl Cause {
    /// The word in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LeasesLost => "LEASES_LOST",
            Self::LeasesUnreachable => "LEASES_UNREACHABLE",
            Self::FleetLapsing => "FLEET_LAPSING",
        }
    }
}

/// What one look at the leases showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// The store did not answer.
    Unreachable,
    /// The store answered, and is not the one that was written to: it came back empty.
    Emptied,
    /// The store answered.
    Leases {
        /// Agents that hold a lease, lapsed ones too.
        held: usize,
        /// Agents whose lease has lapsed.
        lapsed: usize,
    },
}

/// What to do about lapsed leases now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Believe them.
    Expire,
    /// Do nothing; expiry has just been suspended, which deserves an event.
    Suspend(Cause),
    /// Do nothing yet.
    Wait,
}

/// How long things take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spans {
    /// How long expiry is suspended.
    pub grace: TimeDelta,
    /// What "at once" means: heartbeats of a fleet are spread, so their ends are too.
    pub window: TimeDelta,
}

/// The brake of one process.
#[derive(Debug, Clone, Default)]
pub struct Brake {
    until: Option<DateTime<Utc>>,
    /// The fleet was given its time: if it still lapses after that, it is dead.
    spent: bool,
    /// When how many agents were believed dead, within the window.
    believed: VecDeque<(DateTime<Utc>, usize)>,
}

impl Brake {
    /// Judges what was seen.
    pub fn judge(&mut self, sight: Sight, now: DateTime<Utc>, spans: Spans) -> Verdict {
        match sight {
            Sight::Unreachable => self.suspend(Cause::LeasesUnreachable, now, spans),
            Sight::Emptied => self.suspend(Cause::LeasesLost, now, spans),
            Sight::Leases { held, lapsed } => self.weigh(held, lapsed, now, spans),
        }
    }

    fn weigh(&mut self, held: usize, lapsed: usize, now: DateTime<Utc>, spans: Spans) -> Verdict {
        if self.until.is_some_and(|until| now < until) {
            return Verdict::Wait;
        }
        self.until = None;
        self.believed.retain(|(time, _)| *time > now - spans.window);
        let gone: usize = self.believed.iter().map(|(_, count)| count).sum();
        let most = gone + lapsed >= FEWEST && (gone + lapsed) * 2 > gone + held;
        if !most {
            self.spent = false;
            return Verdict::Expire;
        }
        if self.spent || lapsed == 0 {
            return Verdict::Expire;
        }
        self.spent = true;
        self.suspend(Cause::FleetLapsing, now, spans)
    }

    /// Takes note of agents that were believed dead.
    pub fn believed(&mut self, count: usize, now: DateTime<Utc>) {
        if count > 0 {
            self.believed.push_back((now, count));
        }
    }

    /// Until when expiry is suspended.
    pub fn until(&self) -> Option<DateTime<Utc>> {
        self.until
    }

    fn suspend(&mut self, cause: Cause, now: DateTime<Utc>, spans: Spans) -> Verdict {
        let already = self.until.is_some_and(|until| now < until);
        self.until = Some(now + spans.grace);
        if already {
            Verdict::Wait
        } else {
            Verdict::Suspend(cause)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPANS: Spans = Spans {
        grace: TimeDelta::seconds(60),
        window: TimeDelta::seconds(30),
    };

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn leases(held: usize, lapsed: usize) -> Sight {
        Sight::Leases { held, lapsed }
    }

    #[test]
    fn a_few_deaths_are_believed() {
        for (held, lapsed) in [(1, 1), (4, 4), (10, 5), (100, 50), (0, 0)] {
            let mut brake = Brake::default();
            assert_eq!(
                brake.judge(leases(held, lapsed), at(0), SPANS),
                Verdict::Expire
            );
        }
    }

    #[test]
    fn most_of_a_fleet_gets_a_grace_period_once() {
        let mut brake = Brake::default();
        let cause = Verdict::Suspend(Cause::FleetLapsing);
        assert_eq!(brake.judge(leases(9, 5), at(0), SPANS), cause);
        assert_eq!(brake.until(), Some(at(60)));
        assert_eq!(brake.judge(leases(9, 9), at(59), SPANS), Verdict::Wait);
        assert_eq!(brake.judge(leases(9, 9), at(60), SPANS), Verdict::Expire);
        // The fleet recovered in between: the next time counts anew.
        assert_eq!(brake.judge(leases(9, 0), at(70), SPANS), Verdict::Expire);
        assert_eq!(brake.judge(leases(9, 9), at(80), SPANS), cause);
    }

    #[test]
    fn deaths_one_by_one_within_the_window_are_deaths_at_once() {
        let mut brake = Brake::default();
        for second in 0..5 {
            let held = 10 - usize::try_from(second).expect("small");
            assert_eq!(
                brake.judge(leases(held, 1), at(second), SPANS),
                Verdict::Expire
            );
            brake.believed(1, at(second));
        }
        let sixth = brake.judge(leases(5, 1), at(5), SPANS);
        assert_eq!(sixth, Verdict::Suspend(Cause::FleetLapsing));
    }

    #[test]
    fn deaths_far_apart_are_deaths_by_themselves() {
        let mut brake = Brake::default();
        for number in 0..9 {
            let held = 10 - usize::try_from(number).expect("small");
            assert_eq!(
                brake.judge(leases(held, 1), at(number * 31), SPANS),
                Verdict::Expire
            );
            brake.believed(1, at(number * 31));
        }
    }

    #[test]
    fn a_lost_store_suspends_until_a_grace_period_after_its_return() {
        let mut brake = Brake::default();
        let away = Verdict::Suspend(Cause::LeasesUnreachable);
        assert_eq!(brake.judge(Sight::Unreachable, at(0), SPANS), away);
        assert_eq!(
            brake.judge(Sight::Unreachable, at(50), SPANS),
            Verdict::Wait
        );
        assert_eq!(brake.judge(Sight::Emptied, at(100), SPANS), Verdict::Wait);
        assert_eq!(brake.judge(leases(3, 3), at(159), SPANS), Verdict::Wait);
        assert_eq!(brake.judge(leases(3, 3), at(160), SPANS), Verdict::Expire);
        let lost = Verdict::Suspend(Cause::LeasesLost);
        assert_eq!(brake.judge(Sight::Emptied, at(200), SPANS), lost);
    }
}
