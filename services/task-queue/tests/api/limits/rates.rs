//! Rates, and what begins anew.

use chrono::TimeDelta;
use reeve_contracts::task::v1::{LimitPer, PendingReason};

use crate::harness::*;

use super::*;

#[tokio::test]
async fn a_rate_lets_go_as_time_passes() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    world.limit(rated("slow", 2, 10)).await;
    let ids = world.create_many(spec("lint"), 5).await;
    assert_eq!(world.lease(agent, 5).await.len(), 2);
    world.waits(&ids[4], PendingReason::Throttled).await;
    assert!(world.lease_now(agent, 5).await.is_empty());
    world.clock.advance(TimeDelta::seconds(5));
    assert_eq!(world.lease(agent, 5).await.len(), 1);
    // It holds no more than its burst, however long nobody came.
    world.clock.advance(TimeDelta::seconds(25));
    assert_eq!(world.lease(agent, 5).await.len(), 2);
}

#[tokio::test]
async fn a_limit_that_is_set_anew_begins_with_a_full_bucket() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let ids = world.create_many(spec("lint"), 3).await;
    for _ in 0..2 {
        world.limit(rated("daily", 1, 86_400)).await;
        assert_eq!(world.lease(agent, 3).await.len(), 1);
        world.waits(&ids[2], PendingReason::Throttled).await;
        let deleted = world.unlimit("daily", "").await;
        deleted.expect("it is deleted");
    }
}

#[tokio::test]
async fn what_runs_when_it_is_set_counts_and_raising_it_lets_go_at_once() {
    let world = World::with(&[
        ("queue.poll_period", "1h"),
        ("queue.reconcile_period", "1h"),
    ])
    .await;
    let agent = world.agent(&["lint"]);
    world.create_many(spec("lint"), 6).await;
    assert_eq!(world.lease(agent, 2).await.len(), 2);
    world.limit(at_most("all", 2, LimitPer::Tenant)).await;
    assert_eq!(world.allowances("all").await, [(String::new(), 2, 0)]);
    assert!(world.lease_now(agent, 9).await.is_empty());
    world.limit(at_most("all", 3, LimitPer::Tenant)).await;
    assert_eq!(world.lease(agent, 9).await.len(), 1);
    assert!(world.lease_now(agent, 9).await.is_empty());
    world.unlimit("all", "").await.expect("it is there");
    assert_eq!(world.lease(agent, 2).await.len(), 2);
    assert_eq!(world.lease(agent, 1).await.len(), 1);
}
