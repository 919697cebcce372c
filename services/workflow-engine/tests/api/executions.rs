//! Executions from start to end.

use reeve_contracts::workflow::v1::{self as wire, ExecutionPhase, ExecutionState, StepState};
use reeve_status::{Code, Reason};
use reeve_workflow_engine::domain::event::TaskNews;
use serde_json::json;

use crate::harness::{World, fields, refused, task, workflow};

#[tokio::test]
async fn a_run_goes_from_start_to_output() {
    let world = World::start().await;
    let mut validate = task("validate", &["lint"]);
    validate.input = fields(json!({"files": "${{ steps.lint.output.files }}"}));
    validate.when = "input.strict".into();
    let mut report = wire::WorkflowStep {
        id: "report".into(),
        r#type: wire::StepType::Transform.into(),
        dependencies: vec!["validate".into()],
        ..Default::default()
    };
    report.outputs = [(
        "count".to_owned(),
        "size(steps.lint.output.files)".to_owned(),
    )]
    .into();
    let definition = wire::Workflow {
        output: fields(json!({"files": "${{ steps.report.output.count }}"})),
        ..workflow("flow", vec![task("lint", &[]), validate, report])
    };
    let id = world.run(definition, json!({"strict": true})).await;
    let (execution, status) = world.get(&id).await;
    assert_eq!(
        (execution.state(), execution.phase()),
        (ExecutionState::Running, ExecutionPhase::Advancing)
    );
    assert_eq!(status.current_steps, ["lint"]);
    assert_eq!((status.progress, status.total_steps), (0, 3));
    world
        .news(
            &id,
            "lint",
            TaskNews::Started {
                agent_id: "agent-1".into(),
            },
        )
        .await;
    let lint = world.step(&id, "lint").await;
    assert_eq!(
        (lint.state(), lint.agent_id.as_str()),
        (StepState::Running, "agent-1")
    );
    world
        .complete(&id, "lint", json!({"files": ["a", "b"]}))
        .await;
    world.complete(&id, "validate", json!({"ok": true})).await;
    let (execution, status) = world.get(&id).await;
    assert_eq!(execution.state(), ExecutionState::Completed);
    assert_eq!(execution.output, fields(json!({"files": 2})));
    assert!(execution.end_time.is_some() && execution.initiated_by.starts_with("key:"));
    assert_eq!((status.progress, status.completed_steps), (100, 3));
    assert_eq!(status.counts.map(|counts| counts.completed), Some(3));
    assert_eq!(status.steps[1].output, fields(json!({"ok": true})));
    let types: Vec<_> = world
        .history(&id)
        .await
        .into_iter()
        .map(|event| event.r#type)
        .collect();
    assert_eq!(
        types,
        [
            "execution.started",
            "step.started",
            "step.running",
            "step.completed",
            "step.started",
            "step.completed",
            "step.completed",
            "execution.completed",
        ]
    );
    world.finish().await;
}

#[tokio::test]
async fn starting_is_idempotent_by_request_id() {
    let world = World::start().await;
    let workflow_id = world
        .publish(workflow("once", vec![task("a", &[])]))
        .await
        .id;
    let request = wire::StartExecutionRequest {
        request_id: "start-1".into(),
        workflow_id,
        input: fields(json!({"n": 1})),
        ..Default::default()
    };
    let starts = (0..6).map(|_| world.start_with(request.clone()));
    let ids: Vec<_> = futures::future::join_all(starts).await;
    let first = ids[0].as_ref().expect("it starts").id.clone();
    assert!(
        ids.iter()
            .all(|it| it.as_ref().is_ok_and(|execution| execution.id == first))
    );
    let other = wire::StartExecutionRequest {
        input: fields(json!({"n": 2})),
        ..request
    };
    let fault = world.start_with(other).await.expect_err("it started");
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::FailedPrecondition, Reason::RequestIdReused)
    );
    world.finish().await;
}

#[tokio::test]
async fn input_must_match_its_schema() {
    let world = World::start().await;
    let definition = wire::Workflow {
        input_schema: fields(json!({
            "type": "object",
            "required": ["dir"],
            "properties": {"replicas": {"type": "integer", "minimum": 1}},
        })),
        ..workflow("strict", vec![task("a", &[])])
    };
    let workflow_name = world.publish(definition).await.name;
    let start = |input| wire::StartExecutionRequest {
        workflow_name: workflow_name.clone(),
        input: fields(input),
        ..Default::default()
    };
    let fault = world
        .start_with(start(json!({"replicas": 0})))
        .await
        .expect_err("it started");
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::InvalidArgument, Reason::ValidationFailed)
    );
    let fields: Vec<_> = fault
        .violations()
        .iter()
        .map(|it| it.field.as_str())
        .collect();
    assert!(
        fields.contains(&"input/dir") && fields.contains(&"input/replicas"),
        "{fields:?}"
    );
    world
        .start_with(start(json!({"dir": "x", "replicas": 2})))
        .await
        .expect("it starts");
    world.finish().await;
}

#[tokio::test]
async fn a_run_keeps_the_version_that_it_began_with() {
    let world = World::start().await;
    let id = world
        .run(workflow("moving", vec![task("a", &[])]), json!({}))
        .await;
    world
        .publish(workflow("moving", vec![task("a", &[]), task("b", &["a"])]))
        .await;
    world.complete(&id, "a", json!({})).await;
    let (execution, _) = world.get(&id).await;
    assert_eq!(
        (execution.state(), execution.workflow_version),
        (ExecutionState::Completed, 1)
    );
    world.finish().await;
}

#[tokio::test]
async fn the_same_news_from_many_replicas_counts_once() {
    let world = World::start().await;
    let id = world
        .run(
            workflow("race", vec![task("a", &[]), task("b", &["a"])]),
            json!({}),
        )
        .await;
    let news = |n: i32| TaskNews::Completed {
        agent_id: "x".into(),
        result: json!({"n": n}),
    };
    let all = (0..8).map(|n| {
        world
            .engine
            .apply_report(world.report(&id, "a", 1, news(n)))
    });
    for applied in futures::future::join_all(all).await {
        applied.expect("news are applied");
    }
    let history = world.history(&id).await;
    let of = |kind: &str, step: &str| {
        history
            .iter()
            .filter(|event| event.r#type == kind && event.step_id == step)
            .count()
    };
    assert_eq!((of("step.completed", "a"), of("step.started", "b")), (1, 1));
    world.finish().await;
}

#[tokio::test]
async fn pause_and_resume() {
    let world = World::start().await;
    let id = world
        .run(
            workflow("pause", vec![task("a", &[]), task("b", &["a"])]),
            json!({}),
        )
        .await;
    let pause = || wire::PauseExecutionRequest {
        execution_id: id.clone(),
        reason: "x".into(),
        ..Default::default()
    };
    let mut client = world.workflows();
    for _ in 0..2 {
        let answer = client
            .pause_execution(world.ask(pause()))
            .await
            .expect("paused");
        assert_eq!(
            answer.into_inner().execution.expect("one").state(),
            ExecutionState::Paused
        );
    }
    world.complete(&id, "a", json!({})).await;
    assert_eq!(world.step_state(&id, "b").await, StepState::Pending);
    let resume = || wire::ResumeExecutionRequest {
        execution_id: id.clone(),
        ..Default::default()
    };
    client
        .resume_execution(world.ask(resume()))
        .await
        .expect("resumed");
    assert_eq!(world.step_state(&id, "b").await, StepState::Dispatched);
    world.complete(&id, "b", json!({})).await;
    let fault = refused(client.pause_execution(world.ask(pause())).await);
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::FailedPrecondition, Reason::TransitionForbidden)
    );
    assert_eq!(
        fault.metadata().get("legal").map(String::as_str),
        Some("none")
    );
    world.finish().await;
}

#[tokio::test]
async fn cancel_waits_for_what_runs() {
    let world = World::start().await;
    let id = world
        .run(
            workflow("stop", vec![task("a", &[]), task("b", &["a"])]),
            json!({}),
        )
        .await;
    world
        .news(
            &id,
            "a",
            TaskNews::Started {
                agent_id: "agent-1".into(),
            },
        )
        .await;
    let cancel = || wire::CancelExecutionRequest {
        execution_id: id.clone(),
        reason: "no".into(),
        ..Default::default()
    };
    let answer = world
        .workflows()
        .cancel_execution(world.ask(cancel()))
        .await
        .expect("stopping");
    let execution = answer.into_inner().execution.expect("one");
    assert_eq!(
        (execution.state(), execution.phase()),
        (ExecutionState::Running, ExecutionPhase::Stopping)
    );
    assert_eq!(world.step_state(&id, "b").await, StepState::Cancelled);
    world.news(&id, "a", TaskNews::Cancelled).await;
    assert_eq!(world.state(&id).await, ExecutionState::Cancelled);
    let again = world
        .workflows()
        .cancel_execution(world.ask(cancel()))
        .await
        .expect("no change");
    assert_eq!(
        again.into_inner().execution.expect("one").state(),
        ExecutionState::Cancelled
    );
    world.finish().await;
}

#[tokio::test]
async fn executions_are_found_by_state_workflow_and_label() {
    let world = World::start().await;
    let workflow_id = world
        .publish(workflow("list", vec![task("a", &[])]))
        .await
        .id;
    let mut ids = Vec::new();
    for index in 0..5 {
        let labels = [("n".to_owned(), (index % 2).to_string())].into();
        let request = wire::StartExecutionRequest {
            workflow_id: workflow_id.clone(),
            labels,
            ..Default::default()
        };
        ids.push(world.start_with(request).await.expect("it starts").id);
    }
    world.complete(&ids[0], "a", json!({})).await;
    let list = |request: wire::ListExecutionsRequest| async {
        let answer = world.workflows().list_executions(world.ask(request)).await;
        answer.expect("a page").into_inner()
    };
    let all = list(wire::ListExecutionsRequest {
        page_size: 3,
        ..Default::default()
    })
    .await;
    let expected: Vec<_> = ids.iter().rev().take(3).collect();
    assert_eq!(
        all.executions.iter().map(|it| &it.id).collect::<Vec<_>>(),
        expected
    );
    let page_token = all.next_page_token;
    let rest = list(wire::ListExecutionsRequest {
        page_size: 3,
        page_token,
        ..Default::default()
    })
    .await;
    assert_eq!(
        (rest.executions.len(), rest.next_page_token.as_str()),
        (2, "")
    );
    let done = wire::ListExecutionsRequest {
        states: vec![ExecutionState::Completed.into()],
        workflow_id,
        ..Default::default()
    };
    assert_eq!(list(done).await.executions.len(), 1);
    let labels = [("n".to_owned(), "1".to_owned())].into();
    let labelled = wire::ListExecutionsRequest {
        labels,
        ..Default::default()
    };
    assert_eq!(list(labelled).await.executions.len(), 2);
    world.finish().await;
}

#[tokio::test]
async fn a_diagnosis_says_what_is_waited_for() {
    let world = World::start().await;
    let id = world
        .run(
            workflow("why", vec![task("a", &[]), task("b", &["a"])]),
            json!({}),
        )
        .await;
    let diagnose = || async {
        let request = wire::DiagnoseExecutionRequest {
            execution_id: id.clone(),
        };
        let answer = world
            .workflows()
            .diagnose_execution(world.ask(request))
            .await;
        answer.expect("a diagnosis").into_inner()
    };
    // task-queue is away, so the command waits.
    let waiting = diagnose().await;
    assert!(waiting.has_wake_source);
    let kinds: Vec<_> = waiting
        .reasons
        .iter()
        .map(|it| (it.step_id.as_str(), it.kind()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("a", wire::WaitKind::Dispatch),
            ("b", wire::WaitKind::Dependencies)
        ]
    );
    assert!(
        waiting.summary.contains("task-queue is yet to take"),
        "{}",
        waiting.summary
    );
    world
        .news(
            &id,
            "a",
            TaskNews::Started {
                agent_id: "agent-1".into(),
            },
        )
        .await;
    assert!(diagnose().await.summary.contains("agent-1 works on"));
    world.complete(&id, "a", json!({})).await;
    world.complete(&id, "b", json!({})).await;
    let ended = diagnose().await;
    assert!(ended.reasons.is_empty() && ended.summary.contains("COMPLETED"));
    world.finish().await;
}

#[tokio::test]
async fn what_happened_is_told_to_other_services() {
    let world = World::start().await;
    let id = world
        .run(workflow("told", vec![task("a", &[])]), json!({}))
        .await;
    world.fail(&id, "a").await;
    let mut admin = world.database.admin().await;
    let mut types = Vec::new();
    let rows: Vec<(Vec<u8>,)> = sqlx::query_as(
        "select events from (
             select id, events from workflow_engine.outbox
             union all select last_sequence - 1000000, events from workflow_engine.event_log
         ) as told order by id",
    )
    .fetch_all(&mut admin)
    .await
    .expect("events");
    for (encoded,) in rows {
        let mut encoded = encoded.as_slice();
        while !encoded.is_empty() {
            let event: reeve_contracts::event::v1::Event =
                prost::Message::decode_length_delimited(&mut encoded).expect("an event");
            types.push(event.r#type);
        }
    }
    for kind in [
        "workflow.published",
        "execution.started",
        "step.started",
        "step.failed",
        "execution.failed",
    ] {
        assert!(
            types.iter().any(|told| told == kind),
            "{kind} is not among {types:?}"
        );
    }
    world.finish().await;
}
