//! When not to believe that agents are dead. One dead agent is news about the agent; most of a
//! fleet dying at once, a lease store without memory, or silence while nobody listened, is news
//! about Reeve.

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
    /// This process, or what it needs in order to hear agents, was away.
    RegistryAway,
}

impl Cause {
    /// The word in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LeasesLost => "LEASES_LOST",
            Self::LeasesUnreachable => "LEASES_UNREACHABLE",
            Self::FleetLapsing => "FLEET_LAPSING",
            Self::RegistryAway => "REGISTRY_AWAY",
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
    /// Do nothing; expiry is suspended, and nobody has been told of it yet.
    Suspend(Cause),
    /// Do nothing yet.
    Wait,
}

/// How long things take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spans {
    /// How long expiry is suspended.
    pub grace: TimeDelta,
    /// One lease. It is what "at once" means, since heartbeats of a fleet are spread, so their ends
    /// are too; and in it everybody who lives renews.
    pub window: TimeDelta,
}

/// A time in which nobody is believed dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Suspension {
    cause: Cause,
    until: DateTime<Utc>,
    told: bool,
}

/// The brake of one process.
#[derive(Debug, Clone, Default)]
pub struct Brake {
    suspension: Option<Suspension>,
    /// When leases were last looked at; nothing before the first time and after a failure.
    looked: Option<DateTime<Utc>>,
    /// The fleet was given its time: if it still lapses after that, it is dead.
    spent: bool,
    /// When how many agents were believed dead, within the window.
    believed: VecDeque<(DateTime<Utc>, usize)>,
}

impl Brake {
    /// Judges what was seen.
    pub fn judge(&mut self, sight: Sight, now: DateTime<Utc>, spans: Spans) -> Verdict {
        self.suspension = self.suspension.filter(|one| now < one.until);
        let looked = self.looked.replace(now);
        // Whoever does not look does not listen either: those who live get a lease to say so.
        if looked.is_none_or(|looked| now - looked > spans.window / 2) {
            self.suspend(Cause::RegistryAway, now + spans.window);
        }
        match sight {
            Sight::Unreachable => self.suspend(Cause::LeasesUnreachable, now + spans.grace),
            Sight::Emptied => self.suspend(Cause::LeasesLost, now + spans.grace),
            Sight::Leases { held, lapsed } if self.suspension.is_none() => {
                self.weigh(held, lapsed, now, spans);
            }
            Sight::Leases { .. } => {}
        }
        self.verdict(sight)
    }

    fn verdict(&self, sight: Sight) -> Verdict {
        let Some(Suspension { cause, told, .. }) = self.suspension else {
            return Verdict::Expire;
        };
        // A restart that nobody's lease ran out in is nobody's news.
        let is_news = cause != Cause::RegistryAway
            || matches!(sight, Sight::Leases { lapsed, .. } if lapsed > 0);
        if told || !is_news {
            Verdict::Wait
        } else {
            Verdict::Suspend(cause)
        }
    }

    fn weigh(&mut self, held: usize, lapsed: usize, now: DateTime<Utc>, spans: Spans) {
        self.believed.retain(|(time, _)| *time > now - spans.window);
        let gone: usize = self.believed.iter().map(|(_, count)| count).sum();
        let most = gone + lapsed >= FEWEST && (gone + lapsed) * 2 > gone + held;
        if !most {
            self.spent = false;
        } else if !self.spent && lapsed > 0 {
            self.spent = true;
            self.suspend(Cause::FleetLapsing, now + spans.grace);
        }
    }

    /// Takes note of agents that were believed dead.
    pub fn believed(&mut self, count: usize, now: DateTime<Utc>) {
        if count > 0 {
            self.believed.push_back((now, count));
        }
    }

    /// Until when expiry is suspended.
    pub fn until(&self) -> Option<DateTime<Utc>> {
        self.suspension.map(|one| one.until)
    }

    /// Takes note that the suspension was told of.
    pub fn told(&mut self) {
        if let Some(one) = &mut self.suspension {
            one.told = true;
        }
    }

    /// Takes note that a look, or what followed from it, failed: what is needed to hear agents may
    /// have been away as well.
    pub fn failed(&mut self) {
        self.looked = None;
    }

    /// Suspends expiry, or for longer. The first cause is the one that is told, except that another
    /// one says more than that this process was away.
    fn suspend(&mut self, cause: Cause, until: DateTime<Utc>) {
        let kept = self
            .suspension
            .filter(|one| one.cause == cause || one.cause != Cause::RegistryAway);
        let begun = self.suspension.map_or(until, |one| one.until.max(until));
        self.suspension = Some(Suspension {
            cause: kept.map_or(cause, |one| one.cause),
            until: begun,
            told: kept.is_some_and(|one| one.told),
        });
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

    /// A brake of a process that looks every ten seconds, and has done so for long enough.
    struct Watching(Brake, i64);

    impl Watching {
        fn new() -> Self {
            let mut watching = Self(Brake::default(), -60);
            watching.until(0);
            watching
        }

        /// Looks at a quiet fleet until just before a time.
        fn until(&mut self, second: i64) {
            while self.1 < second {
                self.0.judge(leases(0, 0), at(self.1), SPANS);
                self.1 += 10;
            }
        }

        /// Looks, and tells what there is to tell.
        fn look(&mut self, sight: Sight, second: i64) -> Verdict {
            self.1 = second + 10;
            let verdict = self.0.judge(sight, at(second), SPANS);
            if matches!(verdict, Verdict::Suspend(_)) {
                self.0.told();
            }
            verdict
        }

        /// The same look every ten seconds; all verdicts but the last are to wait.
        fn wait(&mut self, sight: Sight, from: i64, to: i64) -> Verdict {
            for second in (from..to).step_by(10) {
                assert_eq!(self.look(sight, second), Verdict::Wait, "at {second}");
            }
            self.look(sight, to)
        }
    }

    #[test]
    fn a_few_deaths_are_believed() {
        for (held, lapsed) in [(1, 1), (4, 4), (10, 5), (100, 50), (0, 0)] {
            let mut brake = Watching::new();
            assert_eq!(brake.look(leases(held, lapsed), 0), Verdict::Expire);
        }
    }

    #[test]
    fn most_of_a_fleet_gets_a_grace_period_once() {
        let mut brake = Watching::new();
        let cause = Verdict::Suspend(Cause::FleetLapsing);
        assert_eq!(brake.look(leases(9, 5), 0), cause);
        assert_eq!(brake.0.until(), Some(at(60)));
        assert_eq!(brake.wait(leases(9, 9), 10, 60), Verdict::Expire);
        // The fleet recovered in between: the next time counts anew.
        assert_eq!(brake.look(leases(9, 0), 70), Verdict::Expire);
        assert_eq!(brake.look(leases(9, 9), 80), cause);
    }

    #[test]
    fn deaths_one_by_one_within_the_window_are_deaths_at_once() {
        let mut brake = Watching::new();
        for second in 0..5 {
            let held = 10 - usize::try_from(second).expect("small");
            assert_eq!(brake.look(leases(held, 1), second), Verdict::Expire);
            brake.0.believed(1, at(second));
        }
        let sixth = brake.look(leases(5, 1), 5);
        assert_eq!(sixth, Verdict::Suspend(Cause::FleetLapsing));
    }

    #[test]
    fn deaths_far_apart_are_deaths_by_themselves() {
        let mut brake = Watching::new();
        for number in 0..9 {
            let held = 10 - usize::try_from(number).expect("small");
            brake.until(number * 31);
            assert_eq!(brake.look(leases(held, 1), number * 31), Verdict::Expire);
            brake.0.believed(1, at(number * 31));
        }
    }

    #[test]
    fn a_lost_store_suspends_until_a_grace_period_after_its_return() {
        let mut brake = Watching::new();
        let away = Verdict::Suspend(Cause::LeasesUnreachable);
        assert_eq!(brake.look(Sight::Unreachable, 0), away);
        assert_eq!(brake.wait(Sight::Unreachable, 10, 90), Verdict::Wait);
        assert_eq!(brake.look(Sight::Emptied, 100), Verdict::Wait);
        assert_eq!(brake.wait(leases(3, 3), 110, 160), Verdict::Expire);
        let lost = Verdict::Suspend(Cause::LeasesLost);
        assert_eq!(brake.look(Sight::Emptied, 170), lost);
    }

    #[test]
    fn whoever_was_away_gives_even_one_agent_a_lease_to_speak() {
        let away = Verdict::Suspend(Cause::RegistryAway);
        // At the start.
        let mut brake = Watching(Brake::default(), 0);
        assert_eq!(brake.look(leases(1, 1), 0), away);
        assert_eq!(brake.wait(leases(1, 1), 10, 30), Verdict::Expire);
        // After the machine slept.
        assert_eq!(brake.look(leases(1, 1), 46), away);
        assert_eq!(brake.wait(leases(1, 1), 56, 76), Verdict::Expire);
        // After a failure.
        brake.0.failed();
        assert_eq!(brake.look(leases(1, 1), 77), away);
    }

    #[test]
    fn an_absence_in_which_nobody_lapsed_is_told_to_nobody() {
        let mut brake = Watching(Brake::default(), 0);
        assert_eq!(brake.look(leases(3, 0), 0), Verdict::Wait);
        let away = Verdict::Suspend(Cause::RegistryAway);
        assert_eq!(brake.look(leases(3, 1), 10), away);
        assert_eq!(brake.look(leases(3, 1), 20), Verdict::Wait);
        // What says more is told as well.
        let lost = Verdict::Suspend(Cause::LeasesLost);
        assert_eq!(brake.look(Sight::Emptied, 21), lost);
        assert_eq!(brake.0.until(), Some(at(81)));
    }

    #[test]
    fn a_suspension_is_told_until_somebody_heard_it() {
        let mut brake = Watching::new();
        let away = Verdict::Suspend(Cause::LeasesUnreachable);
        for second in [0, 1, 2] {
            assert_eq!(brake.0.judge(Sight::Unreachable, at(second), SPANS), away);
        }
        brake.0.told();
        assert_eq!(brake.look(Sight::Unreachable, 3), Verdict::Wait);
    }
}
