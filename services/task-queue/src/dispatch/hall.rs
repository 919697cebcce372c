//! Who waits for tasks in this process, and waking just as many as there are tasks: were all woken
//! for each, a hundred idle agents would ask Redis a hundred times for one task.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reeve_redis::Wakeup;
use tokio::sync::Notify;

use super::LaneKey;

/// The waiters of each lane.
#[derive(Debug, Default)]
pub struct Hall {
    lanes: Mutex<HashMap<LaneKey, Bench>>,
}

#[derive(Debug, Default)]
struct Bench {
    seats: Vec<Arc<Seat>>,
    /// Where the next search begins, so that all get their turn.
    next: usize,
}

#[derive(Debug, Default)]
struct Seat {
    idle: AtomicBool,
    bell: Notify,
}

/// One who waits. Leaves when dropped.
#[derive(Debug)]
pub struct Waiter {
    hall: Arc<Hall>,
    lanes: Vec<LaneKey>,
    seat: Arc<Seat>,
    remote: Vec<Wakeup>,
}

impl Hall {
    /// An empty hall.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes up to `tasks` idle waiters of a lane; answers how many.
    pub fn ring(&self, lane: &LaneKey, tasks: usize) -> usize {
        let mut lanes = lock(&self.lanes);
        let Some(bench) = lanes.get_mut(lane) else {
            return 0;
        };
        let mut woken = 0;
        let count = bench.seats.len();
        let start = bench.next;
        for offset in 0..count {
            if woken == tasks {
                break;
            }
            let at = (start + offset) % count;
            let seat = &bench.seats[at];
            if seat.idle.swap(false, Ordering::AcqRel) {
                seat.bell.notify_one();
                bench.next = (at + 1) % count;
                woken += 1;
            }
        }
        woken
    }

    /// Takes a seat in some lanes. `remote` are the wake-ups of other replicas.
    pub fn enter(this: &Arc<Self>, lanes: &[LaneKey], remote: Vec<Wakeup>) -> Waiter {
        let seat = Arc::new(Seat::default());
        let mut benches = lock(&this.lanes);
        for lane in lanes {
            benches
                .entry(lane.clone())
                .or_default()
                .seats
                .push(Arc::clone(&seat));
        }
        drop(benches);
        Waiter {
            hall: Arc::clone(this),
            lanes: lanes.to_vec(),
            seat,
            remote,
        }
    }
}

impl Waiter {
    /// From now on a ring counts. Call it before looking, so that nothing is missed in between.
    pub fn arm(&self) {
        self.seat.idle.store(true, Ordering::Release);
    }

    /// From now on others are rung for.
    pub fn disarm(&self) {
        self.seat.idle.store(false, Ordering::Release);
    }

    /// Returns when rung for since [`Waiter::arm`], here or elsewhere.
    pub async fn woken(&mut self) {
        tokio::select! {
            () = self.seat.bell.notified() => {}
            _ = Wakeup::any_woken(&mut self.remote) => {}
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut benches = lock(&self.hall.lanes);
        for lane in &self.lanes {
            let Some(bench) = benches.get_mut(lane) else {
                continue;
            };
            bench.seats.retain(|seat| !Arc::ptr_eq(seat, &self.seat));
            if bench.seats.is_empty() {
                benches.remove(lane);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use reeve_ids::TenantId;

    use super::*;

    #[test]
    fn wakes_as_many_as_there_are_tasks_and_each_in_turn() {
        let hall = Arc::new(Hall::new());
        let lane = LaneKey::new(TenantId::new(), "default", "lint");
        let mut waiters: Vec<_> = (0..3)
            .map(|_| Hall::enter(&hall, std::slice::from_ref(&lane), Vec::new()))
            .collect();
        assert_eq!(hall.ring(&lane, 1), 0, "nobody is idle yet");
        waiters.iter().for_each(Waiter::arm);
        assert_eq!(hall.ring(&lane, 2), 2);
        let woken: Vec<_> = waiters
            .iter_mut()
            .map(|w| w.woken().now_or_never().is_some())
            .collect();
        assert_eq!(woken, [true, true, false]);
        assert_eq!(hall.ring(&lane, 5), 1, "only the third is still idle");
        waiters.clear();
        assert_eq!(hall.ring(&lane, 1), 0);
        assert!(lock(&hall.lanes).is_empty(), "an empty lane is forgotten");
    }
}
