//! Tasks that take turns by a key.

use reeve_contracts::task::v1::{self as proto, Lease, TaskPriority, TaskSpec};
use reeve_ids::AgentId;
use reeve_testkit::eventually;

use crate::harness::*;

fn of(key: &str, weight: f32) -> TaskSpec {
    TaskSpec {
        fairness: Some(proto::Fairness {
            key: key.to_owned(),
            weight,
        }),
        ..spec("lint")
    }
}

fn key_of(lease: &Lease) -> String {
    let spec = lease.task.as_ref().and_then(|task| task.spec.clone());
    spec.and_then(|spec| spec.fairness)
        .map(|fairness| fairness.key)
        .unwrap_or_default()
}

impl World {
    /// Tasks that wait in a line of the only lane.
    async fn lined_up(&self, key: &str) -> usize {
        self.ready_in_redis("default", &format!("lint={key}")).await
    }

    async fn is_lined_up(&self, key: &str, count: usize) {
        eventually(|| async {
            let found = self.lined_up(key).await;
            if found == count { Ok(()) } else { Err(found) }
        })
        .await;
    }

    /// How long a task of the only lane usually takes, as Redis believes.
    async fn usual_work(&self) -> Option<String> {
        let lane = format!("{}/default/lint", self.tenant);
        redis::cmd("HGET")
            .arg(format!("{}:{{rq.0}}:lane:{lane}|clock", self.redis.prefix))
            .arg("cost")
            .query_async(&mut self.raw_redis().await)
            .await
            .expect("the test's Redis answers")
    }

    async fn keys(&self, agent: AgentId, count: i32) -> Vec<String> {
        let leases = self.lease(agent, count).await;
        leases.iter().map(key_of).collect()
    }
}

fn count(keys: &[String], key: &str) -> usize {
    keys.iter().filter(|one| *one == key).count()
}

#[tokio::test]
async fn whoever_floods_a_queue_leaves_others_their_turn() {
    let world = World::start().await;
    world.ready_queues_are_whole().await;
    let agent = world.agent(&["lint"]);
    world.create_many(of("noisy", 0.0), 60).await;
    world.is_lined_up("noisy", 60).await;
    assert_eq!(count(&world.keys(agent, 10).await, "noisy"), 10);
    world.create_many(of("quiet", 0.0), 4).await;
    world.is_lined_up("quiet", 4).await;
    let next = world.keys(agent, 8).await;
    assert_eq!(count(&next, "quiet"), 4, "{next:?}");
}

#[tokio::test]
async fn weights_share_out_and_are_shown() {
    let world = World::start().await;
    world.ready_queues_are_whole().await;
    let agent = world.agent(&["lint"]);
    let light = world.create_many(of("light", 0.0), 40).await;
    let heavy = world.create_many(of("heavy", 3.0), 40).await;
    world.is_lined_up("light", 40).await;
    world.is_lined_up("heavy", 40).await;
    assert_eq!(count(&world.keys(agent, 40).await, "heavy"), 30);
    for (id, weight) in [(&light[39], 1.0), (&heavy[39], 3.0)] {
        let shown = world.get(id).await.spec.and_then(|spec| spec.fairness);
        assert_eq!(shown.map(|fairness| fairness.weight), Some(weight));
    }
}

#[tokio::test]
async fn what_is_critical_waits_for_nobodys_turn() {
    let world = World::start().await;
    world.ready_queues_are_whole().await;
    let agent = world.agent(&["lint"]);
    world.create_many(of("a", 0.0), 5).await;
    world.create_many(of("b", 0.0), 5).await;
    let urgent = world
        .create(TaskSpec {
            priority: TaskPriority::Critical.into(),
            ..of("a", 0.0)
        })
        .await;
    world.is_lined_up("a", 5).await;
    world.is_lined_up("b", 5).await;
    eventually(|| async { world.ready_in_redis("default", "lint!").await == 1 }).await;
    assert_eq!(id_of(&world.lease_one(agent).await), urgent.id);
}

#[tokio::test]
async fn lines_are_refilled_after_redis_lost_everything() {
    let world = World::start().await;
    world.ready_queues_are_whole().await;
    let agent = world.agent(&["lint"]);
    world.create_many(of("a", 2.0), 20).await;
    world.create_many(of("b", 0.0), 20).await;
    world.create_many(spec("lint"), 20).await;
    world.flush_redis().await;
    world.is_lined_up("a", 20).await;
    world.is_lined_up("b", 20).await;
    world.is_lined_up("", 0).await;
    eventually(|| async { world.ready_in_redis("default", "lint").await == 20 }).await;
    let keys = world.keys(agent, 40).await;
    let shares = ["a", "b", ""].map(|key| count(&keys, key));
    assert_eq!(shares, [20, 10, 10]);
}

#[tokio::test]
async fn a_task_that_redis_forgot_is_put_back_into_its_line() {
    let world = World::start().await;
    world.ready_queues_are_whole().await;
    let task = world.create(of("a", 0.0)).await;
    world.is_lined_up("a", 1).await;
    let lane = format!("{}/default/lint=a", world.tenant);
    let ready = world.deps.redis.ready_queues(0);
    assert_eq!(ready.remove(&lane, &[&task.id]).await.expect("Redis"), 1);
    world.is_lined_up("a", 1).await;
}

#[tokio::test]
async fn a_key_whose_tasks_take_long_gets_fewer_turns() {
    let world = World::by_test_clock(&[]).await;
    world.ready_queues_are_whole().await;
    let agent = world.agent(&["lint"]);
    world.create_many(of("long", 0.0), 30).await;
    world.create_many(of("short", 0.0), 60).await;
    world.is_lined_up("long", 30).await;
    world.is_lined_up("short", 60).await;
    let mut seconds = std::collections::BTreeMap::<String, i64>::new();
    for _ in 0..40 {
        let lease = world.lease_one(agent).await;
        let key = key_of(&lease);
        let took = if key == "long" { 9 } else { 1 };
        world.clock.advance(chrono::TimeDelta::seconds(took));
        let before = world.usual_work().await;
        world
            .complete(&lease.lease_token)
            .await
            .expect("it is held");
        *seconds.entry(key).or_default() += took;
        // The charge is on its way until it shows.
        eventually(|| async { world.usual_work().await != before }).await;
    }
    let (long, short) = (seconds["long"], seconds["short"]);
    assert!((long - short).abs() <= 18, "{seconds:?}");
}
