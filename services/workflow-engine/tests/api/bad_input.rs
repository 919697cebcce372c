//! Wrong requests: all wrong fields at once, and nothing changes.

use reeve_contracts::workflow::v1 as wire;
use reeve_status::{Code, Fault, Reason};
use serde_json::json;

use crate::harness::{World, fields, refused, task, workflow};

fn violated(fault: &Fault) -> Vec<&str> {
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::InvalidArgument, Reason::ValidationFailed)
    );
    let mut fields: Vec<_> = fault
        .violations()
        .iter()
        .map(|it| it.field.as_str())
        .collect();
    fields.sort_unstable();
    fields
}

#[tokio::test]
async fn every_wrong_field_of_a_start_is_named() {
    let world = World::start().await;
    let request = wire::StartExecutionRequest {
        request_id: "x".repeat(129),
        workflow_id: "not-a-uuid".into(),
        workflow_version: -1,
        input: fields(json!({"x": "y".repeat(300_000)})),
        labels: [("Bad Key".to_owned(), "x".repeat(256))].into(),
        project_id: "p".into(),
        budget_id: "b".into(),
        priority: 99,
        ..Default::default()
    };
    let fault = world.start_with(request).await.expect_err("it started");
    assert_eq!(
        violated(&fault),
        [
            "budget_id",
            "input",
            "labels.Bad Key",
            "labels.Bad Key",
            "priority",
            "project_id",
            "request_id",
            "workflow_id",
            "workflow_version",
        ]
    );
    let nothing = world
        .start_with(wire::StartExecutionRequest::default())
        .await;
    assert_eq!(violated(&nothing.expect_err("it started")), ["workflow_id"]);
    world.finish().await;
}

#[tokio::test]
async fn malformed_ids_are_not_not_found() {
    let world = World::start().await;
    let mut client = world.workflows();
    let execution_id = || "7".to_owned();
    let get = wire::GetExecutionRequest {
        execution_id: execution_id(),
        ..Default::default()
    };
    assert_eq!(
        violated(&refused(client.get_execution(world.ask(get)).await)),
        ["execution_id"]
    );
    let reason = "x".repeat(1_001);
    let cancel = wire::CancelExecutionRequest {
        execution_id: execution_id(),
        reason,
        etag: "x".into(),
    };
    let fault = refused(client.cancel_execution(world.ask(cancel)).await);
    assert_eq!(violated(&fault), ["etag", "execution_id", "reason"]);
    let decide = wire::DecideApprovalRequest {
        approval_id: String::new(),
        decision: 9,
        seen_digest: "abc".into(),
        comment: "x".repeat(4_001),
    };
    let fault = refused(world.approvals().decide_approval(world.ask(decide)).await);
    assert_eq!(
        violated(&fault),
        ["approval_id", "comment", "decision", "seen_digest"]
    );
    world.finish().await;
}

#[tokio::test]
async fn lists_refuse_what_they_do_not_know() {
    let world = World::start().await;
    let mut client = world.workflows();
    let request = wire::ListExecutionsRequest {
        states: vec![0, 42],
        workflow_id: "x".into(),
        ..Default::default()
    };
    let fault = refused(client.list_executions(world.ask(request)).await);
    assert_eq!(violated(&fault), ["states[0]", "states[1]", "workflow_id"]);
    let request = wire::ListExecutionsRequest {
        page_size: -1,
        ..Default::default()
    };
    assert_eq!(
        violated(&refused(client.list_executions(world.ask(request)).await)),
        ["page_size"]
    );
    let request = wire::ListExecutionsRequest {
        page_token: "garbage".into(),
        ..Default::default()
    };
    let fault = refused(client.list_executions(world.ask(request)).await);
    assert_eq!(fault.reason(), Reason::PageTokenInvalid);
    world.finish().await;
}

#[tokio::test]
async fn every_wrong_field_of_a_list_is_named() {
    let world = World::start().await;
    let mut client = world.workflows();
    let (page_size, page_token) = (-1, "garbage".to_owned());
    let executions = wire::ListExecutionsRequest {
        states: vec![42],
        workflow_id: "x".into(),
        page_size,
        page_token: page_token.clone(),
        ..Default::default()
    };
    let fault = refused(client.list_executions(world.ask(executions)).await);
    let both = ["page_size", "page_token"];
    assert_eq!(
        violated(&fault),
        [&both[..], &["states[0]", "workflow_id"]].concat()
    );
    let approvals = wire::ListApprovalsRequest {
        states: vec![42],
        execution_id: "x".into(),
        page_size,
        page_token: page_token.clone(),
    };
    let fault = refused(world.approvals().list_approvals(world.ask(approvals)).await);
    assert_eq!(
        violated(&fault),
        [&["execution_id"], &both[..], &["states[0]"]].concat()
    );
    let workflows = wire::ListWorkflowsRequest {
        name_prefix: "x".repeat(129),
        tag: "x".repeat(65),
        page_size,
        page_token: page_token.clone(),
    };
    let fault = refused(client.list_workflows(world.ask(workflows)).await);
    assert_eq!(
        violated(&fault),
        [&["name_prefix"], &both[..], &["tag"]].concat()
    );
    let history = wire::GetHistoryRequest {
        execution_id: "x".into(),
        page_size,
        page_token,
    };
    let fault = refused(client.get_history(world.ask(history)).await);
    assert_eq!(violated(&fault), [&["execution_id"], &both[..]].concat());
    world.finish().await;
}

#[tokio::test]
async fn what_cannot_be_stored_is_a_wrong_field() {
    let world = World::start().await;
    let mut client = world.workflows();
    let id = world
        .run(workflow("w", vec![task("a", &[])]), json!({}))
        .await;
    let nul = || "a\0b".to_owned();
    let start = wire::StartExecutionRequest {
        request_id: nul(),
        workflow_name: nul(),
        input: fields(json!({"x": [nul()]})),
        context: fields(json!({nul(): 1})),
        labels: [("l".to_owned(), nul())].into(),
        ..Default::default()
    };
    let fault = world.start_with(start).await.expect_err("it started");
    assert_eq!(
        violated(&fault),
        [
            "context",
            "input",
            "labels.l",
            "request_id",
            "workflow_name"
        ]
    );
    let cancel = wire::CancelExecutionRequest {
        execution_id: id.clone(),
        reason: nul(),
        ..Default::default()
    };
    let fault = refused(client.cancel_execution(world.ask(cancel)).await);
    assert_eq!(violated(&fault), ["reason"]);
    let pause = wire::PauseExecutionRequest {
        execution_id: id,
        reason: nul(),
        ..Default::default()
    };
    let fault = refused(client.pause_execution(world.ask(pause)).await);
    assert_eq!(violated(&fault), ["reason"]);
    let decide = wire::DecideApprovalRequest {
        approval_id: reeve_ids::ApprovalId::new().to_string(),
        decision: 1,
        seen_digest: "0".repeat(64),
        comment: nul(),
    };
    let fault = refused(world.approvals().decide_approval(world.ask(decide)).await);
    assert_eq!(violated(&fault), ["comment"]);
    let get = wire::GetWorkflowRequest {
        name: nul(),
        ..Default::default()
    };
    let fault = refused(client.get_workflow(world.ask(get)).await);
    assert_eq!(violated(&fault), ["name"]);
    let list = wire::ListWorkflowsRequest {
        name_prefix: nul(),
        tag: nul(),
        ..Default::default()
    };
    let fault = refused(client.list_workflows(world.ask(list)).await);
    assert_eq!(violated(&fault), ["name_prefix", "tag"]);
    let forged = wire::ListWorkflowsRequest {
        page_token: reeve_postgres::page::encode(&nul(), &("", "")),
        ..Default::default()
    };
    let fault = refused(client.list_workflows(world.ask(forged)).await);
    assert_eq!(fault.reason(), Reason::PageTokenInvalid);
    world.finish().await;
}

#[tokio::test]
async fn a_definitions_faults_come_with_those_of_the_request() {
    let world = World::start().await;
    let mut step = task("a", &["nowhere"]);
    step.description = "a\0b".into();
    step.outputs = [("o".to_owned(), "'\\u0000'".to_owned())].into();
    let mut definition = workflow("w", vec![step]);
    definition.config = fields(json!({"x": "\0"}));
    let request = wire::CreateWorkflowRequest {
        request_id: "x".repeat(129),
        workflow: Some(definition),
    };
    let fault = refused(world.workflows().create_workflow(world.ask(request)).await);
    assert_eq!(fault.reason(), Reason::DefinitionInvalid);
    let mut found: Vec<_> = fault.violations().iter().map(|it| &it.field).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "request_id",
            "workflow.config",
            "workflow.steps[0].dependencies[0]",
            "workflow.steps[0].description",
        ]
    );
    world.finish().await;
}

#[tokio::test]
async fn a_call_needs_a_credential_and_its_permission() {
    let world = World::start().await;
    let mut client = world.workflows();
    let fault = refused(
        client
            .list_workflows(wire::ListWorkflowsRequest::default())
            .await,
    );
    assert_eq!(fault.code(), Code::Unauthenticated);
    let reader = world.auth.key(world.tenant, &["workflows.read"]);
    let request = wire::CreateWorkflowRequest::default();
    let fault = refused(
        client
            .create_workflow(reeve_testkit::authorize(&reader, request))
            .await,
    );
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::PermissionDenied, Reason::PermissionMissing)
    );
    world.finish().await;
}

#[tokio::test]
async fn an_empty_definition_is_refused_by_its_fields() {
    let world = World::start().await;
    let mut client = world.workflows();
    let none = wire::CreateWorkflowRequest::default();
    assert_eq!(
        violated(&refused(client.create_workflow(world.ask(none)).await)),
        ["workflow"]
    );
    let empty = wire::CreateWorkflowRequest {
        workflow: Some(wire::Workflow::default()),
        ..Default::default()
    };
    let fault = refused(client.create_workflow(world.ask(empty)).await);
    assert_eq!(fault.reason(), Reason::DefinitionInvalid);
    let fields: Vec<_> = fault
        .violations()
        .iter()
        .map(|it| it.field.as_str())
        .collect();
    assert_eq!(fields, ["workflow.type", "workflow.name", "workflow.steps"]);
    world.finish().await;
}
