//! How much work waits, and whether that is enough for an agent.

use chrono::{DateTime, TimeDelta, Utc};

/// What is asked to be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// How many tasks are ready or with an agent.
    Depth,
    /// How long the oldest ready task has been ready.
    Age,
}

/// What a trigger asks for. A target that is not given has no metric.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Targets {
    /// Tasks for each agent.
    pub depth: Option<i64>,
    /// Seconds.
    pub age: Option<i64>,
    /// Tasks above which there is work.
    pub active_depth: i64,
    /// Seconds above which there is work.
    pub active_age: Option<i64>,
}

/// How much work there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Tasks that are ready or with an agent.
    pub depth: i64,
    /// From when the oldest ready one could be leased.
    pub oldest: Option<DateTime<Utc>>,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 2] = [Self::Depth, Self::Age];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Depth => "reeve-queue-depth",
            Self::Age => "reeve-queue-age-seconds",
        }
    }

    /// The metric of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }
}

impl Targets {
    /// The metrics that have a target, with it.
    pub fn metrics(&self) -> impl Iterator<Item = (Metric, i64)> {
        let each = [(Metric::Depth, self.depth), (Metric::Age, self.age)];
        let given = |(metric, target): (_, Option<i64>)| target.map(|target| (metric, target));
        each.into_iter().filter_map(given)
    }

    /// Whether there is work at `now`.
    pub fn are_active(&self, load: Load, now: DateTime<Utc>) -> bool {
        let old = |limit| {
            load.age(now)
                .is_some_and(|age| age > TimeDelta::seconds(limit))
        };
        load.depth > self.active_depth || self.active_age.is_some_and(old)
    }
}

impl Load {
    /// The value of a metric at `now`, in tasks or whole seconds.
    pub fn value(&self, metric: Metric, now: DateTime<Utc>) -> i64 {
        match metric {
            Metric::Depth => self.depth,
            Metric::Age => self.age(now).unwrap_or_default().num_seconds(),
        }
    }

    fn age(&self, now: DateTime<Utc>) -> Option<TimeDelta> {
        self.oldest
            .map(|oldest| (now - oldest).max(TimeDelta::zero()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + second, 0).expect("in range")
    }

    #[test]
    fn there_is_work_above_a_threshold() {
        let load = |depth, oldest: Option<i64>| Load {
            depth,
            oldest: oldest.map(at),
        };
        let by_depth = Targets {
            active_depth: 2,
            ..Targets::default()
        };
        let by_age = Targets {
            active_depth: 100,
            active_age: Some(10),
            ..Targets::default()
        };
        let cases = [
            (Targets::default(), load(0, None), false),
            (Targets::default(), load(1, Some(0)), true),
            (by_depth, load(2, Some(0)), false),
            (by_depth, load(3, Some(0)), true),
            (by_age, load(1, Some(0)), false),
            (by_age, load(1, Some(-1)), true),
            (by_age, load(5, None), false),
            (by_age, load(101, None), true),
        ];
        for (targets, load, active) in cases {
            assert_eq!(
                targets.are_active(load, at(10)),
                active,
                "{targets:?}, {load:?}"
            );
        }
    }

    #[test]
    fn only_what_has_a_target_is_measured() {
        let both = Targets {
            depth: Some(5),
            age: Some(60),
            ..Targets::default()
        };
        let metrics: Vec<_> = both.metrics().collect();
        assert_eq!(metrics, [(Metric::Depth, 5), (Metric::Age, 60)]);
        assert_eq!(Targets::default().metrics().count(), 0);
        for metric in Metric::ALL {
            assert_eq!(Metric::named(metric.name()), Some(metric));
        }
    }

    #[test]
    fn a_clock_that_is_behind_makes_nothing_younger_than_new() {
        let load = Load {
            depth: 1,
            oldest: Some(at(5)),
        };
        assert_eq!(load.value(Metric::Age, at(3)), 0);
        assert_eq!(load.value(Metric::Age, at(65)), 60);
        assert_eq!(load.value(Metric::Depth, at(3)), 1);
    }
}
