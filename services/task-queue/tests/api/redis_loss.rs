//! Redis may lose everything, or be gone: nothing is lost and nothing is done twice.

use std::net::SocketAddr;
use std::sync::Arc;

use reeve_contracts::task::v1::{self as proto, TaskState};
use reeve_redis::Ready;
use reeve_testkit::{TestRedis, eventually};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::harness::*;

/// A wire to Redis that a test can cut.
pub struct Wire {
    pub url: String,
    whole: Arc<watch::Sender<bool>>,
}

impl Wire {
    pub async fn to(redis: &TestRedis) -> Self {
        let target = redis
            .url
            .trim_start_matches("redis://")
            .trim_end_matches('/')
            .to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address: SocketAddr = listener.local_addr().expect("it is bound");
        let whole = Arc::new(watch::Sender::new(true));
        let states = Arc::clone(&whole);
        reeve_runtime::spawn("wire", async move {
            loop {
                let Ok((mut client, _)) = listener.accept().await else {
                    return;
                };
                let (target, mut state) = (target.clone(), states.subscribe());
                reeve_runtime::spawn("strand", async move {
                    if !*state.borrow() {
                        return;
                    }
                    let Ok(mut server) = TcpStream::connect(target.as_str()).await else {
                        return;
                    };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = state.wait_for(|whole| !whole) => {}
                    }
                });
            }
        });
        Self {
            url: format!("redis://{address}"),
            whole,
        }
    }

    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}

/// Leases and completes until every task is done; answers each completed id.
async fn work_off(world: &World, agent: reeve_ids::AgentId, count: usize) -> Vec<String> {
    let mut done = Vec::new();
    while done.len() < count {
        let leases = world.lease(agent, 16).await;
        for lease in leases {
            world
                .complete(&lease.lease_token)
                .await
                .expect("the holder completes");
            done.push(id_of(&lease).to_owned());
        }
    }
    done
}

async fn completed(world: &World) -> i64 {
    let mut admin = world.database.admin().await;
    let count = "select count(*) from task_queue.task_outcome where state = 6";
    sqlx::query_scalar(count)
        .fetch_one(&mut admin)
        .await
        .expect("the outcomes")
}

async fn all_done_once(world: &World, mut created: Vec<String>, mut done: Vec<String>) {
    created.sort_unstable();
    done.sort_unstable();
    assert_eq!(done, created, "each exactly once");
    for id in &created {
        let task = world.get(id).await;
        assert_eq!((task.state(), task.attempt), (TaskState::Completed, 1));
    }
}

#[tokio::test]
async fn a_flush_in_the_middle_loses_nothing() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create_many(spec("lint"), 120).await;
    let (work, flushes) = tokio::join!(work_off(&world, agent, 120), async {
        for done in [30, 60, 90] {
            eventually(|| async { completed(&world).await >= done }).await;
            world.ready_queues_are_whole().await;
            world.flush_redis().await;
        }
        3
    });
    assert_eq!(flushes, 3);
    all_done_once(&world, created, work).await;
}

#[tokio::test]
async fn a_redis_that_is_gone_slows_down_and_stops_nothing() {
    let redis = reeve_testkit::redis().await;
    let wire = Wire::to(&redis).await;
    let behind = TestRedis {
        url: wire.url.clone(),
        prefix: redis.prefix.clone(),
    };
    let world = World::on(behind, &[]).await;
    let agent = world.agent(&["lint"]);
    let mut created = world.create_many(spec("lint"), 20).await;
    let mut done = work_off(&world, agent, 8).await;
    wire.cut();
    created.extend(world.create_many(spec("lint"), 20).await);
    created.push(world.create(spec("lint")).await.id);
    let rest = 30 - done.len();
    done.extend(work_off(&world, agent, rest).await);
    wire.mend();
    created.extend(world.create_many(spec("lint"), 10).await);
    let rest = created.len() - done.len();
    done.extend(work_off(&world, agent, rest).await);
    all_done_once(&world, created, done).await;
}

#[tokio::test]
async fn a_task_that_redis_forgot_is_found_again() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    world.ready_queues_are_whole().await;
    let created = world.create(spec("lint")).await;
    eventually(|| async { world.ready_in_redis("default", "lint").await == 1 }).await;
    let lane = format!("{}/default/lint", world.tenant);
    let removed = world
        .deps
        .redis
        .ready_queues(0)
        .remove(&lane, &[&created.id])
        .await;
    assert_eq!(removed.expect("Redis answers"), 1);
    let lease = world.lease_one(agent).await;
    assert_eq!(id_of(&lease), created.id);
    // It may be found twice: while it is being leased it is not in its lane either.
    eventually(|| async {
        let rendered = world.deps.metrics.render();
        !rendered.contains("reeve_ready_forgotten_total 0")
    })
    .await;
}

#[tokio::test]
async fn a_forgotten_task_is_found_however_many_there_are_beside_it() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    world.ready_queues_are_whole().await;
    let created = world.create_many(spec("lint"), 3).await;
    eventually(|| async { world.ready_in_redis("default", "lint").await == 3 }).await;
    let lane = format!("{}/default/lint", world.tenant);
    let ready = world.deps.redis.ready_queues(0);
    // As many strangers in the lane as were forgotten: by numbers nothing is amiss.
    let stale = ["a", "b"].map(|id| Ready::new(lane.as_str(), id, 1e15));
    ready.push(&stale).await.expect("Redis answers");
    let removed = ready.remove(&lane, &created[..2]).await;
    assert_eq!(removed.expect("Redis answers"), 2);
    eventually(|| async {
        let missing = ready.missing(&lane, &created).await.expect("Redis answers");
        missing.is_empty()
    })
    .await;
    assert_eq!(world.lease(agent, 3).await.len(), 3);
}

#[tokio::test]
async fn a_task_that_ends_while_it_waits_leaves_its_lane() {
    let world = World::by_test_clock(&[]).await;
    let timeouts = proto::TaskTimeouts {
        schedule_to_start_timeout: Some(seconds(60)),
        ..Default::default()
    };
    let created = world
        .create(proto::TaskSpec {
            timeouts: Some(timeouts),
            ..spec("lint")
        })
        .await;
    eventually(|| async { world.ready_in_redis("default", "lint").await == 1 }).await;
    world.clock.advance(chrono::TimeDelta::seconds(61));
    world.reaches(&created.id, TaskState::Timeout).await;
    eventually(|| async { world.ready_in_redis("default", "lint").await == 0 }).await;
}

#[tokio::test]
async fn a_restart_with_an_empty_redis_finds_every_task() {
    let mut world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create_many(spec("lint"), 50).await;
    world.stop().await;
    world.flush_redis().await;
    world.run().await;
    let done = work_off(&world, agent, 50).await;
    all_done_once(&world, created, done).await;
}

#[tokio::test]
async fn a_pop_that_was_never_claimed_returns() {
    // Neither does a comparison restore it, nor is it found without a wake-up.
    let world = World::with(&[
        ("queue.reconcile_period", "1h"),
        ("queue.poll_period", "1h"),
    ])
    .await;
    let agent = world.agent(&["lint"]);
    world.ready_queues_are_whole().await;
    let created = world.create(spec("lint")).await;
    eventually(|| async { world.ready_in_redis("default", "lint").await == 1 }).await;
    let lane = format!("{}/default/lint", world.tenant);
    let ready = world.deps.redis.ready_queues(0);
    let popped = ready
        .pop(&[lane], 1, std::time::Duration::from_millis(1))
        .await;
    assert_eq!(
        popped.expect("Redis answers").len(),
        1,
        "a dispatcher took it and died"
    );
    let lease = world.lease_one(agent).await;
    assert_eq!(id_of(&lease), created.id);
    eventually(|| async { ready.granting_len().await.is_ok_and(|popped| popped == 0) }).await;
}
