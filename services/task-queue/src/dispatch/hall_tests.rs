use futures::FutureExt as _;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
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
async fn wakes_as_many_as_there_are_tasks() {
    let (hall, lane) = hall().await;
    let mut waiters: Vec<_> = (0..3).map(|_| enter(&hall, &lane)).collect();
    assert_eq!(hall.ring(&lane, 1, &[]), 0, "nobody is idle yet");
    waiters.iter_mut().for_each(|waiter| waiter.arm(1));
    assert_eq!(hall.ring(&lane, 2, &[]), 2);
    let woken = waiters
        .iter_mut()
        .filter_map(|one| is_woken(one).then_some(()));
    assert_eq!(woken.count(), 2);
    assert_eq!(hall.ring(&lane, 5, &[]), 1, "only the third is still idle");
    waiters.clear();
    assert_eq!(hall.ring(&lane, 1, &[]), 0);
    assert!(lock(&hall.lanes).is_empty(), "an empty lane is forgotten");
}

#[tokio::test]
async fn passes_over_who_has_rejected() {
    let (hall, lane) = hall().await;
    let (mut first, mut second) = (enter(&hall, &lane), enter(&hall, &lane));
    first.arm(1);
    second.arm(1);
    assert_eq!(hall.ring(&lane, 2, &[first.seat.agent]), 1);
    assert_eq!((is_woken(&mut first), is_woken(&mut second)), (false, true));
}

#[tokio::test]
async fn a_ring_that_comes_while_one_looks_is_passed_on() {
    let (hall, lane) = hall().await;
    let (mut first, mut second) = (enter(&hall, &lane), enter(&hall, &lane));
    first.arm(1);
    assert_eq!(hall.ring(&lane, 1, &[]), 1);
    second.arm(1);
    first.looked();
    first.disarm();
    assert!(is_woken(&mut second));
}

#[tokio::test]
async fn who_leaves_without_having_looked_passes_its_ring_on() {
    let (hall, lane) = hall().await;
    let (mut first, mut second) = (enter(&hall, &lane), enter(&hall, &lane));
    first.arm(1);
    assert_eq!(hall.ring(&lane, 1, &[]), 1);
    second.arm(1);
    // It goes to look and is cut off.
    first.arm(1);
    drop(first);
    assert!(is_woken(&mut second));
}

#[tokio::test]
async fn who_has_looked_owes_nothing() {
    let (hall, lane) = hall().await;
    let (mut first, mut second) = (enter(&hall, &lane), enter(&hall, &lane));
    first.arm(1);
    assert_eq!(hall.ring(&lane, 1, &[]), 1);
    first.arm(1);
    second.arm(1);
    first.looked();
    drop(first);
    assert!(!is_woken(&mut second));
}

#[tokio::test]
async fn the_one_with_more_free_slots_is_rung() {
    let (hall, lane) = hall().await;
    let mut waiters: Vec<_> = (0..5).map(|_| enter(&hall, &lane)).collect();
    // Each look arms anew; the fullest never wins against whom chance names beside it.
    for _ in 0..200 {
        for (free, waiter) in waiters.iter_mut().enumerate() {
            waiter.arm(free + 1);
            waiter.looked();
        }
        assert_eq!(hall.ring(&lane, 1, &[]), 1);
        let woken: Vec<_> = waiters.iter_mut().map(is_woken).collect();
        assert!(!woken[0], "{woken:?}");
    }
    let (mut small, mut large) = (enter(&hall, &lane), enter(&hall, &lane));
    waiters.clear();
    for _ in 0..50 {
        small.arm(1);
        large.arm(100);
        assert_eq!(hall.ring(&lane, 1, &[]), 1);
        assert_eq!((is_woken(&mut small), is_woken(&mut large)), (false, true));
    }
}

#[tokio::test]
async fn two_lanes_that_one_was_rung_for_are_both_passed_on() {
    let (hall, lane) = hall().await;
    let other = LaneKey::new(TenantId::new(), "default", "test", "");
    let lanes = [lane.clone(), other.clone()];
    let mut both = Hall::enter(&hall, AgentId::new(), &lanes);
    both.arm(1);
    assert_eq!(hall.ring(&lane, 1, &[]), 1);
    // It cannot look, and is rung once more.
    both.arm(1);
    assert_eq!(hall.ring(&other, 1, &[]), 1);
    both.arm(1);
    let (mut first, mut second) = (enter(&hall, &lane), enter(&hall, &other));
    first.arm(1);
    second.arm(1);
    drop(both);
    assert_eq!((is_woken(&mut first), is_woken(&mut second)), (true, true));
}

/// A waiter as a stream or a call is one.
struct Agent {
    waiter: Waiter,
    free: usize,
    /// Whether it has armed and found nothing.
    waits: bool,
    /// Whether it has armed and could not look, so that it looks again by itself.
    failed: bool,
}

/// What happens around a lane.
#[derive(Debug, Clone)]
enum Happens {
    /// Tasks become ready.
    Ready(usize),
    /// Somebody comes who can take so many.
    Comes(usize, usize),
    /// Somebody who was rung looks.
    Looks(usize),
    /// Somebody who was rung is cut off before having looked.
    IsCutOff(usize),
    /// Somebody who was rung cannot look, and rests.
    Fails(usize),
    /// Somebody cannot take more for now.
    IsFull(usize),
    /// Somebody leaves.
    Leaves(usize),
}

const AGENTS: usize = 5;

fn happens() -> impl Strategy<Value = Happens> {
    let one = 0..AGENTS;
    prop_oneof![
        (1..4_usize).prop_map(Happens::Ready),
        (one.clone(), 1..4_usize).prop_map(|(at, free)| Happens::Comes(at, free)),
        one.clone().prop_map(Happens::Looks),
        one.clone().prop_map(Happens::IsCutOff),
        one.clone().prop_map(Happens::Fails),
        one.clone().prop_map(Happens::IsFull),
        one.prop_map(Happens::Leaves),
    ]
}

/// A lane with its tasks and those who wait for them.
struct World {
    hall: Arc<Hall>,
    lane: LaneKey,
    tasks: usize,
    agents: Vec<Option<Agent>>,
}

impl World {
    fn happen(&mut self, what: &Happens) {
        match *what {
            Happens::Ready(tasks) => {
                self.tasks += tasks;
                self.hall.ring(&self.lane, tasks, &[]);
            }
            Happens::Comes(at, free) if self.agents[at].is_none() => {
                self.agents[at] = Some(Agent {
                    waiter: enter(&self.hall, &self.lane),
                    free,
                    waits: false,
                    failed: false,
                });
                self.look(at);
            }
            Happens::Comes(at, _) => {
                let agent = self.agents[at].as_ref();
                if agent.is_some_and(|agent| !agent.waits) {
                    self.look(at);
                }
            }
            Happens::Looks(at) if self.is_rung(at) => self.look(at),
            Happens::IsCutOff(at) if self.is_rung(at) => {
                if let Some(mut agent) = self.agents[at].take() {
                    agent.waiter.arm(agent.free);
                }
            }
            Happens::Fails(at) if self.is_rung(at) => {
                if let Some(agent) = &mut self.agents[at] {
                    agent.waiter.arm(agent.free);
                    (agent.waits, agent.failed) = (false, true);
                }
            }
            Happens::IsFull(at) => {
                if let Some(agent) = &mut self.agents[at] {
                    agent.waiter.disarm();
                    (agent.waits, agent.failed) = (false, false);
                }
            }
            Happens::Leaves(at) => self.agents[at] = None,
            Happens::Looks(_) | Happens::IsCutOff(_) | Happens::Fails(_) => {}
        }
    }

    fn is_rung(&mut self, at: usize) -> bool {
        let agent = self.agents[at].as_mut();
        agent.is_some_and(|agent| is_woken(&mut agent.waiter))
    }

    fn is_due(&mut self, at: usize) -> bool {
        let has_failed = self.agents[at].as_ref().is_some_and(|agent| agent.failed);
        has_failed || self.is_rung(at)
    }

    /// As `lease` and the feeder do: arm, look, and hand on when there may be more.
    fn look(&mut self, at: usize) {
        let Some(agent) = &mut self.agents[at] else {
            return;
        };
        agent.waiter.arm(agent.free);
        let taken = self.tasks.min(agent.free);
        self.tasks -= taken;
        agent.waiter.looked();
        (agent.waits, agent.failed) = (taken == 0, false);
        if taken == 0 {
            return;
        }
        agent.waiter.disarm();
        if taken == agent.free {
            self.hall.ring(&self.lane, 1, &[]);
        }
    }
}

/// Whatever happens, once everybody who is rung has looked, nobody waits while there is a task.
#[tokio::test]
async fn no_ring_is_lost() {
    let (hall, _) = hall().await;
    let stories = proptest::collection::vec(happens(), 0..60);
    let config = ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let told = TestRunner::new(config).run(&stories, |story| {
        let mut world = World {
            hall: Arc::clone(&hall),
            lane: LaneKey::new(TenantId::new(), "default", "lint", ""),
            tasks: 0,
            agents: (0..AGENTS).map(|_| None).collect(),
        };
        for what in &story {
            world.happen(what);
        }
        while let Some(at) = (0..AGENTS).find(|at| world.is_due(*at)) {
            world.look(at);
        }
        let waits = world.agents.iter().flatten().any(|agent| agent.waits);
        prop_assert!(
            world.tasks == 0 || !waits,
            "{} tasks and somebody waits",
            world.tasks
        );
        Ok(())
    });
    told.expect("no story loses a ring");
}
