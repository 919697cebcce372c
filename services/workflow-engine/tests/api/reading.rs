//! What lists and answers show, and what guards a change against a stale look.

use reeve_contracts::workflow::v1::{self as wire, ExecutionPhase, ExecutionState};
use reeve_status::{Code, Reason};
use serde_json::json;

use crate::harness::{World, fields, refused, task, workflow};

fn asking(name: &str) -> wire::Workflow {
    let approve = wire::WorkflowStep {
        id: "approve".into(),
        r#type: wire::StepType::Approval.into(),
        config: fields(json!({"subject": "${{ input }}"})),
        ..Default::default()
    };
    workflow(name, vec![approve])
}

#[tokio::test]
async fn a_list_shows_who_waits_for_people() {
    let world = World::start().await;
    let waiting = world.run(asking("asks"), json!({"x": 1})).await;
    let mut both = asking("both");
    both.steps.push(task("a", &[]));
    let busy = world.run(both, json!({})).await;
    let request = wire::ListExecutionsRequest::default();
    let answer = world.workflows().list_executions(world.ask(request)).await;
    let listed = answer.expect("a page").into_inner().executions;
    for (execution, id, phase) in [
        (&listed[0], &busy, ExecutionPhase::Advancing),
        (&listed[1], &waiting, ExecutionPhase::AwaitingApproval),
    ] {
        assert_eq!((&execution.id, execution.phase()), (id, phase));
        let (whole, _) = world.get(id).await;
        assert_eq!(execution.phase, whole.phase);
        assert_eq!(execution.workflow_digest, whole.workflow_digest);
        assert_eq!(
            (execution.etag.as_str(), execution.input.as_ref()),
            (whole.etag.as_str(), None)
        );
    }
    world.finish().await;
}

#[tokio::test]
async fn outputs_that_do_not_fit_are_read_one_by_one() {
    let world = World::start().await;
    let steps: Vec<_> = (0..20).map(|at| task(&format!("s{at}"), &[])).collect();
    let id = world.run(workflow("wide", steps), json!({})).await;
    for at in 0..20 {
        let result = json!({"text": "x".repeat(250_000)});
        world.complete(&id, &format!("s{at}"), result).await;
    }
    let (execution, status) = world.get(&id).await;
    assert_eq!(execution.state(), ExecutionState::Completed);
    let has = |step: &wire::StepStatus| step.output.is_some();
    assert!(
        status
            .steps
            .iter()
            .all(|step| has(step) != step.output_omitted)
    );
    assert!(has(&status.steps[0]) && !has(&status.steps[19]));
    let request = wire::GetExecutionRequest {
        execution_id: id.clone(),
        include_outputs: true,
        step_ids: vec!["s19".into()],
    };
    let answer = world.workflows().get_execution(world.ask(request)).await;
    let steps = answer
        .expect("an execution")
        .into_inner()
        .status
        .expect("a status")
        .steps;
    assert!(has(&steps[19]) && !has(&steps[0]) && !steps[0].output_omitted);
    world.finish().await;
}

#[tokio::test]
async fn an_output_that_is_too_large_fails_the_run() {
    let world = World::start().await;
    let definition = wire::Workflow {
        output: fields(json!({"all": "${{ [steps.a.output, steps.a.output] }}"})),
        ..workflow("wide", vec![task("a", &[])])
    };
    let id = world.run(definition, json!({})).await;
    world
        .complete(&id, "a", json!({"text": "x".repeat(200_000)}))
        .await;
    let (execution, _) = world.get(&id).await;
    assert_eq!(execution.state(), ExecutionState::Failed);
    let error = execution.error.expect("an error");
    assert!(
        error.message.contains("at most 262144"),
        "{}",
        error.message
    );
    world.finish().await;
}

#[tokio::test]
async fn values_that_cannot_be_kept_fail_their_step() {
    let world = World::start().await;
    let nested = |of: &str| "[".repeat(20) + of + &"]".repeat(20);
    let transform = |id: &str, after: &[&str], of: &str| wire::WorkflowStep {
        r#type: wire::StepType::Transform.into(),
        action: String::new(),
        outputs: [("x".to_owned(), nested(of))].into(),
        ..task(id, after)
    };
    let mut nul = task("nul", &[]);
    nul.outputs = [("x".to_owned(), "'\\u0000'".to_owned())].into();
    let steps = vec![
        transform("a", &[], "1"),
        transform("b", &["a"], "steps.a.output.x"),
        nul,
    ];
    let id = world.run(workflow("deep", steps), json!({})).await;
    world.complete(&id, "nul", json!({})).await;
    let (execution, status) = world.get(&id).await;
    assert_eq!(execution.state(), ExecutionState::Failed);
    let failed = |at: usize| {
        status.steps[at]
            .error
            .as_ref()
            .map(|error| error.message.clone())
    };
    assert_eq!(failed(0), None);
    assert!(failed(1).is_some_and(|why| why.contains("nested deeper")));
    assert!(failed(2).is_some_and(|why| why.contains("NUL")));
    world.finish().await;
}

#[tokio::test]
async fn a_stale_etag_changes_nothing() {
    let world = World::start().await;
    let id = world
        .run(
            workflow("w", vec![task("a", &[]), task("b", &["a"])]),
            json!({}),
        )
        .await;
    let (seen, _) = world.get(&id).await;
    world.complete(&id, "a", json!({})).await;
    let cancel = |etag: &str| wire::CancelExecutionRequest {
        execution_id: id.clone(),
        etag: etag.into(),
        ..Default::default()
    };
    let mut client = world.workflows();
    let fault = refused(client.cancel_execution(world.ask(cancel(&seen.etag))).await);
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::Aborted, Reason::EtagMismatch)
    );
    let (now, _) = world.get(&id).await;
    assert_eq!(fault.metadata().get("current_etag"), Some(&now.etag));
    assert_eq!(now.phase(), ExecutionPhase::Advancing);
    let pause = wire::PauseExecutionRequest {
        execution_id: id.clone(),
        etag: now.etag,
        ..Default::default()
    };
    let paused = client
        .pause_execution(world.ask(pause))
        .await
        .expect("paused");
    let etag = paused.into_inner().execution.expect("one").etag;
    let resume = wire::ResumeExecutionRequest {
        execution_id: id.clone(),
        etag: etag.clone(),
    };
    client
        .resume_execution(world.ask(resume.clone()))
        .await
        .expect("resumed");
    let stale = refused(client.resume_execution(world.ask(resume)).await);
    assert_eq!(stale.reason(), Reason::EtagMismatch);
    world.finish().await;
}

#[tokio::test]
async fn a_stopping_execution_can_be_nothing_else() {
    let world = World::start().await;
    let id = world
        .run(workflow("w", vec![task("a", &[])]), json!({}))
        .await;
    let cancel = wire::CancelExecutionRequest {
        execution_id: id.clone(),
        ..Default::default()
    };
    let mut client = world.workflows();
    client
        .cancel_execution(world.ask(cancel))
        .await
        .expect("stopping");
    let pause = wire::PauseExecutionRequest {
        execution_id: id.clone(),
        ..Default::default()
    };
    let fault = refused(client.pause_execution(world.ask(pause)).await);
    assert_eq!(fault.reason(), Reason::TransitionForbidden);
    assert_eq!(
        fault.metadata().get("legal").map(String::as_str),
        Some("none")
    );
    world.finish().await;
}
