//! Places that are taken, kept and given up, whatever dies.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::TimeDelta;
use reeve_contracts::task::v1::work_service_client::WorkServiceClient;
use reeve_contracts::task::v1::{self as proto, LimitPer, PendingReason, TaskState};
use reeve_testkit::{TestRedis, authorize, eventually};

use crate::delegations::to_agent;
use crate::harness::*;
use crate::redis_loss::Wire;

use super::*;

#[tokio::test]
async fn no_more_run_than_may_and_the_rest_say_so() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    world.limit(at_most("all", 3, LimitPer::Tenant)).await;
    let ids = world.create_many(spec("lint"), 10).await;
    let mut leases = world.lease(agent, 10).await;
    assert_eq!(leases.len(), 3);
    world.waits(&ids[9], PendingReason::Throttled).await;
    assert!(world.lease_now(agent, 10).await.is_empty());
    assert_eq!(world.allowances("all").await, [(String::new(), 3, 7)]);
    eventually(|| async {
        let counts = world.queue("default").await.counts.expect("it has some");
        (counts.throttled, counts.in_progress + counts.assigned) == (7, 3)
    })
    .await;
    // Each end makes room for one.
    for _ in 0..7 {
        let done = leases.remove(0);
        world.complete(&done.lease_token).await.expect("it is held");
        leases.push(world.lease_one(agent).await);
    }
    for lease in leases {
        world
            .complete(&lease.lease_token)
            .await
            .expect("it is held");
    }
    for id in ids {
        assert_eq!(world.get(&id).await.state(), TaskState::Completed);
    }
    assert_eq!(world.allowances("all").await, []);
}

#[tokio::test]
async fn a_key_is_for_one_task_at_a_time() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let first = world.create(on(&["cluster/prod", "repo/a"])).await;
    let second = world.create(on(&["cluster/prod"])).await;
    let third = world.create(on(&["repo/a"])).await;
    let other = world.create(on(&["cluster/test"])).await;
    let free = world.create(spec("lint")).await;
    world.are_in_redis(5).await;
    let leases = world.lease(agent, 10).await;
    let mut got: Vec<_> = leases.iter().map(id_of).collect();
    got.sort_unstable();
    let mut expected = [&first.id, &other.id, &free.id];
    expected.sort_unstable();
    assert_eq!(got, expected);
    world.waits(&second.id, PendingReason::Throttled).await;
    world.waits(&third.id, PendingReason::Throttled).await;
    let held = leases.iter().find(|lease| id_of(lease) == first.id);
    world
        .fail(&held.expect("it was leased").lease_token, false)
        .await
        .expect("it is held");
    let mut next = vec![
        id_of(&world.lease_one(agent).await).to_owned(),
        id_of(&world.lease_one(agent).await).to_owned(),
    ];
    next.sort_unstable();
    assert_eq!(next, [second.id, third.id]);
    let shown = world.get(&first.id).await.spec.expect("it has one");
    assert_eq!(shown.concurrency_keys, ["cluster/prod", "repo/a"]);
}

#[tokio::test]
async fn an_agent_that_dies_leaks_no_place() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let ids = [
        world.create(on(&["cluster"])).await.id,
        world.create(on(&["cluster"])).await.id,
    ];
    let mut seen = HashMap::<String, usize>::new();
    for _ in 0..6 {
        let lease = world.lease_one(agent).await;
        *seen.entry(id_of(&lease).to_owned()).or_default() += 1;
        let other = ids
            .iter()
            .find(|id| *id != id_of(&lease))
            .expect("there are two");
        assert!(world.lease_now(agent, 9).await.is_empty());
        assert_eq!(world.get(other).await.state(), TaskState::Pending);
        // Nobody hears of the agent again.
        world.clock.advance(TimeDelta::seconds(31));
        world.reaches(id_of(&lease), TaskState::Pending).await;
    }
    for _ in 0..2 {
        let lease = world.lease_one(agent).await;
        world
            .complete(&lease.lease_token)
            .await
            .expect("it is held");
    }
    assert_eq!(seen.values().sum::<usize>(), 6);
}

#[tokio::test]
async fn two_replicas_do_not_exceed_it_together() {
    let world = World::start().await;
    let (replica, _) = world.replica().await;
    world.limit(at_most("all", 2, LimitPer::Queue)).await;
    world.create_many(on(&[]), 40).await;
    world.create_many(on(&["k"]), 10).await;
    let (held, most, done) = (AtomicI64::new(0), AtomicI64::new(0), AtomicI64::new(0));
    let shared = Arc::new((held, most, done));
    let workers = (0..8).map(|number| {
        let channel = if number % 2 == 0 {
            world.channel()
        } else {
            replica.channel()
        };
        let (agent, shared) = (world.agent(&["lint"]), Arc::clone(&shared));
        let key = world.admin.clone();
        async move {
            let (held, most, done) = &*shared;
            let mut work = WorkServiceClient::new(channel);
            while done.load(Ordering::SeqCst) < 50 {
                let ask = proto::LeaseTasksRequest {
                    wait_duration: Some(seconds(1)),
                    ..lease_of(agent, 5)
                };
                let answer = work.lease_tasks(authorize(&key, ask)).await;
                let leases = answer.expect("it may lease").into_inner().leases;
                let count = i64::try_from(leases.len()).expect("few");
                let now = held.fetch_add(count, Ordering::SeqCst) + count;
                most.fetch_max(now, Ordering::SeqCst);
                for lease in leases {
                    // The server ends it after this.
                    held.fetch_sub(1, Ordering::SeqCst);
                    let request = proto::CompleteTaskRequest {
                        lease_token: lease.lease_token,
                        ..Default::default()
                    };
                    let answer = work.complete_task(authorize(&key, request)).await;
                    answer.expect("it is held");
                    done.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    });
    futures::future::join_all(workers).await;
    let (_, most, done) = &*shared;
    assert_eq!(done.load(Ordering::SeqCst), 50);
    assert!(most.load(Ordering::SeqCst) <= 2, "{most:?} at a time");
}

#[tokio::test]
async fn a_task_keeps_its_place_in_other_hands_and_gives_it_up_with_its_offer() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    world.limit(at_most("one", 1, LimitPer::Tenant)).await;
    let created = world.create(spec("lint")).await;
    let lease = world.lease_one(first).await;
    let waiting = world.create(spec("lint")).await;
    let handed = world.delegate(to_agent(&lease.lease_token, second)).await;
    handed.expect("it is handed on");
    let none = proto::LeaseTasksRequest {
        wait_duration: None,
        ..lease_of(first, 1)
    };
    assert!(
        world.lease_as(none.clone()).await.is_empty(),
        "its place is taken"
    );
    let lease = world.lease_one(second).await;
    assert_eq!(id_of(&lease), created.id, "it needs no other place");
    world.waits(&waiting.id, PendingReason::Throttled).await;
    let handed = world
        .delegate(to_agent(&lease.lease_token, world.agent(&["lint"])))
        .await;
    handed.expect("it is handed on");
    world
        .cancel(&created.id)
        .await
        .expect("it is cancelled at once");
    assert_eq!(id_of(&world.lease_one(second).await), waiting.id);
}

#[tokio::test]
async fn who_waits_for_room_can_be_cancelled_and_survives_a_restart() {
    let mut world = World::start().await;
    let agent = world.agent(&["lint"]);
    let ids = world.create_many(on(&["k"]), 4).await;
    let first = world.lease(agent, 4).await.remove(0);
    for id in &ids[1..] {
        world.waits(id, PendingReason::Throttled).await;
    }
    let cancelled = world.cancel(&ids[1]).await.expect("it waits");
    assert_eq!(cancelled.state(), TaskState::Cancelled);
    world.stop().await;
    world.flush_redis().await;
    world.run().await;
    world.ready_queues_are_whole().await;
    assert!(world.lease_now(agent, 4).await.is_empty());
    world
        .complete(&first.lease_token)
        .await
        .expect("it is held");
    for id in &ids[2..] {
        let lease = world.lease_one(agent).await;
        assert_eq!(id_of(&lease), id);
        world
            .complete(&lease.lease_token)
            .await
            .expect("it is held");
    }
}

#[tokio::test]
async fn it_holds_without_redis_too() {
    let redis = reeve_testkit::redis().await;
    let wire = Wire::to(&redis).await;
    let behind = TestRedis {
        url: wire.url.clone(),
        prefix: redis.prefix.clone(),
    };
    let world = World::on(behind, &[]).await;
    let agent = world.agent(&["lint"]);
    world.limit(at_most("all", 2, LimitPer::Tenant)).await;
    wire.cut();
    world.create_many(spec("lint"), 5).await;
    assert_eq!(world.lease(agent, 5).await.len(), 2);
    assert!(world.lease_now(agent, 5).await.is_empty());
    wire.mend();
    assert!(world.lease_now(agent, 5).await.is_empty());
}
