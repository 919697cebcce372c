//! Tasks for one agent, and tasks that are kept from some.

use reeve_contracts::agent::v1::AgentState;
use reeve_contracts::task::v1::{self as proto, EligibilityTerm, TaskSpec, TaskState};
use reeve_ids::AgentId;
use reeve_testkit::{TestRedis, eventually};

use crate::harness::*;
use crate::matching::{counts, lacks, linter, try_lease, wanting};

#[tokio::test]
async fn a_pinned_task_is_for_one_agent() {
    let world = World::start().await;
    let (chosen, other) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let pinned = |to: AgentId, range: &str| TaskSpec {
        pinned_agent_id: to.to_string(),
        ..wanting(range, &[], &[])
    };
    let created = world.create(pinned(chosen, "")).await;
    let strict = world.create(pinned(chosen, "^1")).await;
    assert!(try_lease(&world, other).await.is_none());
    let lease = world.lease_one(chosen).await;
    assert_eq!(id_of(&lease), created.id);
    assert!(
        try_lease(&world, chosen).await.is_none(),
        "it has no version"
    );
    lacks(&world, &strict.id, EligibilityTerm::Version).await;
    let reject = proto::RejectTaskRequest {
        lease_token: lease.lease_token,
        ..Default::default()
    };
    let answer = world.work().reject_task(world.ask(reject)).await;
    let state = answer.expect("it is rejected").into_inner().state();
    assert_eq!(state, TaskState::Failed, "nobody else may have it");
    let unknown = world.create(pinned(AgentId::new(), "")).await;
    let why = lacks(&world, &unknown.id, EligibilityTerm::PinnedAgent).await;
    assert_eq!(counts(&why), [(EligibilityTerm::PinnedAgent, 2)]);
}

#[tokio::test]
async fn a_task_is_kept_away_from_agents() {
    let world = World::start().await;
    let (avoided, other) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let avoiding = TaskSpec {
        avoid_agent_ids: vec![avoided.to_string()],
        ..hasty("lint", 1)
    };
    let created = world.create(avoiding).await;
    assert!(try_lease(&world, avoided).await.is_none());
    let lease = world.lease_one(other).await;
    world
        .fail(&lease.lease_token, true)
        .await
        .expect("it fails");
    let retry = proto::RetryTaskRequest {
        task_id: created.id.clone(),
        ..Default::default()
    };
    let answer = world.tasks().retry_task(world.ask(retry)).await;
    answer.expect("it is redriven");
    assert!(
        try_lease(&world, avoided).await.is_none(),
        "after a redrive, too"
    );
    world
        .known()
        .transition(world.tenant, other, AgentState::Draining);
    let why = lacks(&world, &created.id, EligibilityTerm::AgentState).await;
    let both = [
        (EligibilityTerm::Avoided, 1),
        (EligibilityTerm::AgentState, 1),
    ];
    assert_eq!(counts(&why), both);
}

/// Two agents fail a task in turn, and each is given it again only when the other has failed, too.
async fn take_turns_failing(world: &World, concurrency_keys: Vec<String>) {
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let careful = TaskSpec {
        avoid_failed_agents: true,
        concurrency_keys,
        ..hasty("lint", 10)
    };
    let created = world.create(careful).await;
    let fail = async |lease: proto::Lease| {
        assert_eq!(id_of(&lease), created.id);
        let failed = world.fail(&lease.lease_token, true).await;
        failed.expect("it fails");
    };
    fail(world.lease_one(first).await).await;
    assert!(try_lease(world, first).await.is_none(), "there is another");
    fail(world.lease_one(second).await).await;
    // Nobody is left who has not failed.
    fail(world.lease_one(first).await).await;
    let lease = world.lease_one(second).await;
    assert_eq!(lease.attempt, 4);
}

#[tokio::test]
async fn an_agent_that_failed_is_the_last_resort() {
    let world = World::start().await;
    take_turns_failing(&world, Vec::new()).await;
}

#[tokio::test]
async fn an_agent_that_failed_is_the_last_resort_within_a_limit() {
    let world = World::start().await;
    take_turns_failing(&world, vec!["cluster/prod".to_owned()]).await;
}

#[tokio::test]
async fn an_agent_that_failed_is_the_last_resort_without_redis() {
    let world = World::on(nowhere(), &[]).await;
    take_turns_failing(&world, Vec::new()).await;
}

fn nowhere() -> TestRedis {
    TestRedis {
        url: "redis://127.0.0.1:1".to_owned(),
        prefix: "none".to_owned(),
    }
}

#[tokio::test]
async fn who_failed_is_asked_when_the_other_goes() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let careful = TaskSpec {
        avoid_failed_agents: true,
        ..hasty("lint", 10)
    };
    let created = world.create(careful).await;
    let lease = world.lease_one(first).await;
    world
        .fail(&lease.lease_token, true)
        .await
        .expect("it fails");
    let leave = async {
        eventually(|| world.waits_for_lease()).await;
        let to = AgentState::Inactive;
        world.known().transition(world.tenant, second, to);
    };
    let (lease, ()) = futures::join!(world.lease_one(first), leave);
    assert_eq!(id_of(&lease), created.id);
}

#[tokio::test]
async fn without_redis_wishes_hold_all_the_same() {
    let world = World::on(nowhere(), &[]).await;
    let (old, new) = (
        linter(&world, "1.0.0", "eu", "red"),
        linter(&world, "2.0.0", "eu", "red"),
    );
    let created = world.create(wanting("^2", &[], &[])).await;
    let pinned = TaskSpec {
        pinned_agent_id: old.to_string(),
        ..spec("lint")
    };
    let pinned = world.create(pinned).await;
    let lease = world.lease_one(new).await;
    assert_eq!(id_of(&lease), created.id);
    let lease = world.lease_one(old).await;
    assert_eq!(id_of(&lease), pinned.id);
}

#[tokio::test]
async fn nobody_is_left_when_the_only_one_that_would_do_rejects() {
    let world = World::start().await;
    linter(&world, "1.0.0", "eu", "red");
    let new = linter(&world, "2.0.0", "eu", "red");
    world.create(wanting("^2", &[], &[])).await;
    let lease = world.lease_one(new).await;
    let reject = proto::RejectTaskRequest {
        lease_token: lease.lease_token,
        ..Default::default()
    };
    let answer = world.work().reject_task(world.ask(reject)).await;
    let state = answer.expect("it is rejected").into_inner().state();
    assert_eq!(state, TaskState::Failed);
}
