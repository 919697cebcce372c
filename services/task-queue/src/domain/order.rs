//! The order among ready tasks.

use chrono::{DateTime, TimeDelta, Utc};

use super::Priority;

/// The place of a ready task in its lane: the smallest goes first. It is the ready time in
/// milliseconds less the priority's head start, and never changes while the task waits. That is
/// what makes ageing free: a waiting task does not move, newer ones line up behind it, and a task
/// of lower priority is overtaken for at most the difference of the head starts.
pub fn order_score(ready_time: DateTime<Utc>, priority: Priority) -> i64 {
    ready_time.timestamp_millis() - head_start(priority).num_milliseconds()
}

fn head_start(priority: Priority) -> TimeDelta {
    match priority {
        Priority::Low => TimeDelta::minutes(-10),
        Priority::Normal => TimeDelta::zero(),
        Priority::High => TimeDelta::hours(1),
        Priority::Critical => TimeDelta::hours(24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("in range")
    }

    #[test]
    fn higher_priority_goes_first() {
        let scores = [
            Priority::Critical,
            Priority::High,
            Priority::Normal,
            Priority::Low,
        ]
        .map(|priority| order_score(at(0), priority));
        assert!(scores.is_sorted(), "{scores:?}");
    }

    #[test]
    fn equal_priority_goes_by_age() {
        assert!(
            order_score(at(0), Priority::Normal) < order_score(at(1), Priority::Normal),
            "the older one is first"
        );
    }

    #[test]
    fn low_is_not_starved_by_normal() {
        let waiting = order_score(at(0), Priority::Low);
        assert!(
            waiting > order_score(at(599), Priority::Normal),
            "overtaken for ten minutes"
        );
        assert!(
            waiting < order_score(at(601), Priority::Normal),
            "and no longer"
        );
    }
}
