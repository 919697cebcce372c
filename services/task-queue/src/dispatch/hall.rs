//! Who waits for tasks in this process, and waking just as many as there are tasks: were all woken
//! for each, a hundred idle agents would ask Redis a hundred times for one task. A ring is therefore
//! worth something: who cannot look any more passes it on.
//!
//! Of two idle waiters that chance names, the one with more free slots is rung: nearly as even as
//! asking all of them, and nobody has to be asked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
}

#[derive(Debug)]
struct Seat {
    agent: AgentId,
    idle: AtomicBool,
    /// How many tasks it could take when it armed.
    free: AtomicUsize,
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
    /// What it was rung for and is looking for, each lane once: who gets all that it asks for rings
    /// for the next.
    owed: Vec<LaneKey>,
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
        let lanes = lock(&self.lanes);
        let Some(bench) = lanes.get(lane) else {
            return 0;
        };
        let mut woken = 0;
        while woken < tasks {
            let starts = [(); 2].map(|()| rand::random_range(0..bench.seats.len()));
            let Some(seat) = bench.better(starts, shunned) else {
                break;
            };
            // It may have been disarmed since it was looked at; then another is looked for.
            if seat.idle.swap(false, Ordering::AcqRel) {
                *lock(&seat.rung) = Some(lane.clone());
                seat.bell.notify_one();
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
            free: AtomicUsize::new(0),
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
            owed: Vec::new(),
        }
    }
}

impl Bench {
    /// Of the first idle seats from two places on, the one with more free slots.
    fn better(&self, [first, second]: [usize; 2], shunned: &[AgentId]) -> Option<&Arc<Seat>> {
        let one = self.idle_from(first, shunned, None)?;
        let Some(other) = self.idle_from(second, shunned, Some(one)) else {
            return Some(one);
        };
        let free = |seat: &Seat| seat.free.load(Ordering::Relaxed);
        Some(if free(other) > free(one) { other } else { one })
    }

    fn idle_from(
        &self,
        start: usize,
        shunned: &[AgentId],
        but: Option<&Arc<Seat>>,
    ) -> Option<&Arc<Seat>> {
        let (before, after) = self.seats.split_at(start);
        after.iter().chain(before).find(|seat| {
            seat.idle.load(Ordering::Acquire)
                && !shunned.contains(&seat.agent)
                && but.is_none_or(|but| !Arc::ptr_eq(but, seat))
        })
    }
}

impl Waiter {
    /// From now on a ring counts, for one who could take so many tasks. Call it before looking, so
    /// that nothing is missed in between.
    pub fn arm(&mut self, free: usize) {
        let rung = lock(&self.seat.rung).take();
        self.owed
            .extend(rung.filter(|lane| !self.owed.contains(lane)));
        self.seat.free.store(free, Ordering::Relaxed);
        self.seat.idle.store(true, Ordering::Release);
    }

    /// It has looked: what it was rung for before it armed is done.
    pub fn looked(&mut self) {
        self.owed.clear();
    }

    /// From now on others are rung for, and for what it was rung and has not looked for.
    pub fn disarm(&mut self) {
        let mut owed = std::mem::take(&mut self.owed);
        if !self.seat.idle.swap(false, Ordering::AcqRel) {
            // Whoever rings holds the benches until it has said for what.
            let benches = lock(&self.hall.lanes);
            let rung = lock(&self.seat.rung).take();
            drop(benches);
            owed.extend(rung.filter(|lane| !owed.contains(lane)));
        }
        for lane in owed {
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
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "hall_tests.rs"]
mod tests;
