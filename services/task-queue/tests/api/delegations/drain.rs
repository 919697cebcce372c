//! An agent that drains: nothing new, and what it holds it finishes, gives back or hands over.

use reeve_contracts::agent::v1::AgentState;
use reeve_contracts::task::v1::work_request::Message as Said;
use reeve_contracts::task::v1::work_response::Message as Say;
use reeve_contracts::task::v1::{
    self as proto, AttemptOutcome, DelegationOutcome, DelegationType, TaskState,
};
use reeve_status::Reason;
use serde_json::json;

use super::{to_agent, to_anyone};
use crate::harness::*;
use crate::worker::{Worker, completion};

async fn told_to_drain(worker: &mut Worker) {
    loop {
        if let Say::Drain(drain) = worker.next().await.expect("a message") {
            assert_eq!(drain.reason, Reason::AgentNotActive.as_str());
            return;
        }
    }
}

#[tokio::test]
async fn it_is_told_gets_nothing_new_and_finishes_or_hands_over() {
    // What tells it must not be a poll that happens to come.
    let world = World::with(&[("queue.poll_period", "1h")]).await;
    let leaving = world.agent(&["lint"]);
    let held = world.create_many(spec("lint"), 2).await;
    let mut worker = Worker::greet(&world, leaving).await;
    // All of its credit is spent.
    worker.credit(2).await;
    let mut leases = Vec::new();
    while leases.len() < 2 {
        leases.extend(worker.assigned().await);
    }
    world
        .known()
        .transition(world.tenant, leaving, AgentState::Draining);
    told_to_drain(&mut worker).await;
    worker.credit(5).await;
    let waiting = world.create(spec("lint")).await;

    let items = vec![completion(&leases[0].lease_token)];
    let ack = worker
        .tell(Said::Complete(proto::CompleteBatch { items }))
        .await;
    assert!(ack.failures.is_empty(), "what it holds it may finish");
    let other = world.agent(&["lint"]);
    let handed = proto::DelegateTaskRequest {
        checkpoint: reeve_wellknown::struct_from_json(json!({"step": 2})),
        reason: "I drain".to_owned(),
        ..to_anyone(&leases[1].lease_token, DelegationType::Failover)
    };
    let items = vec![handed];
    let ack = worker
        .tell(Said::Delegate(proto::DelegateBatch { items }))
        .await;
    assert!(ack.failures.is_empty(), "{:?}", ack.failures);
    assert_eq!(ack.delegations[0].to_agent_id, other.to_string());

    let moved = world.lease_one(other).await;
    assert!(held.contains(&id_of(&moved).to_owned()));
    assert_eq!(
        moved.checkpoint,
        reeve_wellknown::struct_from_json(json!({"step": 2}))
    );
    let task = world.get(id_of(&moved)).await;
    assert_eq!((task.failure_count, task.lost_lease_count), (0, 0));
    assert_eq!(task.attempts[0].outcome(), AttemptOutcome::Delegated);
    assert_eq!(
        id_of(&world.lease_one(other).await),
        waiting.id,
        "it went to another"
    );
}

#[tokio::test]
async fn what_it_was_offered_goes_back_at_once() {
    for to in [
        AgentState::Draining,
        AgentState::Maintenance,
        AgentState::Error,
    ] {
        let world = World::start().await;
        let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
        let created = world.create(spec("lint")).await;
        let lease = world.lease_one(first).await;
        let handed = world.delegate(to_agent(&lease.lease_token, second)).await;
        handed.expect("it is handed on");
        world.known().transition(world.tenant, second, to);
        let back = world.reaches(&created.id, TaskState::Pending).await;
        assert_eq!((back.attempt, back.lost_lease_count), (1, 0), "{to:?}");
        let outcome = back.delegation.expect("it is known").outcome();
        assert_eq!(outcome, DelegationOutcome::Expired);
        assert_eq!(id_of(&world.lease_one(first).await), created.id);
    }
}

#[tokio::test]
async fn it_may_give_everything_back() {
    let world = World::start().await;
    let (leaving, other) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let created = world.create(spec("lint")).await;
    let mut worker = Worker::greet(&world, leaving).await;
    worker.credit(1).await;
    worker.assigned().await;
    world
        .known()
        .transition(world.tenant, leaving, AgentState::Draining);
    told_to_drain(&mut worker).await;
    let goodbye = proto::Goodbye {
        return_leases: true,
    };
    worker.say(0, Said::Goodbye(goodbye)).await;
    let lease = world.lease_one(other).await;
    assert_eq!((id_of(&lease), lease.attempt), (created.id.as_str(), 2));
    let task = world.get(&created.id).await;
    assert_eq!((task.lost_lease_count, task.delegation_count), (0, 0));
}
