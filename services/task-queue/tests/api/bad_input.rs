//! What is refused, with which words, and that it changes nothing.

use std::collections::HashMap;

use reeve_contracts::task::v1::{self as proto, TaskState};
use reeve_contracts::r#type::v1::Money;
use reeve_status::{Code, Reason};
use reeve_testkit::authorize;
use serde_json::json;

use crate::harness::*;

fn wrong() -> proto::TaskSpec {
    proto::TaskSpec {
        r#type: "-lint".to_owned(),
        title: "x".repeat(257),
        description: "x".repeat(16_385),
        queue: "a/b".to_owned(),
        capability: "what?".to_owned(),
        priority: 99,
        parameters: reeve_wellknown::struct_from_json(json!({ "nul": "a\u{0}b" })),
        project_id: "p".to_owned(),
        parent_task_id: "q".to_owned(),
        depends_on: vec!["r".to_owned()],
        dependency_failure_policy: 4,
        origin: Some(proto::TaskOrigin {
            attempt: -1,
            ..Default::default()
        }),
        labels: HashMap::from([("bad key".to_owned(), String::new())]),
        schedule_time: Some(prost_types::Timestamp {
            seconds: 1 << 40,
            nanos: 0,
        }),
        retry_policy: Some(proto::RetryPolicy {
            max_attempts: 101,
            initial_backoff_duration: Some(seconds(-1)),
            backoff_multiplier: 0.5,
            max_backoff_duration: Some(seconds(86_401)),
            max_lost_leases: -1,
            rules: vec![proto::RetryRule::default()],
        }),
        timeouts: Some(proto::TaskTimeouts {
            schedule_to_start_timeout: Some(seconds(0)),
            start_to_close_timeout: Some(seconds(1 << 40)),
            heartbeat_timeout: Some(seconds(3_601)),
        }),
        budget_id: "b".to_owned(),
        budget_amount: Some(Money {
            amount: "-1".to_owned(),
            currency_code: "eur".to_owned(),
        }),
        concurrency_keys: vec!["-x".to_owned()],
        fairness: Some(proto::Fairness {
            key: "a key".to_owned(),
            weight: -1.0,
        }),
        effect: 9,
        requirement: Some(proto::CapabilityRequirement {
            version_range: "newest".to_owned(),
            attributes: HashMap::from([("region".to_owned(), "x".repeat(257))]),
            agent_labels: HashMap::from([(String::new(), "red".to_owned())]),
        }),
        pinned_agent_id: "s".to_owned(),
        avoid_agent_ids: vec!["t".to_owned()],
        avoid_failed_agents: true,
    }
}

#[tokio::test]
async fn a_create_names_every_wrong_field() {
    let world = World::start().await;
    let request = proto::CreateTaskRequest {
        spec: Some(wrong()),
        request_id: "x".repeat(129),
        ..Default::default()
    };
    let answer = world.tasks().create_task(world.ask(request)).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    let expected = [
        "request_id",
        "spec.avoid_agent_ids[0]",
        "spec.budget_amount.amount",
        "spec.budget_amount.currency_code",
        "spec.budget_id",
        "spec.capability",
        "spec.concurrency_keys[0]",
        "spec.dependency_failure_policy",
        "spec.depends_on[0]",
        "spec.description",
        "spec.effect",
        "spec.fairness.key",
        "spec.fairness.weight",
        "spec.labels[\"bad key\"]",
        "spec.origin",
        "spec.origin.attempt",
        "spec.origin.kind",
        "spec.origin.resource_id",
        "spec.parameters",
        "spec.parent_task_id",
        "spec.pinned_agent_id",
        "spec.priority",
        "spec.project_id",
        "spec.queue",
        "spec.requirement.agent_labels[\"\"]",
        "spec.requirement.attributes[\"region\"]",
        "spec.requirement.version_range",
        "spec.retry_policy.backoff_multiplier",
        "spec.retry_policy.initial_backoff_duration",
        "spec.retry_policy.max_attempts",
        "spec.retry_policy.max_backoff_duration",
        "spec.retry_policy.max_lost_leases",
        "spec.retry_policy.rules[0].error_codes",
        "spec.schedule_time",
        "spec.timeouts.heartbeat_timeout",
        "spec.timeouts.schedule_to_start_timeout",
        "spec.timeouts.start_to_close_timeout",
        "spec.title",
        "spec.type",
    ];
    assert_eq!(fields(&fault), expected);
    let answer = world
        .tasks()
        .create_task(world.ask(proto::CreateTaskRequest::default()))
        .await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["spec"]);
}

#[tokio::test]
async fn a_capability_is_one_that_agents_can_have() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(spec("Lint")).await;
    let created_spec = created.spec.as_ref().expect("it has one");
    assert_eq!(
        (
            created_spec.r#type.as_str(),
            created_spec.capability.as_str()
        ),
        ("Lint", "lint")
    );
    assert_eq!(id_of(&world.lease_one(agent).await), created.id);
    let wrong = proto::TaskSpec {
        capability: "Lint".to_owned(),
        ..spec("lint")
    };
    let request = proto::CreateTaskRequest {
        spec: Some(wrong),
        ..Default::default()
    };
    let answer = world.tasks().create_task(world.ask(request)).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["spec.capability"]);
}

#[tokio::test]
async fn a_batch_with_one_wrong_task_creates_none() {
    let world = World::start().await;
    let right = proto::CreateTaskRequest {
        spec: Some(spec("lint")),
        request_id: "same".into(),
        ..Default::default()
    };
    let wrong = proto::CreateTaskRequest {
        spec: Some(spec("")),
        request_id: "same".into(),
        ..Default::default()
    };
    let absent = proto::CreateTaskRequest {
        spec: Some(proto::TaskSpec {
            depends_on: vec![reeve_ids::TaskId::new().to_string()],
            parent_task_id: reeve_ids::TaskId::new().to_string(),
            ..spec("lint")
        }),
        ..Default::default()
    };
    let batch = |requests| world.ask(proto::BatchCreateTasksRequest { requests });
    let answer = world
        .tasks()
        .batch_create_tasks(batch(vec![right.clone(), wrong]))
        .await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(
        fields(&fault),
        ["requests[1].request_id", "requests[1].spec.type"]
    );
    let answer = world
        .tasks()
        .batch_create_tasks(batch(vec![right.clone(), absent]))
        .await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    let expected = [
        "requests[1].spec.depends_on[0]",
        "requests[1].spec.parent_task_id",
    ];
    assert_eq!(fields(&fault), expected);
    for requests in [Vec::new(), vec![proto::CreateTaskRequest::default(); 1_001]] {
        let answer = world.tasks().batch_create_tasks(batch(requests)).await;
        refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    }
    let list = world
        .tasks()
        .list_tasks(world.ask(proto::ListTasksRequest::default()))
        .await;
    assert!(
        list.expect("a list").into_inner().tasks.is_empty(),
        "nothing was created"
    );
    // The request id was not used up by the refused batch.
    let answer = world.tasks().batch_create_tasks(batch(vec![right])).await;
    assert_eq!(answer.expect("it is right").into_inner().task_ids.len(), 1);
}

#[tokio::test]
async fn parameters_have_a_size() {
    let world = World::start().await;
    let parameters = |size| proto::TaskSpec {
        parameters: reeve_wellknown::struct_from_json(json!({ "text": "x".repeat(size) })),
        ..spec("lint")
    };
    world.create(parameters(256 * 1_024 - 11)).await;
    let request = proto::CreateTaskRequest {
        spec: Some(parameters(256 * 1_024 - 10)),
        ..Default::default()
    };
    let answer = world.tasks().create_task(world.ask(request)).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["spec.parameters"]);
}

#[tokio::test]
async fn parameters_have_a_depth() {
    let world = World::start().await;
    let nested = |levels: usize| {
        let inner = (1..levels).fold(json!(1), |inner, _| json!({ "in": inner }));
        proto::TaskSpec {
            parameters: reeve_wellknown::struct_from_json(json!({ "in": inner })),
            ..spec("lint")
        }
    };
    let agent = world.agent(&["lint"]);
    let deep = world.create(nested(30)).await;
    // Whoever speaks protobuf can read it in the deepest of messages.
    let lease = world.lease_one(agent).await;
    assert_eq!(lease.task.map(|task| task.id), Some(deep.id));
    let request = proto::CreateTaskRequest {
        spec: Some(nested(31)),
        ..Default::default()
    };
    let answer = world.tasks().create_task(world.ask(request)).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["spec.parameters"]);
}

#[tokio::test]
async fn reads_refuse_malformed_ids_filters_and_pages() {
    let world = World::start().await;
    let get = proto::GetTaskRequest {
        task_id: "7".to_owned(),
    };
    let fault = refused(
        world.tasks().get_task(world.ask(get)).await,
        Code::InvalidArgument,
        Reason::ValidationFailed,
    );
    assert_eq!(fields(&fault), ["task_id"]);
    let get = proto::GetTaskRequest {
        task_id: reeve_ids::TaskId::new().to_string(),
    };
    let answer = world.tasks().get_task(world.ask(get)).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);

    let filter = proto::TaskFilter {
        states: vec![0, 99],
        project_id: "p".to_owned(),
        parent_task_id: "q".to_owned(),
        assigned_agent_id: "a".to_owned(),
        origin_resource_id: "r".to_owned(),
        task_ids: vec!["t".to_owned()],
        create_time_from: Some(prost_types::Timestamp {
            seconds: 0,
            nanos: -1,
        }),
        ..Default::default()
    };
    let list = proto::ListTasksRequest {
        filter: Some(filter.clone()),
        view: 9,
        page_size: -1,
        ..Default::default()
    };
    let answer = world.tasks().list_tasks(world.ask(list)).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    let expected = [
        "filter.assigned_agent_id",
        "filter.create_time_from",
        "filter.origin_kind",
        "filter.parent_task_id",
        "filter.project_id",
        "filter.states[0]",
        "filter.states[1]",
        "filter.task_ids[0]",
        "page_size",
        "view",
    ];
    assert_eq!(fields(&fault), expected);
    let list = proto::ListTasksRequest {
        page_token: "x".to_owned(),
        ..Default::default()
    };
    let answer = world.tasks().list_tasks(world.ask(list)).await;
    refused(answer, Code::InvalidArgument, Reason::PageTokenInvalid);
    let watch = proto::WatchTasksRequest {
        cursor: "x".to_owned(),
        ..Default::default()
    };
    let answer = world.tasks().watch_tasks(world.ask(watch)).await.map(drop);
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["cursor"]);
}

#[tokio::test]
async fn agents_verbs_refuse_what_is_malformed() {
    let world = World::start().await;
    let lease = proto::LeaseTasksRequest {
        agent_id: "a".to_owned(),
        queues: vec!["a b".to_owned()],
        max_tasks: 257,
        lease_duration: Some(seconds(0)),
        wait_duration: Some(seconds(51)),
        start: false,
    };
    let answer = world.work().lease_tasks(world.ask(lease)).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    let expected = [
        "agent_id",
        "lease_duration",
        "max_tasks",
        "queues[0]",
        "wait_duration",
    ];
    assert_eq!(fields(&fault), expected);

    let usage = proto::Usage {
        provider: "x".repeat(65),
        input_tokens: -1,
        output_tokens: i64::MAX,
        duration: Some(seconds(-1)),
        quantities: HashMap::from([
            ("gpu_seconds".to_owned(), "1e3".to_owned()),
            ("GPU-hours".to_owned(), "1".to_owned()),
            ("agent_seconds".to_owned(), "1".to_owned()),
        ]),
        ..Default::default()
    };
    let failure = proto::FailTaskRequest {
        lease_token: "t".to_owned(),
        error: Some(proto::TaskError {
            code: "not a code".to_owned(),
            ..Default::default()
        }),
        retry_after_duration: Some(seconds(5)),
        usage: vec![usage],
        ..Default::default()
    };
    let answer = world.work().fail_task(world.ask(failure)).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    let expected = [
        "error.code",
        "lease_token",
        "retry_after_duration",
        "usage[0].duration",
        "usage[0].input_tokens",
        "usage[0].output_tokens",
        "usage[0].provider",
        "usage[0].quantities[\"GPU-hours\"]",
        "usage[0].quantities[\"agent_seconds\"]",
        "usage[0].quantities[\"gpu_seconds\"]",
    ];
    assert_eq!(fields(&fault), expected);
    let progress = proto::ReportProgressRequest {
        percent: 100.5,
        ..Default::default()
    };
    let answer = world.work().report_progress(world.ask(progress)).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["lease_token", "percent"]);
    let renew = proto::RenewLeasesRequest {
        lease_duration: Some(seconds(7_200)),
        ..Default::default()
    };
    let answer = world.work().renew_leases(world.ask(renew)).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["lease_duration", "lease_tokens"]);
    let batch = proto::BatchCompleteTasksRequest {
        requests: vec![Default::default()],
    };
    let answer = world.work().batch_complete_tasks(world.ask(batch)).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["requests[0].lease_token"]);
}

#[tokio::test]
async fn a_result_is_bounded_and_its_refusal_leaves_the_lease() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(spec("lint")).await;
    let lease = world.lease_one(agent).await;
    let complete = proto::CompleteTaskRequest {
        lease_token: lease.lease_token.clone(),
        result: reeve_wellknown::struct_from_json(json!({ "text": "x".repeat(1_024 * 1_024) })),
        message: "x".repeat(1_025),
        usage: vec![proto::Usage::default(); 33],
        ..Default::default()
    };
    let answer = world.work().complete_task(world.ask(complete)).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["message", "result", "usage"]);
    assert_eq!(world.get(&created.id).await.state(), TaskState::Assigned);
    world
        .complete(&lease.lease_token)
        .await
        .expect("the lease is still there");
}

#[tokio::test]
async fn every_verb_needs_its_permission() {
    let world = World::start().await;
    let reader = world.authenticator.key(world.tenant, &["tasks.read"]);
    let request = proto::CreateTaskRequest {
        spec: Some(spec("lint")),
        ..Default::default()
    };
    let answer = world.tasks().create_task(authorize(&reader, request)).await;
    refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
    let answer = world
        .work()
        .lease_tasks(authorize(&reader, Default::default()))
        .await;
    refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
    let answer = world
        .tasks()
        .cancel_task(authorize(&reader, Default::default()))
        .await;
    refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
    let list = authorize(&reader, proto::ListTasksRequest::default());
    world.tasks().list_tasks(list).await.expect("it may read");
    let answer = world
        .tasks()
        .list_tasks(tonic::Request::new(Default::default()))
        .await;
    refused(answer, Code::Unauthenticated, Reason::CredentialMissing);
}
