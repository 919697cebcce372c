//! An agent asks, waits without a lease, and goes on with the answer.

use reeve_contracts::task::v1::work_request::Message as Says;
use reeve_contracts::task::v1::{
    self as proto, AttemptOutcome, GateDecision, GateKind, GateState, PendingReason, TaskState,
};
use reeve_status::{Code, Reason};
use serde_json::json;

use super::*;
use crate::worker::{Worker, completion};

#[tokio::test]
async fn an_agent_asks_and_the_next_lease_has_the_answer() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(spec("lint")).await;
    let lease = world.lease_one(agent).await;
    let request = proto::SuspendTaskRequest {
        checkpoint: structure(json!({"step": 3})),
        ..suspension(&lease.lease_token, gate_of(GateKind::Input))
    };
    let suspended = world.suspend(request.clone()).await.expect("it waits");
    assert_eq!(suspended.state(), TaskState::Pending);

    let waits = world.get(&created.id).await;
    assert_eq!(waits.state(), TaskState::Pending);
    assert_eq!(waits.pending_reason(), PendingReason::AwaitingInput);
    assert_eq!((waits.failure_count, waits.lost_lease_count), (0, 0));
    assert_eq!(waits.attempts[0].outcome(), AttemptOutcome::Suspended);
    let gate = waits.gate.expect("it is open");
    assert_eq!(
        (gate.id.clone(), gate.state()),
        (suspended.gate_id.clone(), GateState::Open)
    );
    assert_eq!(gate.agent_id, agent.to_string());
    assert_eq!(world.suspend(request).await.expect("again"), suspended);
    let none = proto::LeaseTasksRequest {
        wait_duration: None,
        ..lease_of(agent, 1)
    };
    assert!(world.lease_as(none).await.is_empty());

    let answered = world.answer(input(&gate, json!({"region": "eu"}))).await;
    let answered = answered.expect("it is answered");
    assert!(answered.gate.is_none());
    assert_eq!(answered.closed_gates[0].state(), GateState::Answered);
    let again = world.lease_one(agent).await;
    assert_eq!((id_of(&again), again.attempt), (created.id.as_str(), 2));
    assert_eq!(json_of(&again.checkpoint), json!({"step": 3}));
    let said = again.gate_answers[0].answer.clone().expect("the answer");
    let Some(Said::Input(said)) = said.answer else {
        panic!("{said:?} is no input");
    };
    assert_eq!(
        reeve_wellknown::json_from_struct(said),
        json!({"region": "eu"})
    );
    world
        .complete(&again.lease_token)
        .await
        .expect("it completes");
    let story = world.story(&created.id, "task.completed").await;
    let told: Vec<_> = story.iter().map(String::as_str).collect();
    assert_eq!(
        told,
        [
            "task.created",
            "task.assigned",
            "task.suspended",
            "task.gate_opened",
            "task.gate_answered",
            "task.assigned",
            "task.completed"
        ]
    );
}

#[tokio::test]
async fn what_is_not_allowed_is_a_dead_letter() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let (task, gate) = world
        .gated(agent, spec("lint"), gate_of(GateKind::Approval))
        .await;
    assert_eq!(task.pending_reason(), PendingReason::AwaitingApproval);
    let own = world
        .answer_as(&world.admin, decision(&gate, GateDecision::Approve))
        .await;
    refused(own, Code::PermissionDenied, Reason::SelfApproval);
    let rejected = world.answer(decision(&gate, GateDecision::Reject)).await;
    let rejected = rejected.expect("it is rejected");
    assert_eq!((rejected.state(), rejected.dead), (TaskState::Failed, true));
    let error = rejected.error.expect("why");
    assert_eq!(error.code, "APPROVAL_REJECTED");
}

#[tokio::test]
async fn a_suspended_lease_is_void() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    world.create(spec("lint")).await;
    let lease = world.lease_one(agent).await;
    let request = suspension(&lease.lease_token, gate_of(GateKind::Input));
    let first = world.suspend(request.clone()).await.expect("it waits");
    let lost = |answer| refused(answer, Code::FailedPrecondition, Reason::LeaseLost);
    lost(world.complete(&lease.lease_token).await.map(drop));
    lost(world.fail(&lease.lease_token, true).await.map(drop));
    let report = proto::ReportProgressRequest {
        lease_token: lease.lease_token.clone(),
        ..Default::default()
    };
    let report = world.work().report_progress(world.ask(report)).await;
    lost(report.map(drop));
    let renew = proto::RenewLeasesRequest {
        lease_tokens: vec![lease.lease_token.clone()],
        ..Default::default()
    };
    let renewed = world.work().renew_leases(world.ask(renew)).await;
    let renewed = renewed.expect("a verdict").into_inner().renewals;
    assert_eq!(renewed[0].verdict(), proto::LeaseVerdict::Lost);
    // The answer to the same token stays the same, whatever became of the task.
    let cancelled = world.cancel(&world.get(id_of(&lease)).await.id).await;
    assert_eq!(
        cancelled.expect("it is cancelled").state(),
        TaskState::Cancelled
    );
    assert_eq!(world.suspend(request).await.expect("again"), first);
    // An attempt that ended otherwise cannot be suspended.
    world.create(spec("lint")).await;
    let lease = world.lease_one(agent).await;
    world
        .fail(&lease.lease_token, false)
        .await
        .expect("it fails");
    let request = suspension(&lease.lease_token, gate_of(GateKind::Input));
    lost(world.suspend(request).await.map(drop));
}

#[tokio::test]
async fn who_is_to_let_go_cannot_wait() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(spec("lint")).await;
    let lease = world.lease_one(agent).await;
    world.cancel(&created.id).await.expect("it is asked to");
    let request = suspension(&lease.lease_token, gate_of(GateKind::Input));
    let answer = world.suspend(request.clone()).await.expect("it lets go");
    assert_eq!(answer.state(), TaskState::Cancelled);
    assert!(answer.gate_id.is_empty());
    let task = world.get(&created.id).await;
    assert_eq!(task.state(), TaskState::Cancelled);
    assert!(task.gate.is_none() && task.closed_gates.is_empty());
    assert_eq!(world.suspend(request).await.expect("again"), answer);
}

#[tokio::test]
async fn tasks_are_suspended_on_the_stream() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let mut worker = Worker::greet(&world, agent).await;
    let ids = world.create_many(spec("lint"), 2).await;
    worker.credit(2).await;
    let mut leases = Vec::new();
    while leases.len() < 2 {
        leases.extend(worker.assigned().await);
    }
    let item = |at: usize| suspension(&leases[at].lease_token, gate_of(GateKind::Input));
    let items = vec![
        item(0),
        suspension(&leases[1].lease_token, proto::GateSpec::default()),
    ];
    let ack = worker
        .tell(Says::Suspend(proto::SuspendBatch { items }))
        .await;
    assert_eq!(ack.failures.len(), 1);
    assert_eq!(
        (ack.failures[0].index, ack.failures[0].reason.as_str()),
        (1, "VALIDATION_FAILED")
    );
    let states: Vec<_> = ack.states().collect();
    assert_eq!(states, [TaskState::Pending]);
    // What it suspended it does not hold any more; what was refused it does.
    let lease_tokens = leases
        .iter()
        .map(|lease| lease.lease_token.clone())
        .collect();
    let ack = worker
        .tell(Says::Heartbeat(proto::Heartbeat { lease_tokens }))
        .await;
    assert_eq!(ack.renewals.len(), 1);
    assert_eq!(ack.renewals[0].lease_token, leases[0].lease_token);
    assert_eq!(ack.renewals[0].verdict(), proto::LeaseVerdict::Lost);
    let gate = world.get(id_of(&leases[0])).await.gate.expect("it is open");
    assert!(ids.contains(&gate.task_id));
    // The answer comes back on the stream.
    worker.credit(1).await;
    world
        .answer(input(&gate, json!({"x": 1})))
        .await
        .expect("it is answered");
    let again = worker.assigned().await.remove(0);
    assert_eq!(id_of(&again), gate.task_id);
    assert_eq!(again.gate_answers.len(), 1);
    let items = vec![completion(&again.lease_token)];
    let ack = worker
        .tell(Says::Complete(proto::CompleteBatch { items }))
        .await;
    assert!(ack.failures.is_empty());
    let empty = proto::SuspendBatch::default();
    worker.say(9, Says::Suspend(empty)).await;
    let status = worker.next().await.expect_err("it is malformed");
    let fault = reeve_status::Fault::from(&status);
    assert_eq!(fault.reason(), Reason::ValidationFailed);
}

#[tokio::test]
async fn a_suspension_names_every_wrong_field() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(spec("lint")).await;
    let lease = world.lease_one(agent).await;
    let token = lease.lease_token.as_str();
    let invalid = |answer| refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    let fault = invalid(world.suspend(Default::default()).await);
    assert_eq!(fields(&fault), ["gate", "lease_token"]);
    let wrong = proto::GateSpec {
        kind: GateKind::LostLease.into(),
        prompt: "x".repeat(4_097),
        answer_schema: structure(json!({"type": "nothing"})),
        content_digest: "beef".to_owned(),
        expire_duration: Some(seconds(0)),
        expiry: 9,
    };
    let request = proto::SuspendTaskRequest {
        checkpoint: structure(json!({"nul": "a\u{0}b"})),
        usage: vec![proto::Usage {
            input_tokens: -1,
            ..Default::default()
        }],
        ..suspension(token, wrong)
    };
    let fault = invalid(world.suspend(request).await);
    let expected = [
        "checkpoint",
        "gate.answer_schema.type",
        "gate.content_digest",
        "gate.expire_duration",
        "gate.expiry",
        "gate.kind",
        "gate.prompt",
        "usage[0].input_tokens",
    ];
    assert_eq!(fields(&fault), expected);
    let approval = proto::GateSpec {
        answer_schema: structure(json!({})),
        expire_duration: Some(seconds(30 * 86_400 + 1)),
        expiry: proto::GateExpiry::Proceed.into(),
        prompt: String::new(),
        ..gate_of(GateKind::Approval)
    };
    let fault = invalid(world.suspend(suspension(token, approval)).await);
    let expected = [
        "gate.answer_schema",
        "gate.expire_duration",
        "gate.expiry",
        "gate.prompt",
    ];
    assert_eq!(fields(&fault), expected);
    let asks = proto::GateSpec {
        content_digest: "ab".repeat(32),
        expiry: proto::GateExpiry::Fail.into(),
        ..gate_of(GateKind::Input)
    };
    let fault = invalid(world.suspend(suspension(token, asks)).await);
    assert_eq!(fields(&fault), ["gate.content_digest", "gate.expiry"]);
    let costly = proto::GateSpec {
        answer_schema: structure(json!({"properties": {"a": {"pattern": "(a{1,1000}){1,1000}"}}})),
        ..gate_of(GateKind::Input)
    };
    let fault = invalid(world.suspend(suspension(token, costly)).await);
    assert_eq!(fields(&fault), ["gate.answer_schema.properties.a.pattern"]);
    assert_eq!(world.get(&created.id).await.state(), TaskState::Assigned);
}

#[tokio::test]
async fn an_agent_that_asks_on_and_on_is_stopped() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(spec("lint")).await;
    let lease = world.lease_one(agent).await;
    let mut admin = world.database.admin().await;
    sqlx::query("update task_queue.task_run set gates = 100")
        .execute(&mut admin)
        .await
        .expect("an administrator may do anything");
    let request = suspension(&lease.lease_token, gate_of(GateKind::Input));
    let answer = world.suspend(request).await;
    let fault = refused(answer, Code::ResourceExhausted, Reason::LimitReached);
    assert_eq!(
        fault.metadata().get("limit").map(String::as_str),
        Some("100")
    );
    assert_eq!(world.get(&created.id).await.state(), TaskState::Assigned);
    world
        .complete(&lease.lease_token)
        .await
        .expect("it still holds it");
}

#[tokio::test]
async fn each_attempt_has_its_own_hold_and_none_is_had_meanwhile() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(crate::budgets::costly()).await;
    let lease = world.lease_one(agent).await;
    let first = lease.task.clone().expect("its task").hold_id;
    let usage = proto::Usage {
        model: "m1".to_owned(),
        output_tokens: 7,
        ..Default::default()
    };
    let request = proto::SuspendTaskRequest {
        usage: vec![usage],
        ..suspension(&lease.lease_token, gate_of(GateKind::Input))
    };
    world.suspend(request).await.expect("it waits");
    let waits = world.get(&created.id).await;
    assert!(waits.hold_id.is_empty(), "it ended with the attempt");
    assert_eq!(waits.attempts[0].usage[0].output_tokens, 7);
    world.next_tick("admission").await;
    assert_eq!(
        world.known().holds_of(&created.id).len(),
        1,
        "no other is asked for"
    );
    assert_eq!(waits.pending_reason(), PendingReason::AwaitingInput);
    let gate = waits.gate.expect("it is open");
    world
        .answer(input(&gate, json!({})))
        .await
        .expect("it is answered");
    let again = world.lease_one(agent).await;
    let second = again.task.expect("its task").hold_id;
    assert!(!second.is_empty() && second != first);
    let events = world
        .events(|events| events.iter().any(|event| event.r#type == "task.suspended"))
        .await;
    let told = events.iter().find(|event| event.r#type == "task.suspended");
    let told = data(told.expect("just found"));
    assert_eq!(told["hold_id"], json!(first));
    assert_eq!(told["usage"][0]["output_tokens"], json!(7));
    assert_eq!(
        (&told["gate_kind"], &told["retry"]),
        (&json!("INPUT"), &json!(true))
    );
    assert!(told["duration_seconds"].is_string());
}

#[tokio::test]
async fn a_schema_that_no_answer_can_match_is_refused() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    world.create(spec("lint")).await;
    let lease = world.lease_one(agent).await;
    let asks = |schema| {
        let gate = proto::GateSpec {
            answer_schema: structure(schema),
            ..gate_of(GateKind::Input)
        };
        world.suspend(suspension(&lease.lease_token, gate))
    };
    for never in [
        json!({"type": "string"}),
        json!({"type": ["null", "array"]}),
    ] {
        let answer = asks(never).await;
        let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
        assert_eq!(fields(&fault), ["gate.answer_schema.type"]);
    }
    let either = asks(json!({"type": ["null", "object"]})).await;
    either.expect("an object matches");
}
