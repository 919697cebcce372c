//! Tasks whose time is near. Best effort: what is lost with the process, the sweep finds.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;

use super::ReadyTask;

/// What is due later is left to the sweep.
const HORIZON: TimeDelta = TimeDelta::minutes(10);
/// So much is kept in memory at most.
const MOST: usize = 100_000;

/// Tasks by the time from which they may run.
#[derive(Debug, Default)]
pub struct Ripener {
    heap: Mutex<BinaryHeap<Reverse<Entry>>>,
    added: Arc<Notify>,
}

#[derive(Debug)]
struct Entry(ReadyTask);

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0.ready_time, self.0.id).cmp(&(other.0.ready_time, other.0.id))
    }
}

impl Ripener {
    /// Nothing to ripen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps tasks whose time is near.
    pub fn add(&self, tasks: Vec<ReadyTask>, now: DateTime<Utc>) {
        if tasks.is_empty() {
            return;
        }
        let mut heap = lock(&self.heap);
        let room = MOST.saturating_sub(heap.len());
        let near = tasks
            .into_iter()
            .filter(|task| task.ready_time <= now + HORIZON);
        heap.extend(near.take(room).map(|task| Reverse(Entry(task))));
        drop(heap);
        self.added.notify_one();
    }

    /// Takes what may run at `now`.
    pub fn take(&self, now: DateTime<Utc>) -> Vec<ReadyTask> {
        let mut heap = lock(&self.heap);
        let mut ripe = Vec::new();
        while heap
            .peek()
            .is_some_and(|Reverse(entry)| entry.0.ready_time <= now)
        {
            ripe.extend(heap.pop().map(|Reverse(entry)| entry.0));
        }
        ripe
    }

    /// How long until the next may run; nothing when none is kept.
    pub fn next_in(&self, now: DateTime<Utc>) -> Option<Duration> {
        let heap = lock(&self.heap);
        let next = heap.peek().map(|Reverse(entry)| entry.0.ready_time)?;
        Some((next - now).to_std().unwrap_or_default())
    }

    /// Notified when tasks were added.
    pub fn added(&self) -> &Arc<Notify> {
        &self.added
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use reeve_ids::{TaskId, TenantId};
    use reeve_redis::Line;

    use super::*;
    use crate::dispatch::{LaneKey, Place};

    #[test]
    fn gives_what_is_ripe_in_order_and_keeps_the_rest() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).expect("in range");
        let place = Place {
            lane: LaneKey::new(TenantId::new(), "default", "lint", ""),
            line: Line::Common,
        };
        let task = |seconds| ReadyTask {
            place: place.clone(),
            id: TaskId::new(),
            score: seconds,
            ready_time: now + TimeDelta::seconds(seconds),
            shunned: Vec::new(),
        };
        let ripener = Ripener::new();
        ripener.add(vec![task(3), task(1), task(2), task(3_600)], now);
        assert_eq!(ripener.next_in(now), Some(Duration::from_secs(1)));
        assert!(ripener.take(now).is_empty());
        let ripe = ripener.take(now + TimeDelta::seconds(2));
        assert_eq!(
            ripe.iter().map(|task| task.score).collect::<Vec<_>>(),
            [1, 2]
        );
        assert_eq!(
            ripener.take(now + TimeDelta::hours(2)).len(),
            1,
            "an hour away was not kept"
        );
        assert_eq!(ripener.next_in(now), None);
    }
}
