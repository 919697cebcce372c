//! Whose answer counts, and when.

use reeve_contracts::task::v1::{self as proto, GateDecision, GateKind, GateState, TaskState};
use reeve_ids::{GateId, TenantId};
use reeve_status::{Code, Reason};
use serde_json::json;

use super::*;

const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn only_a_person_answers_and_only_in_their_tenant() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let (task, gate) = world
        .gated(agent, spec("lint"), gate_of(GateKind::Input))
        .await;
    let answer = || input(&gate, json!({}));
    let machine = world.authenticator.agent_key(world.tenant, &["*"]);
    let refusal = world.answer_as(&machine, answer()).await;
    refused(refusal, Code::PermissionDenied, Reason::PrincipalForbidden);
    let service = world
        .gates()
        .answer_gate(world.ask_as_service(answer()))
        .await;
    refused(service, Code::PermissionDenied, Reason::PrincipalForbidden);
    let reader = world
        .authenticator
        .key(world.tenant, &["tasks.read", "tasks.cancel"]);
    let refusal = world.answer_as(&reader, answer()).await;
    refused(refusal, Code::PermissionDenied, Reason::PermissionMissing);
    let stranger = world.authenticator.admin(TenantId::new());
    let refusal = world.answer_as(&stranger, answer()).await;
    refused(refusal, Code::NotFound, Reason::ResourceNotFound);
    let other = world.create(spec("test")).await;
    for wrong in [
        proto::AnswerGateRequest {
            task_id: other.id.clone(),
            ..answer()
        },
        proto::AnswerGateRequest {
            gate_id: GateId::new().to_string(),
            ..answer()
        },
    ] {
        let refusal = world.answer(wrong).await;
        refused(refusal, Code::NotFound, Reason::ResourceNotFound);
    }
    let after = world.get(&task.id).await;
    assert_eq!(after.etag, task.etag, "nothing changed");
    let key = world.authenticator.key(world.tenant, &["tasks.answer"]);
    world
        .answer_as(&key, answer())
        .await
        .expect("that is enough");
}

#[tokio::test]
async fn the_same_answer_may_be_repeated_and_another_may_not() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let (task, gate) = world
        .gated(agent, spec("lint"), gate_of(GateKind::Approval))
        .await;
    let yes = proto::AnswerGateRequest {
        request_id: "once".to_owned(),
        etag: task.etag.clone(),
        ..decision(&gate, GateDecision::Approve)
    };
    let stale = proto::AnswerGateRequest {
        etag: "1".to_owned(),
        ..yes.clone()
    };
    let refusal = world.answer(stale).await;
    refused(refusal, Code::Aborted, Reason::EtagMismatch);
    let (one, two) = (world.person(), world.person());
    let first = world.answer_as(&one, yes.clone()).await.expect("it counts");
    assert_eq!(first.state(), TaskState::Pending);
    world
        .answer_as(&one, yes.clone())
        .await
        .expect("the same request");
    world
        .answer_as(&two, yes.clone())
        .await
        .expect("whoever sends it");
    let unnamed = decision(&gate, GateDecision::Approve);
    world
        .answer_as(&one, unnamed.clone())
        .await
        .expect("the same answer");
    let closed = |answer| refused(answer, Code::FailedPrecondition, Reason::GateClosed);
    let fault = closed(world.answer_as(&two, unnamed).await);
    assert_eq!(
        fault.metadata().get("state").map(String::as_str),
        Some("ANSWERED")
    );
    let no = decision(&gate, GateDecision::Reject);
    closed(world.answer_as(&one, no.clone()).await);
    let reused = proto::AnswerGateRequest {
        request_id: "once".to_owned(),
        ..no
    };
    let refusal = world.answer_as(&one, reused).await;
    refused(refusal, Code::FailedPrecondition, Reason::RequestIdReused);
    let story = world.story(&task.id, "task.gate_answered").await;
    assert_eq!(
        story
            .iter()
            .filter(|kind| *kind == "task.gate_answered")
            .count(),
        1
    );
    // Also when the task is over.
    let lease = world.lease_one(agent).await;
    world
        .complete(&lease.lease_token)
        .await
        .expect("it completes");
    world.answer_as(&one, yes).await.expect("even then");
}

#[tokio::test]
async fn of_two_people_at_once_one_decides() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let (task, gate) = world
        .gated(agent, spec("lint"), gate_of(GateKind::Approval))
        .await;
    let people: Vec<_> = (0..6).map(|_| world.person()).collect();
    let answers = people.iter().enumerate().map(|(at, person)| {
        let said = [GateDecision::Approve, GateDecision::Reject][at % 2];
        world.answer_as(person, decision(&gate, said))
    });
    let answers = futures::future::join_all(answers).await;
    let counted = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(counted, 1, "{answers:?}");
    for answer in answers.into_iter().filter(Result::is_err) {
        refused(answer, Code::FailedPrecondition, Reason::GateClosed);
    }
    let closed = world.get(&task.id).await.closed_gates;
    assert_eq!((closed.len(), closed[0].state()), (1, GateState::Answered));
}

#[tokio::test]
async fn who_decides_names_what_they_saw() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let bound = proto::GateSpec {
        content_digest: DIGEST.to_owned(),
        ..gate_of(GateKind::Approval)
    };
    let (_, gate) = world.gated(agent, spec("lint"), bound).await;
    assert_eq!(gate.content_digest, DIGEST);
    let yes = |seen: &str| proto::AnswerGateRequest {
        seen_digest: seen.to_owned(),
        ..decision(&gate, GateDecision::Approve)
    };
    let fault = refused(
        world.answer(yes("")).await,
        Code::InvalidArgument,
        Reason::ValidationFailed,
    );
    assert_eq!(fields(&fault), ["seen_digest"]);
    let other = DIGEST.replace('0', "1");
    refused(
        world.answer(yes(&other)).await,
        Code::Aborted,
        Reason::DigestMismatch,
    );
    world.answer(yes(DIGEST)).await.expect("that is it");
}

#[tokio::test]
async fn an_answer_that_does_not_suit_names_every_wrong_field() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let asks = proto::GateSpec {
        answer_schema: structure(json!({
            "type": "object",
            "properties": {"region": {"enum": ["eu", "us"]}, "nodes": {"type": "integer"}},
            "required": ["region"],
            "additionalProperties": false,
        })),
        ..gate_of(GateKind::Input)
    };
    let (_, gate) = world.gated(agent, spec("lint"), asks).await;
    let invalid = |answer| refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    let wrong = input(&gate, json!({"region": "mars", "nodes": "many"}));
    let fault = invalid(world.answer(wrong).await);
    assert_eq!(
        fields(&fault),
        ["answer.input.nodes", "answer.input.region"]
    );
    let fault = invalid(world.answer(decision(&gate, GateDecision::Approve)).await);
    assert_eq!(fields(&fault), ["answer"]);
    let malformed = proto::AnswerGateRequest {
        task_id: "t".to_owned(),
        gate_id: "g".to_owned(),
        etag: "x".to_owned(),
        request_id: "x".repeat(129),
        seen_digest: "abc".to_owned(),
        answer: Some(proto::GateAnswer {
            answer: Some(Said::Decision(9)),
            comment: "x".repeat(4_097),
            result: structure(json!({})),
        }),
    };
    let fault = invalid(world.answer(malformed).await);
    assert_eq!(
        fields(&fault),
        [
            "answer.comment",
            "answer.decision",
            "answer.result",
            "etag",
            "gate_id",
            "request_id",
            "seen_digest",
            "task_id"
        ]
    );
    let empty = proto::AnswerGateRequest {
        answer: Some(proto::GateAnswer::default()),
        ..input(&gate, json!({}))
    };
    assert_eq!(
        fields(&invalid(world.answer(empty).await)),
        ["answer.input"]
    );
    let none = proto::AnswerGateRequest {
        answer: None,
        ..input(&gate, json!({}))
    };
    assert_eq!(fields(&invalid(world.answer(none).await)), ["answer"]);
    let long = input(&gate, json!({"region": "x".repeat(32 * 1_024)}));
    assert_eq!(fields(&invalid(world.answer(long).await)), ["answer.input"]);
    world
        .answer(input(&gate, json!({"region": "eu"})))
        .await
        .expect("that suits");
}
