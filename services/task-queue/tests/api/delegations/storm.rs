//! Whatever agents and operators do in whatever order, the record is true.

use std::collections::HashMap;

use chrono::TimeDelta;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use reeve_contracts::task::v1::{
    self as proto, AttemptOutcome, DelegationOutcome, DelegationType, Task, TaskDelegation,
    TaskState,
};
use reeve_ids::AgentId;

use super::{reassignment, to_agent, to_anyone};
use crate::harness::*;

const AGENTS: usize = 5;
const TASKS: usize = 8;
const STEPS: usize = 250;

struct Storm<'a> {
    world: &'a World,
    agents: Vec<AgentId>,
    tasks: Vec<String>,
    /// The last token of each task that somebody was given, and older ones.
    tokens: Vec<String>,
    random: StdRng,
}

impl Storm<'_> {
    fn agent(&mut self) -> AgentId {
        self.agents[self.random.random_range(0..AGENTS)]
    }

    fn token(&mut self) -> Option<String> {
        let last = self.tokens.len().checked_sub(1)?;
        // Mostly fresh ones.
        let at = last - self.random.random_range(0..=last.min(6));
        Some(self.tokens[at].clone())
    }

    async fn lease(&mut self) {
        let request = proto::LeaseTasksRequest {
            wait_duration: None,
            start: self.random.random_bool(0.5),
            ..lease_of(self.agent(), 2)
        };
        let leases = self.world.lease_as(request).await;
        self.tokens
            .extend(leases.into_iter().map(|lease| lease.lease_token));
    }

    /// Does something; that it is refused is as good.
    async fn step(&mut self) {
        let Some(token) = self.token() else {
            return self.lease().await;
        };
        match self.random.random_range(0..20) {
            0..7 => self.lease().await,
            7..10 => drop(self.world.delegate(to_agent(&token, self.agent())).await),
            10 => {
                let request = to_anyone(&token, DelegationType::Automatic);
                drop(self.world.delegate(request).await);
            }
            11 => {
                let request = to_anyone(&token, DelegationType::Failover);
                drop(self.world.delegate(request).await);
            }
            12 => {
                let task = self.tasks[self.random.random_range(0..TASKS)].clone();
                drop(self.world.reassign(reassignment(&task, self.agent())).await);
            }
            13..15 => drop(self.world.complete(&token).await),
            15 => drop(self.world.fail(&token, true).await),
            16 => {
                let request = proto::RejectTaskRequest {
                    lease_token: token,
                    ..Default::default()
                };
                drop(self.world.work().reject_task(self.world.ask(request)).await);
            }
            17 if self.random.random_bool(0.2) => {
                let task = self.tasks[self.random.random_range(0..TASKS)].clone();
                drop(self.world.cancel(&task).await);
            }
            _ => self.world.clock.advance(TimeDelta::seconds(9)),
        }
    }
}

/// What was delivered, and by whose hands, fit each other.
fn check(task: &Task, chain: &[TaskDelegation], seed: u64) {
    let numbers: Vec<_> = task.attempts.iter().map(|one| one.attempt).collect();
    let open = i32::from(matches!(
        task.state(),
        TaskState::Assigned | TaskState::Accepted | TaskState::InProgress
    ));
    let by_number: HashMap<_, _> = task.attempts.iter().map(|one| (one.attempt, one)).collect();
    let offered = chain.last().map(TaskDelegation::outcome) == Some(DelegationOutcome::Offered);
    let ended = task.attempt - if offered { 0 } else { open };
    assert_eq!(
        numbers,
        (1..=ended).collect::<Vec<_>>(),
        "seed {seed}: {task:?}"
    );
    let places: Vec<_> = chain.iter().map(|link| link.position).collect();
    let count = i32::try_from(chain.len()).expect("few");
    assert_eq!(places, (1..=count).collect::<Vec<_>>(), "seed {seed}");
    assert_eq!(task.delegation_count, count, "seed {seed}");
    let handed = task.attempts.iter();
    let handed = handed.filter(|one| one.outcome() == AttemptOutcome::Delegated);
    let handed: Vec<_> = handed.map(|one| one.attempt).collect();
    let links: Vec<_> = chain.iter().map(|link| link.attempt).collect();
    assert_eq!(
        handed, links,
        "seed {seed}: one link for each delivery that ended so"
    );
    for link in chain {
        let from = by_number[&link.attempt];
        assert_eq!(from.agent_id, link.from_agent_id, "seed {seed}");
        let next = by_number.get(&(link.attempt + 1));
        match (link.outcome(), next) {
            (DelegationOutcome::Taken, Some(next)) => {
                assert_eq!(next.agent_id, link.to_agent_id, "seed {seed}");
                assert_ne!(next.outcome(), AttemptOutcome::Rejected, "seed {seed}");
            }
            (DelegationOutcome::Rejected, Some(next)) => {
                assert_eq!(next.agent_id, link.to_agent_id, "seed {seed}");
                assert_eq!(next.outcome(), AttemptOutcome::Rejected, "seed {seed}");
            }
            (DelegationOutcome::Taken, None) => {
                assert_eq!(task.assigned_agent_id, link.to_agent_id, "seed {seed}");
                assert_eq!(open, 1, "seed {seed}");
            }
            (DelegationOutcome::Cancelled, next) => {
                assert!(next.is_none(), "seed {seed}");
                assert_eq!(task.state(), TaskState::Cancelled, "seed {seed}");
            }
            (DelegationOutcome::Offered, next) => {
                assert!(next.is_none(), "seed {seed}");
                assert_eq!(task.state(), TaskState::Assigned, "seed {seed}");
            }
            (DelegationOutcome::Expired, _) => {}
            other => panic!("seed {seed}: {other:?}"),
        }
    }
    let lost = task.attempts.iter();
    let lost = lost
        .filter(|one| one.outcome() == AttemptOutcome::LeaseLost)
        .count();
    let lost = i32::try_from(lost).expect("few");
    assert_eq!(
        task.lost_lease_count, lost,
        "seed {seed}: offers do not count"
    );
}

#[tokio::test]
async fn the_record_is_true_whatever_happens() {
    let seed = rand::random();
    let world = World::by_test_clock(&[]).await;
    let agents: Vec<_> = (0..AGENTS).map(|_| world.agent(&["lint"])).collect();
    let mut tasks = Vec::new();
    for _ in 0..TASKS {
        tasks.push(world.create(hasty("lint", 50)).await.id);
    }
    let mut storm = Storm {
        world: &world,
        agents,
        tasks: tasks.clone(),
        tokens: Vec::new(),
        random: StdRng::seed_from_u64(seed),
    };
    for _ in 0..STEPS {
        storm.step().await;
    }
    for task in &tasks {
        // The sweep may be at work: what is read must be of one moment.
        reeve_testkit::eventually(|| async {
            let before = world.get(task).await;
            let chain = world.chain_of(task).await;
            let after = world.get(task).await;
            let still = before.etag == after.etag;
            still.then(|| check(&after, &chain, seed)).ok_or("it moves")
        })
        .await;
    }
}
