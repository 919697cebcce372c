//! Several replicas are one service.

use std::sync::Arc;

use chrono::TimeDelta;
use reeve_clock::{Clock as _, TestClock};
use reeve_contracts::task::v1 as proto;
use reeve_contracts::task::v1::work_service_client::WorkServiceClient;
use reeve_testkit::eventually;

use crate::harness::*;

#[tokio::test]
async fn a_create_here_wakes_an_agent_that_waits_there() {
    let world = World::with(&[
        ("queue.poll_period", "1h"),
        ("queue.reconcile_period", "1h"),
    ])
    .await;
    let agent = world.agent(&["lint"]);
    let (there, deps) = world.replica().await;
    let mut work = WorkServiceClient::new(there.channel());
    let waiting = work.lease_tasks(world.ask(lease_of(agent, 1)));
    let create = async {
        let waits = || async { deps.metrics.render().contains("reeve_rpc_in_flight 1") };
        eventually(waits).await;
        world.create(spec("lint")).await
    };
    let (leases, created) = tokio::time::timeout(LONG, async { tokio::join!(waiting, create) })
        .await
        .expect("the wait ends with the create");
    let leases = leases.expect("it may lease").into_inner().leases;
    assert_eq!(
        leases.iter().map(id_of).collect::<Vec<_>>(),
        [created.id.as_str()]
    );
}

#[tokio::test]
async fn replicas_never_give_out_a_task_twice() {
    let world = World::start().await;
    let (there, _deps) = world.replica().await;
    let agents = [world.agent(&["lint"]), world.agent(&["lint"])];
    let created = world.create_many(spec("lint"), 100).await;
    let take = |channel, agent| {
        let world = &world;
        async move {
            let mut work = WorkServiceClient::new(channel);
            let mut ids = Vec::new();
            while ids.len() < 50 {
                let most = i32::try_from(50 - ids.len()).expect("small").min(9);
                let answer = work.lease_tasks(world.ask(lease_of(agent, most))).await;
                let leases = answer.expect("it may lease").into_inner().leases;
                for lease in leases {
                    let complete = proto::CompleteTaskRequest {
                        lease_token: lease.lease_token.clone(),
                        ..Default::default()
                    };
                    // A lease of one replica may be completed at the other.
                    world
                        .work()
                        .complete_task(world.ask(complete))
                        .await
                        .expect("completed");
                    ids.push(id_of(&lease).to_owned());
                }
            }
            ids
        }
    };
    let (mut here, other) = tokio::join!(
        take(world.channel(), agents[0]),
        take(there.channel(), agents[1])
    );
    here.extend(other);
    here.sort_unstable();
    let mut expected = created;
    expected.sort_unstable();
    assert_eq!(here, expected);
}

#[tokio::test]
async fn a_replica_whose_clock_is_behind_waits_and_does_not_forget() {
    // Nothing but the replica itself may bring the task back.
    let world = World::by_test_clock(&[("queue.reconcile_period", "1h")]).await;
    world.ready_queues_are_whole().await;
    let agent = world.agent(&["lint"]);
    let behind = Arc::new(TestClock::at(
        world.clock.now() - TimeDelta::milliseconds(500),
    ));
    let (there, _deps) = world.replica_by(Arc::clone(&behind) as _).await;
    let created = world.create(spec("lint")).await;
    eventually(|| async { world.ready_in_redis("default", "lint").await == 1 }).await;
    let ask = || proto::LeaseTasksRequest {
        wait_duration: None,
        ..lease_of(agent, 1)
    };
    let lease = || async {
        let mut work = WorkServiceClient::new(there.channel());
        let answer = work.lease_tasks(world.ask(ask())).await;
        answer.expect("it may lease").into_inner().leases.pop()
    };
    assert!(lease().await.is_none(), "there it is not yet time");
    behind.advance(TimeDelta::seconds(1));
    assert_eq!(id_of(&eventually(lease).await), created.id);
}
