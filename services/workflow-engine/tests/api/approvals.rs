//! Decisions of people.

use reeve_contracts::workflow::v1::{self as wire, ApprovalDecision, ApprovalState, StepState};
use reeve_status::{Code, Fault, Reason};
use reeve_testkit::{authorize, eventually};
use serde_json::json;

use crate::harness::{AGENT, World, fields, refused, seconds, task, workflow};

/// generate -> approve -> apply.
fn guarded(extra: serde_json::Value, applied: &str) -> wire::Workflow {
    let mut config = json!({"subject": "${{ steps.generate.output.files }}", "title": "Apply?"});
    let members = config.as_object_mut().expect("an object");
    members.extend(extra.as_object().expect("an object").clone());
    let approve = wire::WorkflowStep {
        id: "approve".into(),
        r#type: wire::StepType::Approval.into(),
        dependencies: vec!["generate".into()],
        config: fields(config),
        ..Default::default()
    };
    let mut apply = task("apply", &["approve"]);
    apply.requires_approval = "approve".into();
    apply.input = fields(json!({"artifact": applied}));
    workflow("guarded", vec![task("generate", &[]), approve, apply])
}

const SAME: &str = "${{ steps.generate.output.files }}";

async fn asked(world: &World, definition: wire::Workflow) -> (String, wire::Approval) {
    let id = world.run(definition, json!({})).await;
    let result = json!({"files": {"a.yaml": "kind: Pod"}, "other": {}});
    world.complete(&id, "generate", result).await;
    let approval_id = world.step(&id, "approve").await.approval_id;
    (id, get(world, &approval_id).await)
}

async fn get(world: &World, id: &str) -> wire::Approval {
    let request = wire::GetApprovalRequest {
        approval_id: id.into(),
    };
    let answer = world.approvals().get_approval(world.ask(request)).await;
    answer
        .expect("an approval")
        .into_inner()
        .approval
        .expect("an approval")
}

fn decision(approval: &wire::Approval, decision: ApprovalDecision) -> wire::DecideApprovalRequest {
    wire::DecideApprovalRequest {
        approval_id: approval.id.clone(),
        decision: decision.into(),
        seen_digest: approval.subject_digest.clone(),
        comment: "looked at it".into(),
    }
}

async fn decide(
    world: &World,
    key: &str,
    request: wire::DecideApprovalRequest,
) -> Result<wire::Approval, Fault> {
    let answer = world
        .approvals()
        .decide_approval(authorize(key, request))
        .await;
    let answer = answer.map_err(|status| Fault::from(&status))?;
    Ok(answer.into_inner().approval.expect("an approval"))
}

#[tokio::test]
async fn what_a_person_saw_is_what_is_applied() {
    let world = World::start().await;
    let (id, approval) = asked(&world, guarded(json!({}), SAME)).await;
    assert_eq!(approval.state(), ApprovalState::Pending);
    assert_eq!(
        (approval.title.as_str(), approval.workflow_name.as_str()),
        ("Apply?", "guarded")
    );
    assert_eq!(approval.producers, [AGENT]);
    assert!(approval.subject.is_some() && approval.subject_digest.len() == 64);
    let (execution, _) = world.get(&id).await;
    assert_eq!(execution.phase(), wire::ExecutionPhase::AwaitingApproval);
    let request = decision(&approval, ApprovalDecision::Approve);
    let decided = decide(&world, &world.admin, request.clone())
        .await
        .expect("approved");
    assert_eq!(
        (decided.state(), decided.comment.as_str()),
        (ApprovalState::Approved, "looked at it")
    );
    assert!(decided.decided_by.starts_with("key:") && decided.subject.is_none());
    assert_eq!(world.step_state(&id, "apply").await, StepState::Dispatched);
    // The same decision again is the same; another is too late.
    let again = decide(&world, &world.admin, request)
        .await
        .expect("repeated");
    assert_eq!(again, decided);
    let reject = decision(&approval, ApprovalDecision::Reject);
    let fault = decide(&world, &world.admin, reject)
        .await
        .expect_err("decided twice");
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::FailedPrecondition, Reason::ApprovalClosed)
    );
    world.finish().await;
}

#[tokio::test]
async fn a_stale_digest_decides_nothing() {
    let world = World::start().await;
    let (id, approval) = asked(&world, guarded(json!({}), SAME)).await;
    let mut request = decision(&approval, ApprovalDecision::Approve);
    request.seen_digest = "0".repeat(64);
    let fault = decide(&world, &world.admin, request)
        .await
        .expect_err("approved");
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::Aborted, Reason::DigestMismatch)
    );
    assert_eq!(
        fault.metadata().get("subject_digest"),
        Some(&approval.subject_digest)
    );
    assert_eq!(
        world.step_state(&id, "approve").await,
        StepState::WaitingApproval
    );
    world.finish().await;
}

#[tokio::test]
async fn an_artifact_other_than_the_approved_one_is_not_dispatched() {
    let world = World::start().await;
    let definition = guarded(json!({}), "${{ steps.generate.output.other }}");
    let (id, approval) = asked(&world, definition).await;
    let request = decision(&approval, ApprovalDecision::Approve);
    decide(&world, &world.admin, request)
        .await
        .expect("approved");
    let apply = world.step(&id, "apply").await;
    assert_eq!((apply.state(), apply.attempt), (StepState::Failed, 0));
    assert_eq!(
        apply.error.map(|error| error.class).as_deref(),
        Some("DIGEST_MISMATCH")
    );
    world.finish().await;
}

#[tokio::test]
async fn nobody_decides_about_their_own_work() {
    let world = World::start().await;
    let (_, approval) = asked(&world, guarded(json!({"forbid_initiator": true}), SAME)).await;
    let request = decision(&approval, ApprovalDecision::Approve);
    let fault = decide(&world, &world.admin, request.clone())
        .await
        .expect_err("approved");
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::PermissionDenied, Reason::SelfApproval)
    );
    // Who produced the artifact may not, whoever they are: the database would refuse it too.
    let mut admin = world.database.admin().await;
    let cheat = sqlx::query(
        "update workflow_engine.approval
         set state = 'APPROVED', decided_by = 'key:the-agent', decide_time = now()",
    );
    assert!(
        cheat.execute(&mut admin).await.is_err(),
        "the database took it"
    );
    let agent = world.auth.agent_key(world.tenant, &["approvals.decide"]);
    let fault = decide(&world, &agent, request.clone())
        .await
        .expect_err("approved");
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::PermissionDenied, Reason::PrincipalForbidden)
    );
    let unprivileged = world.auth.key(world.tenant, &["approvals.read"]);
    let fault = decide(&world, &unprivileged, request.clone())
        .await
        .expect_err("approved");
    assert_eq!(fault.reason(), Reason::PermissionMissing);
    let lead = world.auth.key(world.tenant, &["approvals.decide"]);
    decide(&world, &lead, request)
        .await
        .expect("a second person may");
    world.finish().await;
}

#[tokio::test]
async fn a_rejection_ends_the_run_with_its_reason() {
    let world = World::start().await;
    let (id, approval) = asked(&world, guarded(json!({}), SAME)).await;
    let request = decision(&approval, ApprovalDecision::Reject);
    decide(&world, &world.admin, request)
        .await
        .expect("rejected");
    let (execution, _) = world.get(&id).await;
    let error = execution.error.clone().expect("an error");
    assert_eq!(
        (execution.state(), error.class.as_str()),
        (wire::ExecutionState::Failed, "REJECTED")
    );
    assert!(error.message.contains("looked at it"));
    assert_eq!(
        get(&world, &approval.id).await.state(),
        ApprovalState::Rejected
    );
    world.finish().await;
}

#[tokio::test]
async fn an_approval_expires_and_goes_with_its_execution() {
    let world = World::start().await;
    let mut definition = guarded(json!({}), SAME);
    definition.steps[1].timeout = seconds(1);
    let (id, approval) = asked(&world, definition).await;
    eventually(|| async { get(&world, &approval.id).await.state() == ApprovalState::Expired })
        .await;
    assert_eq!(world.state(&id).await, wire::ExecutionState::Failed);
    let request = decision(&approval, ApprovalDecision::Approve);
    let fault = decide(&world, &world.admin, request)
        .await
        .expect_err("approved");
    assert_eq!(fault.reason(), Reason::ApprovalClosed);

    let (id, approval) = asked(&world, guarded(json!({}), SAME)).await;
    let cancel = wire::CancelExecutionRequest {
        execution_id: id.clone(),
        ..Default::default()
    };
    world
        .workflows()
        .cancel_execution(world.ask(cancel))
        .await
        .expect("cancelled");
    assert_eq!(world.state(&id).await, wire::ExecutionState::Cancelled);
    assert_eq!(
        get(&world, &approval.id).await.state(),
        ApprovalState::Cancelled
    );
    world.finish().await;
}

#[tokio::test]
async fn what_waits_for_a_decision_is_listed() {
    let world = World::start().await;
    let (first, approval) = asked(&world, guarded(json!({}), SAME)).await;
    let (_, newer) = asked(&world, guarded(json!({}), SAME)).await;
    decide(
        &world,
        &world.admin,
        decision(&newer, ApprovalDecision::Approve),
    )
    .await
    .expect("done");
    let list = |request: wire::ListApprovalsRequest| async {
        let answer = world.approvals().list_approvals(world.ask(request)).await;
        answer.expect("a page").into_inner().approvals
    };
    let all = list(wire::ListApprovalsRequest::default()).await;
    assert_eq!(
        all.iter().map(|it| &it.id).collect::<Vec<_>>(),
        [&newer.id, &approval.id]
    );
    assert!(all.iter().all(|it| it.subject.is_none()));
    let states = vec![ApprovalState::Pending.into()];
    let pending = list(wire::ListApprovalsRequest {
        states,
        ..Default::default()
    })
    .await;
    assert_eq!(
        pending.iter().map(|it| &it.id).collect::<Vec<_>>(),
        [&approval.id]
    );
    let of = wire::ListApprovalsRequest {
        execution_id: first,
        ..Default::default()
    };
    assert_eq!(list(of).await.len(), 1);
    let bad = wire::ListApprovalsRequest {
        states: vec![0, 42],
        ..Default::default()
    };
    let fault = refused(world.approvals().list_approvals(world.ask(bad)).await);
    assert_eq!(fault.violations().len(), 2);
    world.finish().await;
}
