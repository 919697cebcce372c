//! What happens by itself: retries, timeouts, deadlines and the grace of a cancel.

use reeve_contracts::workflow::v1::{self as wire, ExecutionState, StepState};
use reeve_testkit::eventually;
use serde_json::json;

use crate::harness::{World, seconds, task, workflow};

async fn until(world: &World, id: &str, wanted: ExecutionState) {
    eventually(|| async {
        let state = world.state(id).await;
        if state == wanted {
            Ok(())
        } else {
            Err(format!("it is {state:?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn a_failed_step_is_tried_again_until_its_attempts_are_used_up() {
    let world = World::start().await;
    let policy = wire::RetryPolicy {
        initial_delay: Some(prost_types::Duration {
            seconds: 0,
            nanos: 20_000_000,
        }),
        ..Default::default()
    };
    let step = wire::WorkflowStep {
        retries: 2,
        retry_policy: Some(policy),
        ..task("a", &[])
    };
    let id = world.run(workflow("retry", vec![step]), json!({})).await;
    for attempt in 1..=3 {
        eventually(|| async {
            let step = world.step(&id, "a").await;
            step.attempt == attempt && step.state() == StepState::Dispatched
        })
        .await;
        world.fail(&id, "a").await;
    }
    let (execution, status) = world.get(&id).await;
    assert_eq!(execution.state(), ExecutionState::Failed);
    let error = execution.error.expect("an error");
    assert_eq!(
        (
            error.class.as_str(),
            error.code.as_str(),
            error.step_id.as_str()
        ),
        ("TASK_FAILED", "BROKEN", "a")
    );
    let metrics = reeve_wellknown::json_from_struct(status.metrics.expect("figures"));
    assert_eq!(
        (
            &metrics["attempts"],
            &metrics["retries"],
            &metrics["waiting_for_people_seconds"]
        ),
        (&json!(3), &json!(2), &json!(0))
    );
    // Two pauses of at least 16 ms each lie between its start and its end.
    assert!(
        metrics["elapsed_seconds"]
            .as_f64()
            .is_some_and(|it| it >= 0.03),
        "{metrics}"
    );
    world.finish().await;
}

#[tokio::test]
async fn a_step_that_takes_too_long_fails() {
    let world = World::start().await;
    let step = wire::WorkflowStep {
        timeout: seconds(1),
        ..task("a", &[])
    };
    let id = world.run(workflow("slow", vec![step]), json!({})).await;
    until(&world, &id, ExecutionState::Failed).await;
    assert_eq!(
        world
            .step(&id, "a")
            .await
            .error
            .map(|error| error.class)
            .as_deref(),
        Some("TIMEOUT")
    );
    world.finish().await;
}

#[tokio::test]
async fn an_execution_ends_at_its_deadline_though_nothing_confirms() {
    let world = World::with(&[("execution.cancel_grace", "100ms")]).await;
    let definition = wire::Workflow {
        timeout: seconds(1),
        ..workflow("late", vec![task("a", &[])])
    };
    let id = world.run(definition, json!({})).await;
    until(&world, &id, ExecutionState::Timeout).await;
    assert_eq!(world.step_state(&id, "a").await, StepState::Cancelled);
    world.finish().await;
}
