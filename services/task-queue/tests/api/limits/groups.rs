//! Which tasks share an allowance.

use std::collections::BTreeMap;

use reeve_contracts::task::v1::{self as proto, LimitPer, SetLimitRequest, TaskSelector, TaskSpec};
use reeve_testkit::eventually;

use crate::harness::*;

use super::*;

#[tokio::test]
async fn groups_have_an_allowance_each() {
    let world = World::start().await;
    let agent = world.agent(&["lint", "build"]);
    let of = |kind: &str, queue: &str, key: &str| TaskSpec {
        queue: queue.to_owned(),
        fairness: (!key.is_empty()).then(|| proto::Fairness {
            key: key.to_owned(),
            weight: 0.0,
        }),
        ..spec(kind)
    };
    let specs = [
        of("lint", "default", "red"),
        of("lint", "night", "red"),
        of("build", "default", "blue"),
        of("build", "night", ""),
    ];
    let cases = [
        (LimitPer::Queue, vec!["default", "night"]),
        (LimitPer::Type, vec!["build", "lint"]),
        (LimitPer::Capability, vec!["build", "lint"]),
        (LimitPer::FairnessKey, vec!["", "blue", "red"]),
        (LimitPer::Tenant, vec![""]),
    ];
    for (per, values) in cases {
        world.limit(at_most("each", 1, per)).await;
        for spec in &specs {
            world.create_many(spec.clone(), 2).await;
        }
        let mut leases = Vec::new();
        let ask = || proto::LeaseTasksRequest {
            queues: vec!["default".to_owned(), "night".to_owned()],
            wait_duration: None,
            ..lease_of(agent, 20)
        };
        while leases.len() < values.len() {
            let waiting = proto::LeaseTasksRequest {
                wait_duration: Some(seconds(20)),
                ..ask()
            };
            let more = world.lease_as(waiting).await;
            assert!(!more.is_empty(), "{per:?}: {} of {values:?}", leases.len());
            leases.extend(more);
        }
        assert!(world.lease_as(ask()).await.is_empty(), "{per:?}");
        let running: BTreeMap<_, _> = world
            .allowances("each")
            .await
            .into_iter()
            .map(|(value, running, _)| (value, running))
            .collect();
        let expected: BTreeMap<_, _> = values
            .iter()
            .map(|value| ((*value).to_owned(), 1))
            .collect();
        assert_eq!(running, expected, "{per:?}");
        world.unlimit("each", "").await.expect("it is there");
        let mut rest = 8 - leases.len();
        while !leases.is_empty() || rest > 0 {
            for lease in std::mem::take(&mut leases) {
                world
                    .complete(&lease.lease_token)
                    .await
                    .expect("it is held");
            }
            if rest > 0 {
                let waiting = proto::LeaseTasksRequest {
                    wait_duration: Some(seconds(20)),
                    ..ask()
                };
                leases = world.lease_as(waiting).await;
                rest -= leases.len();
            }
        }
    }
}

#[tokio::test]
async fn the_longest_prefix_speaks_for_a_key() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let keyed = |name: &str, prefix: &str, most| SetLimitRequest {
        key_prefix: prefix.to_owned(),
        ..at_most(name, most, LimitPer::ConcurrencyKey)
    };
    world.limit(keyed("clusters", "cluster/", 3)).await;
    world.limit(keyed("prod", "cluster/prod", 2)).await;
    for key in ["cluster/prod", "cluster/test", "repo"] {
        world.create_many(on(&[key]), 5).await;
    }
    world.are_in_redis(15).await;
    let count = |leases: &[proto::Lease]| {
        let mut counts = BTreeMap::<String, usize>::new();
        for lease in leases {
            let spec = lease.task.as_ref().and_then(|task| task.spec.clone());
            let keys = spec.expect("it has one").concurrency_keys;
            *counts.entry(keys[0].clone()).or_default() += 1;
        }
        counts
    };
    let leases = world.lease(agent, 15).await;
    let expected = [("cluster/prod", 2), ("cluster/test", 3), ("repo", 1)];
    let expected: BTreeMap<_, _> = expected.map(|(key, count)| (key.to_owned(), count)).into();
    assert_eq!(count(&leases), expected);
    // The shorter one takes over, and knows who runs.
    world.unlimit("prod", "").await.expect("it is there");
    let more = world.lease(agent, 15).await;
    assert_eq!(
        count(&more),
        BTreeMap::from([("cluster/prod".to_owned(), 1)])
    );
    // And then the 1 of every key.
    world.unlimit("clusters", "").await.expect("it is there");
    assert!(world.lease_now(agent, 15).await.is_empty());
}

#[tokio::test]
async fn a_full_limit_holds_up_nobody_else() {
    let world = World::with(&[("queue.poll_period", "1h")]).await;
    let agent = world.agent(&["lint"]);
    let selector = TaskSelector {
        types: vec!["lint".to_owned()],
        ..Default::default()
    };
    let request = SetLimitRequest {
        selector: Some(selector),
        ..at_most("lints", 1, LimitPer::Type)
    };
    world.limit(request).await;
    world.create_many(spec("lint"), 600).await;
    let free = TaskSpec {
        capability: "lint".to_owned(),
        ..spec("check")
    };
    let free = world.create(free).await;
    world.ready_queues_are_whole().await;
    let first = world.lease_one(agent).await;
    assert_ne!(id_of(&first), free.id);
    assert_eq!(id_of(&world.lease_one(agent).await), free.id);
    eventually(|| async { world.allowances("lints").await == [("lint".to_owned(), 1, 599)] }).await;
}
