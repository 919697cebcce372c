//! While the service was away nobody could renew: that is not held against anybody.

use chrono::TimeDelta;
use reeve_contracts::task::v1::{self as proto, LeaseVerdict, TaskState};

use crate::harness::*;

#[tokio::test]
async fn what_lapsed_during_an_outage_is_left_to_its_holder() {
    let mut world = World::by_test_clock(&[("queue.outage_grace", "1h")]).await;
    let agent = world.agent(&["lint"]);
    let timeouts = proto::TaskTimeouts {
        start_to_close_timeout: Some(seconds(60)),
        ..Default::default()
    };
    let created = world
        .create(proto::TaskSpec {
            timeouts: Some(timeouts),
            ..spec("lint")
        })
        .await;
    let lease = world.lease_one(agent).await;
    world.stop().await;
    world.clock.advance(TimeDelta::hours(2));
    world.run().await;
    world.next_tick("due").await;
    assert_eq!(world.get(&created.id).await.state(), TaskState::Assigned);
    let renew = proto::RenewLeasesRequest {
        lease_tokens: vec![lease.lease_token.clone()],
        ..Default::default()
    };
    let renewed = world.work().renew_leases(world.ask(renew)).await;
    let renewals = renewed.expect("a verdict").into_inner().renewals;
    assert_eq!(renewals[0].verdict(), LeaseVerdict::Ok);
    let completed = world.complete(&lease.lease_token).await;
    completed.expect("it is done, however long that took");
}

#[tokio::test]
async fn what_its_holder_does_not_renew_after_an_outage_is_taken() {
    let mut world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let created = world.create(spec("lint")).await;
    world.lease_one(agent).await;
    world.stop().await;
    world.clock.advance(TimeDelta::hours(2));
    world.run().await;
    let back = world.reaches(&created.id, TaskState::Pending).await;
    assert_eq!(back.lost_lease_count, 1);
}
