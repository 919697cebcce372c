//! Watching an execution.

use reeve_contracts::workflow::v1::{self as wire, ExecutionState};
use reeve_status::{Code, Fault};
use reeve_testkit::authorize;
use serde_json::json;
use tonic::Streaming;

use crate::harness::{World, refused, task, verify_chain, workflow};

async fn watch(world: &World, id: &str, after: i64) -> Streaming<wire::WatchExecutionResponse> {
    let request = wire::WatchExecutionRequest {
        execution_id: id.into(),
        after_sequence: after,
    };
    let answer = world.workflows().watch_execution(world.ask(request)).await;
    answer.expect("a stream").into_inner()
}

#[tokio::test]
async fn a_watch_sees_everything_once_and_ends_with_the_run() {
    let world = World::start().await;
    let id = world
        .run(
            workflow("seen", vec![task("a", &[]), task("b", &["a"])]),
            json!({}),
        )
        .await;
    let mut stream = watch(&world, &id, 0).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.push(stream.message().await.expect("open").expect("an entry"));
    }
    assert_eq!(
        seen[1].event.as_ref().map(|it| it.r#type.as_str()),
        Some("step.started")
    );
    world.complete(&id, "a", json!({})).await;
    world.complete(&id, "b", json!({})).await;
    while let Some(message) = stream.message().await.expect("open") {
        seen.push(message);
    }
    let last = seen.last().expect("entries");
    assert_eq!(
        (last.state(), last.progress),
        (ExecutionState::Completed, 100)
    );
    let events: Vec<_> = seen
        .into_iter()
        .filter_map(|message| message.event)
        .collect();
    verify_chain(&events);
    assert_eq!(events, world.history(&id).await);
    world.finish().await;
}

#[tokio::test]
async fn a_watch_resumes_after_its_cursor() {
    let world = World::start().await;
    let id = world
        .run(workflow("again", vec![task("a", &[])]), json!({}))
        .await;
    world.complete(&id, "a", json!({})).await;
    let mut stream = watch(&world, &id, 3).await;
    let entry = stream
        .message()
        .await
        .expect("open")
        .expect("an entry")
        .event
        .expect("an entry");
    assert_eq!(
        (entry.sequence, entry.r#type.as_str()),
        (4, "execution.completed")
    );
    assert!(stream.message().await.expect("closed").is_none());
    // Nothing is left after the last entry, and the stream says so at once.
    assert!(
        watch(&world, &id, 4)
            .await
            .message()
            .await
            .expect("closed")
            .is_none()
    );
    world.finish().await;
}

#[tokio::test]
async fn a_watch_of_nothing_is_refused_at_once() {
    let world = World::start().await;
    let id = world
        .run(workflow("mine", vec![task("a", &[])]), json!({}))
        .await;
    let request = wire::WatchExecutionRequest {
        execution_id: id,
        after_sequence: 0,
    };
    let mut client = world.workflows();
    let foreign = client.watch_execution(authorize(&world.stranger, request.clone()));
    assert_eq!(refused(foreign.await).code(), Code::NotFound);
    let negative = wire::WatchExecutionRequest {
        after_sequence: -1,
        ..request
    };
    let fault: Fault = refused(world.workflows().watch_execution(world.ask(negative)).await);
    assert_eq!(fault.violations()[0].field, "after_sequence");
    world.finish().await;
}
