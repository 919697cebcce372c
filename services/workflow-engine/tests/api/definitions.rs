//! Publishing, validating and finding definitions.

use reeve_contracts::workflow::v1 as wire;
use reeve_status::{Code, Reason};
use serde_json::json;

use crate::harness::{World, fields, refused, task, workflow};

fn two(name: &str) -> wire::Workflow {
    workflow(name, vec![task("a", &[]), task("b", &["a"])])
}

#[tokio::test]
async fn versions_are_numbered_and_content_decides_whether_there_is_a_new_one() {
    let world = World::start().await;
    let first = world.publish(two("deploy")).await;
    assert_eq!(
        (first.version, first.active, first.digest.len()),
        (1, true, 64)
    );
    let same = world.publish(two("deploy")).await;
    assert_eq!((same.version, &same.digest), (1, &first.digest));
    let changed = wire::Workflow {
        description: "more".into(),
        ..two("deploy")
    };
    let second = world.publish(changed).await;
    assert_eq!((second.version, &second.id), (2, &first.id));
    assert_ne!(second.digest, first.digest);
    let get = |version| wire::GetWorkflowRequest {
        name: "deploy".into(),
        version,
        ..Default::default()
    };
    let mut client = world.workflows();
    for (version, expected, active) in [(0, 2, true), (1, 1, false), (2, 2, true)] {
        let answer = client
            .get_workflow(world.ask(get(version)))
            .await
            .expect("a version");
        let found = answer.into_inner().workflow.expect("a workflow");
        assert_eq!(
            (found.version, found.active, found.steps.len()),
            (expected, active, 2)
        );
    }
    let missing = refused(client.get_workflow(world.ask(get(3))).await);
    assert_eq!(
        (missing.code(), missing.reason()),
        (Code::NotFound, Reason::ResourceNotFound)
    );
    world.finish().await;
}

#[tokio::test]
async fn every_field_comes_back() {
    let world = World::start().await;
    let mut step = task("a", &[]);
    step.name = "A step".into();
    step.description = "what it is for".into();
    step.capability = "cap".into();
    step.input = fields(json!({"n": 1.5, "x": ["${{ input.y }}", null, true]}));
    step.config = fields(json!({"queue": "slow"}));
    step.timeout = crate::harness::seconds(90);
    step.retries = 2;
    step.retry_policy = Some(wire::RetryPolicy {
        initial_delay: crate::harness::seconds(2),
        multiplier: 3.0,
        max_delay: crate::harness::seconds(60),
        jitter: Some(0.0),
        retry_on: vec!["TASK_FAILED".into()],
        never_on: vec!["LINT".into()],
    });
    step.continue_on_error = true;
    step.trigger_rule = wire::TriggerRule::AllEnded.into();
    step.on_failure = "f".into();
    step.when = "input.on".into();
    step.outputs = [("n".to_owned(), "result.n".to_owned())].into();
    step.retry_safety = wire::RetrySafety::Never.into();
    let sent = wire::Workflow {
        description: "all of it".into(),
        agents: fields(json!({"linter": "any"})),
        config: fields(json!({"k": "v"})),
        tags: vec!["k8s".into()],
        input_schema: fields(json!({"type": "object"})),
        output: fields(json!({"n": "${{ steps.a.output.n }}"})),
        timeout: crate::harness::seconds(3_600),
        fail_fast: true,
        ..workflow("whole", vec![step.clone(), task("f", &[])])
    };
    let got = world.publish(sent.clone()).await;
    assert_eq!(got.steps[0], step);
    let expected = wire::Workflow {
        id: got.id.clone(),
        version: 1,
        digest: got.digest.clone(),
        active: true,
        created_by: got.created_by.clone(),
        create_time: got.create_time,
        update_time: got.update_time,
        steps: got.steps.clone(),
        ..sent
    };
    assert_eq!(got, expected);
    assert!(got.created_by.starts_with("key:") && got.create_time.is_some());
    world.finish().await;
}

#[tokio::test]
async fn a_request_id_publishes_once() {
    let world = World::start().await;
    let request = |workflow| wire::CreateWorkflowRequest {
        request_id: "r-1".into(),
        workflow: Some(workflow),
    };
    let mut client = world.workflows();
    for _ in 0..2 {
        let answer = client.create_workflow(world.ask(request(two("a")))).await;
        assert_eq!(
            answer
                .expect("published")
                .into_inner()
                .workflow
                .expect("one")
                .version,
            1
        );
    }
    let fault = refused(client.create_workflow(world.ask(request(two("b")))).await);
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::FailedPrecondition, Reason::RequestIdReused)
    );
    world.finish().await;
}

#[tokio::test]
async fn a_request_id_finds_its_version_whatever_was_published_since() {
    let world = World::start().await;
    world.publish(two("a")).await;
    let request = |workflow| wire::CreateWorkflowRequest {
        request_id: "r-1".into(),
        workflow: Some(workflow),
    };
    let mut client = world.workflows();
    let answer = client.create_workflow(world.ask(request(two("a")))).await;
    let found = answer.expect("found").into_inner().workflow.expect("one");
    let second = wire::Workflow {
        description: "by somebody else".into(),
        ..two("a")
    };
    assert_eq!(world.publish(second.clone()).await.version, 2);
    // The first answer was lost, say.
    let answer = client.create_workflow(world.ask(request(two("a")))).await;
    let again = answer.expect("found").into_inner().workflow.expect("one");
    assert_eq!((found.version, again.version), (1, 1));
    assert!(found.active && !again.active);
    let fault = refused(client.create_workflow(world.ask(request(second))).await);
    assert_eq!(fault.reason(), Reason::RequestIdReused);
    world.finish().await;
}

#[tokio::test]
async fn a_list_leaves_out_what_may_be_large() {
    let world = World::start().await;
    let whole = wire::Workflow {
        description: "kept".into(),
        tags: vec!["kept".into()],
        agents: fields(json!({"a": "x".repeat(10_000)})),
        config: fields(json!({"c": 1})),
        input_schema: fields(json!({"type": "object"})),
        output: fields(json!({"o": 1})),
        ..two("large")
    };
    let published = world.publish(whole).await;
    let request = wire::ListWorkflowsRequest::default();
    let answer = world.workflows().list_workflows(world.ask(request)).await;
    let expected = wire::Workflow {
        steps: Vec::new(),
        agents: None,
        config: None,
        input_schema: None,
        output: None,
        ..published
    };
    assert_eq!(answer.expect("a page").into_inner().workflows, [expected]);
    world.finish().await;
}

#[tokio::test]
async fn expensive_definitions_are_answered_in_time() {
    let world = World::start().await;
    let grown = |letter: &str| letter.repeat(900);
    let mut step = task("a", &[]);
    step.when = format!(
        "'{}'.replace('a','{}').replace('b','{}').replace('c','{}') == ''",
        grown("a"),
        grown("b"),
        grown("c"),
        grown("d")
    );
    let validate = |workflow| async {
        let request = wire::ValidateWorkflowRequest {
            workflow: Some(workflow),
        };
        let answer = world
            .workflows()
            .validate_workflow(world.ask(request))
            .await;
        answer.expect("an answer").into_inner()
    };
    assert!(validate(workflow("grown", vec![step])).await.valid);
    let many: Vec<_> = (0..9_000).map(|_| json!("${{1}}")).collect();
    let mut step = task("a", &[]);
    step.input = fields(json!({ "many": many }));
    let answer = validate(workflow("many", vec![step])).await;
    assert_eq!(answer.faults.len(), 2, "{:?}", answer.faults);
    world.finish().await;
}

#[tokio::test]
async fn concurrent_publications_leave_no_gap() {
    let world = World::start().await;
    let publish = |index: usize| {
        let description = format!("number {index}");
        world.publish(wire::Workflow {
            description,
            ..two("busy")
        })
    };
    let published = futures::future::join_all((0..8).map(publish)).await;
    let mut versions: Vec<_> = published.iter().map(|workflow| workflow.version).collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=8).collect::<Vec<_>>());
    world.finish().await;
}

#[tokio::test]
async fn all_faults_are_reported_at_once() {
    let world = World::start().await;
    let mut bad = workflow("Bad Name", vec![task("a", &["nowhere"]), task("b", &[])]);
    bad.r#type = 99;
    bad.steps[1].when = "steps.a.status ==".into();
    bad.steps[1].trigger_rule = 77;
    bad.steps[1].retries = -1;
    let request = wire::CreateWorkflowRequest {
        workflow: Some(bad.clone()),
        ..Default::default()
    };
    let fault = refused(world.workflows().create_workflow(world.ask(request)).await);
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::InvalidArgument, Reason::DefinitionInvalid)
    );
    let fields: Vec<_> = fault
        .violations()
        .iter()
        .map(|it| it.field.as_str())
        .collect();
    for field in [
        "workflow.type",
        "workflow.name",
        "workflow.steps[0].dependencies[0]",
        "workflow.steps[1].when",
        "workflow.steps[1].trigger_rule",
        "workflow.steps[1].retries",
    ] {
        assert!(fields.contains(&field), "{field} is not among {fields:?}");
    }
    let request = wire::ValidateWorkflowRequest {
        workflow: Some(bad),
    };
    let answer = world
        .workflows()
        .validate_workflow(world.ask(request))
        .await;
    let answer = answer.expect("an answer").into_inner();
    assert!(!answer.valid && answer.digest.is_empty());
    assert_eq!(answer.faults.len(), fields.len());
    assert!(
        answer
            .faults
            .iter()
            .any(|it| it.step_id == "b" && it.field == "steps[1].when")
    );
    world.finish().await;
}

#[tokio::test]
async fn validation_writes_nothing_and_knows_the_digest() {
    let world = World::start().await;
    let request = wire::ValidateWorkflowRequest {
        workflow: Some(two("dry")),
    };
    let answer = world
        .workflows()
        .validate_workflow(world.ask(request))
        .await;
    let digest = answer.expect("an answer").into_inner().digest;
    let get = wire::GetWorkflowRequest {
        name: "dry".into(),
        ..Default::default()
    };
    let missing = refused(world.workflows().get_workflow(world.ask(get)).await);
    assert_eq!(missing.code(), Code::NotFound);
    assert_eq!(world.publish(two("dry")).await.digest, digest);
    world.finish().await;
}

#[tokio::test]
async fn lists_page_by_name_and_filter() {
    let world = World::start().await;
    for index in 0..5 {
        let tags = if index % 2 == 0 {
            vec!["even".to_owned()]
        } else {
            Vec::new()
        };
        world
            .publish(wire::Workflow {
                tags,
                ..two(&format!("list-{index}"))
            })
            .await;
    }
    world.publish(two("other")).await;
    let mut client = world.workflows();
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = wire::ListWorkflowsRequest {
            name_prefix: "list-".into(),
            page_size: 2,
            page_token: page_token.clone(),
            ..Default::default()
        };
        let page = client
            .list_workflows(world.ask(request))
            .await
            .expect("a page")
            .into_inner();
        assert!(
            page.workflows
                .iter()
                .all(|workflow| workflow.steps.is_empty())
        );
        names.extend(page.workflows.into_iter().map(|workflow| workflow.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
        let foreign = wire::ListWorkflowsRequest {
            page_token: page_token.clone(),
            ..Default::default()
        };
        let fault = refused(client.list_workflows(world.ask(foreign)).await);
        assert_eq!(fault.reason(), Reason::PageTokenInvalid);
    }
    assert_eq!(names, ["list-0", "list-1", "list-2", "list-3", "list-4"]);
    let request = wire::ListWorkflowsRequest {
        tag: "even".into(),
        ..Default::default()
    };
    let page = client
        .list_workflows(world.ask(request))
        .await
        .expect("a page")
        .into_inner();
    assert_eq!(page.workflows.len(), 3);
    world.finish().await;
}
