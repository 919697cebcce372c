//! Who waits for tasks in this process, and waking just as many as there are tasks: were all woken
//! for each, a hundred idle agents would ask Redis a hundred times for one task. A ring is therefore
//! worth something: who cannot look any more passes it on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reeve_ids::AgentId;
use reeve_redis::{Wakeup, Wakeups};
use tokio::sync::Notify;

use super::LaneKey;

/// The waiters of each lane.
#[derive(Debug)]
pub struct Hall {
    lanes: Mutex<HashMap<LaneKey, Bench>>,
    wakeups: Wakeups,
}

#[derive(Debug, Default)]
struct Bench {
    seats: Vec<Arc<Seat>>,
    /// Where the next search begins, so that all get their turn.
    next: usize,
}

#[derive(Debug)]
struct Seat {
    agent: AgentId,
    idle: AtomicBool,
    bell: Notify,
    /// The lane that it was rung for, until it looks. Written while the benches are locked.
    rung: Mutex<Option<LaneKey>>,
}

/// One who waits. Leaves when dropped.
#[derive(Debug)]
pub struct Waiter {
    hall: Arc<Hall>,
    lanes: Vec<LaneKey>,
    seat: Arc<Seat>,
    remote: Vec<Wakeup>,
    /// What it was rung for and is looking for.
    owed: Option<LaneKey>,
}

impl Hall {
    /// An empty hall. Other replicas are woken by `wakeups`.
    pub fn new(wakeups: Wakeups) -> Self {
        Self {
            lanes: Mutex::default(),
            wakeups,
        }
    }

    /// Wakes up to `tasks` idle waiters of a lane, passing over agents that are shunned; answers how
    /// many.
    pub fn ring(&self, lane: &LaneKey, tasks: usize, shunned: &[AgentId]) -> usize {
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
            if !shunned.contains(&seat.agent) && seat.idle.swap(false, Ordering::AcqRel) {
                *lock(&seat.rung) = Some(lane.clone());
                seat.bell.notify_one();
                bench.next = (at + 1) % count;
                woken += 1;
            }
        }
        woken
    }

    /// As [`Hall::ring`]; when too few wait here, whoever waits on the other replicas is woken, too.
    pub fn ring_everywhere(&self, lane: &LaneKey, tasks: usize, shunned: &[AgentId]) {
        if self.ring(lane, tasks, shunned) < tasks {
            self.wakeups.publish(lane.as_str());
        }
    }

    /// Takes a seat in some lanes.
    pub fn enter(this: &Arc<Self>, agent: AgentId, lanes: &[LaneKey]) -> Waiter {
        let seat = Arc::new(Seat {
            agent,
            idle: AtomicBool::new(false),
            bell: Notify::new(),
            rung: Mutex::default(),
        });
        let remote = this.wakeups.subscribe_all(lanes);
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
            owed: None,
        }
    }
}

impl Waiter {
    /// From now on a ring counts. Call it before looking, so that nothing is missed in between.
    pub fn arm(&mut self) {
        let rung = lock(&self.seat.rung).take();
        self.owed = rung.or(self.owed.take());
        self.seat.idle.store(true, Ordering::Release);
    }

    /// It has looked: what it was rung for before it armed is done.
    pub fn looked(&mut self) {
        self.owed = None;
    }

    /// From now on others are rung for, and for what it was rung since it armed.
    pub fn disarm(&mut self) {
        if self.seat.idle.swap(false, Ordering::AcqRel) {
            return;
        }
        // Whoever rings holds the benches until it has said for what.
        let benches = lock(&self.hall.lanes);
        let rung = lock(&self.seat.rung).take();
        drop(benches);
        if let Some(lane) = rung {
            self.hall.ring_everywhere(&lane, 1, &[]);
        }
    }

    /// Returns when rung for since [`Waiter::arm`], here or elsewhere.
    pub async fn woken(&mut self) {
        tokio::select! {
            () = self.seat.bell.notified() => {}
            _ = Wakeup::any_woken(&mut self.remote) => {}
        }
    }

    fn stand_up(&self) {
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

impl Drop for Waiter {
    fn drop(&mut self) {
        self.stand_up();
        self.disarm();
        if let Some(lane) = self.owed.take() {
            self.hall.ring_everywhere(&lane, 1, &[]);
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
    use reeve_redis::{Redis, RedisConfig};

    use super::*;

    /// A hall whose Redis is nowhere: rings stay in the process.
    async fn hall() -> (Arc<Hall>, LaneKey) {
        let nowhere = RedisConfig::new("redis://127.0.0.1:1");
        let redis = Redis::connect(&nowhere)
            .await
            .expect("a well formed address");
        let hall = Hall::new(redis.wakeups("test"));
        let lane = LaneKey::new(TenantId::new(), "default", "lint", "");
        (Arc::new(hall), lane)
    }

    fn enter(hall: &Arc<Hall>, lane: &LaneKey) -> Waiter {
        Hall::enter(hall, AgentId::new(), std::slice::from_ref(lane))
    }

    fn is_woken(waiter: &mut Waiter) -> bool {
        waiter.seat.bell.notified().now_or_never().is_some()
    }

    #[tokio::test]
    async fn wakes_as_many_as_there_are_tasks_and_each_in_turn() {
        let (hall, lane) = hall().await;
        let mut waiters: Vec<_> = (0..3).map(|_| enter(&hall, &lane)).collect();
        assert_eq!(hall.ring(&lane, 1, &[]), 0, "nobody is idle yet");
        waiters.iter_mut().for_each(Waiter::arm);
        assert_eq!(hall.ring(&lane, 2, &[]), 2);
        let woken: Vec<_> = waiters.iter_mut().map(is_woken).collect();
        assert_eq!(woken, [true, true, false]);
        assert_eq!(hall.ring(&lane, 5, &[]), 1, "only the third is still idle");
        waiters.clear();
        assert_eq!(hall.ring(&lane, 1, &[]), 0);
        assert!(lock(&hall.lanes).is_empty(), "an empty lane is forgotten");
    }

    #[tokio::test]
    async fn passes_over_who_has_rejected() {
        let (hall, lane) = hall().await;
        let (mut first, mut second) = (enter(&hall, &lane), enter(&hall, &lane));
        first.arm();
        second.arm();
        assert_eq!(hall.ring(&lane, 2, &[first.seat.agent]), 1);
        assert_eq!((is_woken(&mut first), is_woken(&mut second)), (false, true));
    }

    #[tokio::test]
    async fn a_ring_that_comes_while_one_looks_is_passed_on() {
        let (hall, lane) = hall().await;
        let (mut first, mut second) = (enter(&hall, &lane), enter(&hall, &lane));
        first.arm();
        assert_eq!(hall.ring(&lane, 1, &[]), 1);
        second.arm();
        first.looked();
        first.disarm();
        assert!(is_woken(&mut second));
    }

    #[tokio::test]
    async fn who_leaves_without_having_looked_passes_its_ring_on() {
        let (hall, lane) = hall().await;
        let (mut first, mut second) = (enter(&hall, &lane), enter(&hall, &lane));
        first.arm();
        assert_eq!(hall.ring(&lane, 1, &[]), 1);
        second.arm();
        // It goes to look and is cut off.
        first.arm();
        drop(first);
        assert!(is_woken(&mut second));
    }

    #[tokio::test]
    async fn who_has_looked_owes_nothing() {
        let (hall, lane) = hall().await;
        let (mut first, mut second) = (enter(&hall, &lane), enter(&hall, &lane));
        first.arm();
        assert_eq!(hall.ring(&lane, 1, &[]), 1);
        first.arm();
        second.arm();
        first.looked();
        drop(first);
        assert!(!is_woken(&mut second));
    }
}
