//! How long a failed task waits before it is tried again.

use chrono::TimeDelta;

use super::retry_rule::RetryRule;

/// What happens after a failure.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// How many attempts may fail or time out.
    pub max_attempts: i32,
    /// Bound of the first wait.
    pub initial_backoff: TimeDelta,
    /// Growth from one bound to the next.
    pub multiplier: f64,
    /// Bound of every wait.
    pub max_backoff: TimeDelta,
    /// How many leases may be lost.
    pub max_lost_leases: i32,
    /// What is different for some errors; the first that is about one counts.
    pub rules: Vec<RetryRule>,
}

/// How the bound of a wait grows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// Bound of the first wait.
    pub initial: TimeDelta,
    /// Growth from one bound to the next.
    pub multiplier: f64,
    /// Bound of every wait.
    pub greatest: TimeDelta,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            initial_backoff: TimeDelta::seconds(1),
            multiplier: 2.0,
            max_backoff: TimeDelta::minutes(5),
            max_lost_leases: 20,
            rules: Vec::new(),
        }
    }
}

impl RetryPolicy {
    /// How waits grow where no rule says otherwise.
    pub const fn growth(&self) -> Growth {
        Growth {
            initial: self.initial_backoff,
            multiplier: self.multiplier,
            greatest: self.max_backoff,
        }
    }
}

impl Growth {
    /// The bound of the wait after the given number of failures, from 1.
    pub fn bound(&self, failures: i32) -> TimeDelta {
        let growth = self
            .multiplier
            .powi(failures.saturating_sub(1).clamp(0, 1_000));
        let millis = millis_f64(self.initial) * growth;
        from_millis_f64(millis.min(millis_f64(self.greatest)))
    }
}

/// The wait: a uniform part of its bound ("full jitter"), so that what failed together does not
/// return together. `seed` in [0, 1) is the random part.
pub fn jittered(bound: TimeDelta, seed: f64) -> TimeDelta {
    from_millis_f64(millis_f64(bound) * seed.clamp(0.0, 1.0))
}

/// Backoffs are at most a day, far below where a double loses milliseconds.
fn millis_f64(delta: TimeDelta) -> f64 {
    delta.as_seconds_f64() * 1_000.0
}

fn from_millis_f64(millis: f64) -> TimeDelta {
    let seconds = std::time::Duration::try_from_secs_f64(millis / 1_000.0);
    seconds
        .ok()
        .and_then(|span| TimeDelta::from_std(span).ok())
        .unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bounds_double_up_to_the_greatest() {
        let policy = RetryPolicy {
            max_backoff: TimeDelta::seconds(5),
            ..RetryPolicy::default()
        };
        let growth = policy.growth();
        let bounds: Vec<_> = (1..=5).map(|n| growth.bound(n).num_seconds()).collect();
        assert_eq!(bounds, [1, 2, 4, 5, 5]);
    }

    proptest! {
        #[test]
        fn a_wait_is_never_negative_nor_above_the_bounds(
            failures in 1..200_i32,
            seed in 0.0..1.0_f64,
            initial in 0..3_600_000_i64,
            multiplier in 1.0..10.0_f64,
            greatest in 0..86_400_000_i64,
        ) {
            let policy = RetryPolicy {
                initial_backoff: TimeDelta::milliseconds(initial),
                multiplier,
                max_backoff: TimeDelta::milliseconds(greatest),
                ..RetryPolicy::default()
            };
            let bound = policy.growth().bound(failures);
            let wait = jittered(bound, seed);
            prop_assert!(wait >= TimeDelta::zero());
            prop_assert!(wait <= bound);
            prop_assert!(bound <= policy.max_backoff);
        }
    }
}
