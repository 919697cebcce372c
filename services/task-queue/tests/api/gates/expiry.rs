//! Nobody answers in time.

use chrono::TimeDelta;
use reeve_contracts::task::v1::{
    self as proto, GateDecision, GateExpiry, GateKind, GateState, TaskState,
};
use reeve_status::{Code, Reason};
use reeve_testkit::eventually;
use serde_json::json;

use super::*;

fn expiring(kind: GateKind, expiry: GateExpiry) -> proto::GateSpec {
    proto::GateSpec {
        expire_duration: Some(seconds(60)),
        expiry: expiry.into(),
        ..gate_of(kind)
    }
}

#[tokio::test]
async fn a_gate_that_expires_fails_its_task() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    for kind in [GateKind::Input, GateKind::Approval] {
        // What is not said means FAIL.
        let gate = expiring(kind, GateExpiry::Unspecified);
        let (task, gate) = world.gated(agent, spec("lint"), gate).await;
        assert_eq!(gate.expiry(), GateExpiry::Fail);
        assert!(gate.expire_time.is_some());
        world.clock.advance(TimeDelta::seconds(61));
        let failed = world.reaches(&task.id, TaskState::Failed).await;
        assert!(failed.dead);
        assert_eq!(
            failed.error.map(|error| error.code),
            Some("GATE_EXPIRED".to_owned())
        );
        assert_eq!(failed.closed_gates[0].state(), GateState::Expired);
        let story = world.story(&task.id, "task.failed").await;
        assert_eq!(story[story.len() - 2], "task.gate_expired");
        // Who redrives it is asked again.
        world.retry(&task.id).await.expect("it is redriven");
        let lease = world.lease_one(agent).await;
        assert_eq!((id_of(&lease), lease.attempt), (task.id.as_str(), 2));
        world
            .complete(&lease.lease_token)
            .await
            .expect("it completes");
    }
}

#[tokio::test]
async fn an_agent_may_go_on_without_an_answer() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let gate = expiring(GateKind::Input, GateExpiry::Proceed);
    let (task, gate) = world.gated(agent, spec("lint"), gate).await;
    world.clock.advance(TimeDelta::seconds(61));
    let lease = world.lease_one(agent).await;
    assert_eq!((id_of(&lease), lease.attempt), (task.id.as_str(), 2));
    let told = &lease.gate_answers[0];
    assert_eq!((told.state(), &told.answer), (GateState::Expired, &None));
    let late = world.answer(input(&gate, json!({}))).await;
    refused(late, Code::FailedPrecondition, Reason::GateClosed);
}

#[tokio::test]
async fn an_answer_after_the_time_does_not_count_even_if_nobody_has_looked() {
    // The sweep does not look within the test.
    let mut world = World::by_test_clock(&[("queue.sweep_period", "1h")]).await;
    let agent = world.agent(&["lint"]);
    let gate = expiring(GateKind::Approval, GateExpiry::Fail);
    let (task, gate) = world.gated(agent, spec("lint"), gate).await;
    world.clock.advance(TimeDelta::seconds(60));
    let late = world.answer(decision(&gate, GateDecision::Approve)).await;
    let fault = refused(late, Code::FailedPrecondition, Reason::GateClosed);
    assert_eq!(
        fault.metadata().get("state").map(String::as_str),
        Some("EXPIRED")
    );
    assert_eq!(world.get(&task.id).await.state(), TaskState::Pending);
    // The process ends before it has expired the gate: the next one does.
    world.stop().await;
    world.clock.advance(TimeDelta::seconds(1));
    world.set("queue.sweep_period", "20ms");
    world.run().await;
    world.reaches(&task.id, TaskState::Failed).await;
}

#[tokio::test]
async fn two_replicas_expire_a_gate_once() {
    let world = World::by_test_clock(&[]).await;
    let (running, _deps) = world.replica().await;
    let agent = world.agent(&["lint"]);
    let mut ids = Vec::new();
    for _ in 0..8 {
        let gate = expiring(GateKind::Input, GateExpiry::Fail);
        let (task, _) = world.gated(agent, spec("lint"), gate).await;
        ids.push(task.id);
    }
    world.clock.advance(TimeDelta::seconds(61));
    for id in &ids {
        world.reaches(id, TaskState::Failed).await;
    }
    let told = |events: &[reeve_contracts::event::v1::Event]| {
        let failed = events.iter().filter(|event| event.r#type == "task.failed");
        failed.count() >= ids.len()
    };
    let events = world.events(told).await;
    let expired = events
        .iter()
        .filter(|event| event.r#type == "task.gate_expired");
    assert_eq!(expired.count(), ids.len());
    running.stop().await;
    eventually(|| async { world.get(&ids[0]).await.dead }).await;
}

#[tokio::test]
async fn an_answer_in_time_keeps_the_gate_from_expiring() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let gate = expiring(GateKind::Input, GateExpiry::Fail);
    let (task, gate) = world.gated(agent, spec("lint"), gate).await;
    world
        .answer(input(&gate, json!({})))
        .await
        .expect("it is answered");
    let gate = expiring(GateKind::Input, GateExpiry::Fail);
    let lease = world.lease_one(agent).await;
    let again = world.suspend(suspension(&lease.lease_token, gate)).await;
    again.expect("it waits once more");
    world.clock.advance(TimeDelta::seconds(61));
    let failed = world.reaches(&task.id, TaskState::Failed).await;
    let states: Vec<_> = failed.closed_gates.iter().map(Gate::state).collect();
    assert_eq!(states, [GateState::Answered, GateState::Expired]);
}
