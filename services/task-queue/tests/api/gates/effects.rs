//! What happens to work that must not be done twice, when its agent is heard of no more.

use chrono::TimeDelta;
use reeve_contracts::agent::v1::AgentState;
use reeve_contracts::task::v1::work_request::Message as Says;
use reeve_contracts::task::v1::{
    self as proto, AttemptOutcome, GateDecision, GateKind, GateState, PendingReason, TaskEffect,
    TaskState,
};
use reeve_ids::AgentId;
use reeve_status::{Code, Reason};
use serde_json::json;

use super::*;
use crate::bulk::{of_type, whole};
use crate::types::type_of;
use crate::worker::Worker;

fn with(effect: TaskEffect) -> proto::TaskSpec {
    proto::TaskSpec {
        effect: effect.into(),
        ..hasty("lint", 2)
    }
}

/// Leases a task that is under way at once.
async fn begun(world: &World, agent: AgentId) -> proto::Lease {
    let request = proto::LeaseTasksRequest {
        start: true,
        ..lease_of(agent, 1)
    };
    world.lease_as(request).await.remove(0)
}

/// An EFFECTFUL task whose lease was lost, and its gate.
async fn lost(world: &World, agent: AgentId, spec: proto::TaskSpec) -> (Task, Gate) {
    let created = world.create(spec).await;
    let lease = begun(world, agent).await;
    assert_eq!(id_of(&lease), created.id);
    world.clock.advance(TimeDelta::seconds(31));
    let task = world.reaches(&created.id, TaskState::Pending).await;
    let gate = task.gate.clone().expect("it waits behind a gate");
    (task, gate)
}

#[tokio::test]
async fn a_lost_lease_offers_again_what_may_run_again_and_nothing_else() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    for effect in [TaskEffect::ReadOnly, TaskEffect::Idempotent] {
        let created = world.create(with(effect)).await;
        begun(&world, agent).await;
        world.clock.advance(TimeDelta::seconds(31));
        let again = world.lease_one(agent).await;
        assert_eq!((id_of(&again), again.attempt), (created.id.as_str(), 2));
        world
            .complete(&again.lease_token)
            .await
            .expect("it completes");
    }
    // One that was never begun was not done either.
    let waiting = world.create(with(TaskEffect::Effectful)).await;
    let assigned = world.lease_one(agent).await;
    let accept = proto::AcceptTaskRequest {
        lease_token: assigned.lease_token.clone(),
    };
    world
        .work()
        .accept_task(world.ask(accept))
        .await
        .expect("it is accepted");
    world.clock.advance(TimeDelta::seconds(31));
    let again = world.lease_one(agent).await;
    assert_eq!(id_of(&again), waiting.id);
    world
        .complete(&again.lease_token)
        .await
        .expect("it completes");

    let (task, gate) = lost(&world, agent, with(TaskEffect::Effectful)).await;
    assert_eq!(task.pending_reason(), PendingReason::AwaitingApproval);
    assert_eq!((task.lost_lease_count, task.failure_count), (1, 0));
    assert_eq!(task.attempts[0].outcome(), AttemptOutcome::LeaseLost);
    assert_eq!((gate.kind(), gate.attempt), (GateKind::LostLease, 1));
    assert_eq!(gate.agent_id, agent.to_string());
    assert_eq!(
        gate.opener.map(|by| by.subject),
        Some("service:task-queue".to_owned())
    );
    assert!(world.lease_now(agent, 9).await.is_empty());

    let mut request = decision(&task.gate.expect("it is open"), GateDecision::RunAgain);
    request.answer.as_mut().expect("it has one").comment = "nothing was deployed".to_owned();
    world.answer(request).await.expect("it runs again");
    let again = world.lease_one(agent).await;
    assert_eq!((id_of(&again), again.attempt), (task.id.as_str(), 2));
    let said = again.gate_answers[0].answer.clone().expect("the answer");
    assert_eq!(said.comment, "nothing was deployed");
    let story = world.story(&task.id, "task.assigned").await;
    assert_eq!(
        story[3..],
        [
            "task.lease_lost",
            "task.gate_opened",
            "task.gate_answered",
            "task.assigned"
        ]
    );
}

#[tokio::test]
async fn a_lost_agent_leaves_a_decision_to_a_person() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(with(TaskEffect::Effectful)).await;
    begun(&world, agent).await;
    world
        .known()
        .transition(world.tenant, agent, AgentState::Error);
    let task = world.reaches(&created.id, TaskState::Pending).await;
    assert_eq!(task.gate.map(|gate| gate.kind()), Some(GateKind::LostLease));
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_not_tried_again_by_itself() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let timeouts = proto::TaskTimeouts {
        start_to_close_timeout: Some(seconds(10)),
        ..Default::default()
    };
    // The first attempt of one: also where no retry is left a person decides.
    let spec = proto::TaskSpec {
        timeouts: Some(timeouts),
        effect: TaskEffect::Effectful.into(),
        ..hasty("lint", 1)
    };
    let created = world.create(spec).await;
    let lease = world.lease_one(agent).await;
    world.clock.advance(TimeDelta::seconds(11));
    let task = world.reaches(&created.id, TaskState::Pending).await;
    let gate = task.gate.expect("it is open");
    assert_eq!((gate.kind(), task.failure_count), (GateKind::Timeout, 1));
    assert_eq!(task.attempts[0].outcome(), AttemptOutcome::Timeout);
    let answer = world.complete(&lease.lease_token).await;
    refused(answer, Code::FailedPrecondition, Reason::LeaseLost);
    let failed = world.answer(decision(&gate, GateDecision::Fail)).await;
    let failed = failed.expect("it fails");
    assert_eq!((failed.state(), failed.dead), (TaskState::Failed, true));
    assert_eq!(
        failed.error.map(|error| error.code),
        Some("OUTCOME_UNKNOWN".to_owned())
    );
    // A dead letter like any other, and its gates are not forgotten.
    let redriven = world
        .redrive(of_type("lint"), whole())
        .await
        .expect("it is redriven");
    assert_eq!(redriven.redriven_count, 1);
    let again = world.lease_one(agent).await;
    assert_eq!((id_of(&again), again.attempt), (created.id.as_str(), 2));
    assert_eq!(again.gate_answers.len(), 1);
}

#[tokio::test]
async fn who_knows_that_it_was_done_completes_it_and_what_waited_goes_on() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let (task, gate) = lost(&world, agent, with(TaskEffect::Effectful)).await;
    let after = world
        .create(proto::TaskSpec {
            depends_on: vec![task.id.clone()],
            ..spec("lint")
        })
        .await;
    assert_eq!(after.pending_reason(), PendingReason::Blocked);
    let mut request = decision(&gate, GateDecision::Complete);
    let answer = request.answer.as_mut().expect("it has one");
    answer.comment = "revision 7 is live".to_owned();
    answer.result = structure(json!({"revision": 7}));
    let done = world.answer(request.clone()).await.expect("it is done");
    assert_eq!(done.state(), TaskState::Completed);
    assert_eq!(json_of(&done.result), json!({"revision": 7}));
    assert_eq!(done.result_message, "revision 7 is live");
    assert_eq!(done.attempts.len(), 1, "nobody held it again");
    assert_eq!(done.closed_gates[0].state(), GateState::Answered);
    let next = world.lease_one(agent).await;
    assert_eq!(id_of(&next), after.id);
    let events = world
        .events(|events| events.iter().any(|event| event.r#type == "task.completed"))
        .await;
    let told = events.iter().find(|event| event.r#type == "task.completed");
    let told = told.expect("just found");
    let by = told.actor.as_ref().expect("somebody");
    assert!(by.subject.starts_with("key:"), "a person: {by:?}");
    // No attempt ended: its time and its usage were told when it was lost.
    assert!(data(told).get("agent_id").is_none() && data(told).get("usage").is_none());
}

#[tokio::test]
async fn who_does_not_want_it_any_more_cancels_it_and_what_waited() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let (task, gate) = lost(&world, agent, with(TaskEffect::Effectful)).await;
    let after = world
        .create(proto::TaskSpec {
            depends_on: vec![task.id.clone()],
            ..spec("lint")
        })
        .await;
    let mut request = decision(&gate, GateDecision::Cancel);
    request.answer.as_mut().expect("it has one").comment = "rolled back".to_owned();
    let cancelled = world.answer(request).await.expect("it is cancelled");
    assert_eq!(cancelled.state(), TaskState::Cancelled);
    assert_eq!(cancelled.cancel_reason, "rolled back");
    let orphan = world.reaches(&after.id, TaskState::Cancelled).await;
    assert_eq!(orphan.cancel_reason, "DEPENDENCY_FAILED");
}

#[tokio::test]
async fn an_agent_that_fails_a_task_as_retryable_says_that_it_may_run_again() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(with(TaskEffect::Effectful)).await;
    let lease = begun(&world, agent).await;
    let failed = world
        .fail(&lease.lease_token, true)
        .await
        .expect("it fails");
    assert_eq!(failed.state(), TaskState::Pending);
    let again = begun(&world, agent).await;
    assert_eq!((id_of(&again), again.attempt), (created.id.as_str(), 2));
}

#[tokio::test]
async fn a_task_has_the_effect_of_its_type_unless_it_says_otherwise() {
    let world = World::start().await;
    let effect = |task: Task| task.spec.expect("it has one").effect();
    assert_eq!(
        effect(world.create(spec("lint")).await),
        TaskEffect::Idempotent
    );
    assert_eq!(
        effect(world.create(spec("analyze_project")).await),
        TaskEffect::ReadOnly
    );
    let built_in = world
        .get_type("deploy_application")
        .await
        .expect("it is there");
    assert_eq!(built_in.effect(), TaskEffect::Effectful);
    let ship = proto::TaskType {
        effect: TaskEffect::Effectful.into(),
        ..type_of("ship", json!({}))
    };
    let ship = world.create_type(ship).await.expect("it is created");
    assert_eq!(ship.effect(), TaskEffect::Effectful);
    let created = world.create(spec("ship")).await;
    assert_eq!(effect(created.clone()), TaskEffect::Effectful);
    assert_eq!(effect(world.get(&created.id).await), TaskEffect::Effectful);
    let own = proto::TaskSpec {
        effect: TaskEffect::ReadOnly.into(),
        ..spec("ship")
    };
    assert_eq!(effect(world.create(own).await), TaskEffect::ReadOnly);
    let changed = world
        .update_type(type_of("ship", json!({})), &["effect"], "")
        .await;
    assert_eq!(
        changed.expect("it changes").effect(),
        TaskEffect::Unspecified
    );
    assert_eq!(
        effect(world.create(spec("ship")).await),
        TaskEffect::Idempotent
    );
    let wrong = proto::TaskType {
        effect: 4,
        ..type_of("drop", json!({}))
    };
    let fault = crate::types::invalid(world.create_type(wrong).await);
    assert_eq!(fields(&fault), ["task_type.effect"]);
}

#[tokio::test]
async fn the_hold_of_a_lost_attempt_ends_with_it() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let costly = proto::TaskSpec {
        effect: TaskEffect::Effectful.into(),
        ..crate::budgets::costly()
    };
    let (task, gate) = lost(&world, agent, costly).await;
    assert!(task.hold_id.is_empty());
    let events = world
        .events(|events| events.iter().any(|event| event.r#type == "task.lease_lost"))
        .await;
    let told = events
        .iter()
        .find(|event| event.r#type == "task.lease_lost");
    let told = data(told.expect("just found"));
    assert_eq!(told["gate_kind"], json!("LOST_LEASE"));
    let first = told["hold_id"]
        .as_str()
        .expect("of that attempt")
        .to_owned();
    world.next_tick("admission").await;
    assert_eq!(world.known().holds_of(&task.id).len(), 1);
    let again = decision(&gate, GateDecision::RunAgain);
    world.answer(again).await.expect("it runs again");
    let lease = begun(&world, agent).await;
    let second = lease.task.expect("its task").hold_id;
    assert!(!second.is_empty() && second != first);
}

#[tokio::test]
async fn who_leaves_in_the_middle_leaves_a_decision_to_a_person() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let mut worker = Worker::greet(&world, agent).await;
    let begun = world.create(with(TaskEffect::Effectful)).await;
    worker.credit(1).await;
    let lease = worker.assigned().await.remove(0);
    let lease_tokens = vec![lease.lease_token.clone()];
    worker
        .tell(Says::Start(proto::StartBatch { lease_tokens }))
        .await;
    let waiting = world.create(with(TaskEffect::Effectful)).await;
    worker.credit(1).await;
    assert_eq!(id_of(&worker.assigned().await[0]), waiting.id);
    let goodbye = proto::Goodbye {
        return_leases: true,
    };
    worker.say(0, Says::Goodbye(goodbye)).await;
    let left = world.reaches(&begun.id, TaskState::Pending).await;
    assert_eq!(left.gate.map(|gate| gate.kind()), Some(GateKind::LostLease));
    assert_eq!(left.attempts[0].outcome(), AttemptOutcome::Returned);
    assert_eq!(left.lost_lease_count, 0);
    assert_eq!(id_of(&world.lease_one(agent).await), waiting.id);
}
