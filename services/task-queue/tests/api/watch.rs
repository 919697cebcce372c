//! Watches: the present, then every change, and resuming.

use reeve_contracts::task::v1::{self as proto, TaskState};
use reeve_status::{Code, Fault, Reason};
use reeve_testkit::eventually;
use tonic::Streaming;

use crate::harness::*;

type Stream = Streaming<proto::WatchTasksResponse>;

async fn watch(world: &World, filter: proto::TaskFilter, cursor: &str) -> Stream {
    let request = proto::WatchTasksRequest {
        filter: Some(filter),
        cursor: cursor.to_owned(),
        ..Default::default()
    };
    world
        .tasks()
        .watch_tasks(world.ask(request))
        .await
        .expect("it watches")
        .into_inner()
}

async fn next(stream: &mut Stream) -> proto::WatchTasksResponse {
    let message = tokio::time::timeout(LONG, stream.message())
        .await
        .expect("a message in time");
    message
        .expect("the stream goes on")
        .expect("the stream has not ended")
}

/// The next message that this type of event caused. Its task may be further on by then.
async fn until(stream: &mut Stream, event_type: &str) -> proto::WatchTasksResponse {
    loop {
        let message = next(stream).await;
        if message.event_type == event_type {
            return message;
        }
    }
}

#[tokio::test]
async fn a_watch_begins_with_the_present_and_goes_on_from_any_cursor() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let first = world.create(spec("lint")).await;
    let mut stream = watch(&world, proto::TaskFilter::default(), "").await;
    let present = next(&mut stream).await;
    assert!(present.snapshot && present.event_type.is_empty());
    assert_eq!(present.task.map(|task| task.id), Some(first.id.clone()));
    let end = next(&mut stream).await;
    assert!(end.snapshot && end.task.is_none());

    let lease = world.lease_one(agent).await;
    let assigned = until(&mut stream, "task.assigned").await;
    world
        .complete(&lease.lease_token)
        .await
        .expect("it completes");
    let completed = until(&mut stream, "task.completed").await;
    let task = completed.task.as_ref().expect("the task");
    assert_eq!(task.state(), TaskState::Completed);
    drop(stream);

    // What happened while nobody watched is not missed.
    let second = world.create(spec("lint")).await;
    let mut stream = watch(&world, proto::TaskFilter::default(), &completed.cursor).await;
    let missed = next(&mut stream).await;
    assert_eq!(missed.task.map(|task| task.id), Some(second.id));
    let mut again = watch(&world, proto::TaskFilter::default(), &assigned.cursor).await;
    let replayed = next(&mut again).await;
    assert_eq!(
        (replayed.event_type.as_str(), replayed.cursor),
        ("task.completed", completed.cursor)
    );
}

#[tokio::test]
async fn a_watch_shows_what_its_filter_chooses_and_no_other_tenant() {
    let world = World::start().await;
    let wanted = proto::TaskFilter {
        types: vec!["test".to_owned()],
        ..Default::default()
    };
    let mut stream = watch(&world, wanted, "").await;
    assert!(
        next(&mut stream).await.task.is_none(),
        "nothing is there yet"
    );
    let key = world.authenticator.admin(reeve_ids::TenantId::new());
    let request = proto::CreateTaskRequest {
        spec: Some(spec("test")),
        ..Default::default()
    };
    world
        .tasks()
        .create_task(reeve_testkit::authorize(&key, request))
        .await
        .expect("created");
    world.create(spec("lint")).await;
    let test = world.create(spec("test")).await;
    let message = next(&mut stream).await;
    assert_eq!(message.task.map(|task| task.id), Some(test.id));
}

#[tokio::test]
async fn a_cursor_of_another_log_is_refused() {
    let world = World::start().await;
    world.create(spec("lint")).await;
    world.events(|events| events.len() == 1).await;
    let request = proto::WatchTasksRequest {
        cursor: "999999999".to_owned(),
        ..Default::default()
    };
    // At once or as the stream's first word, as the service likes.
    let status = match world.tasks().watch_tasks(world.ask(request)).await {
        Ok(stream) => stream.into_inner().message().await.map(drop),
        Err(status) => Err(status),
    };
    let fault = Fault::from(&status.expect_err("nothing was ever told at this cursor"));
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::OutOfRange, Reason::CursorExpired)
    );
}

#[tokio::test]
async fn a_cursor_whose_events_are_gone_is_refused() {
    let world = World::start().await;
    for _ in 0..3 {
        world.create(spec("lint")).await;
    }
    world.events(|events| events.len() == 3).await;
    let mut admin = world.database.admin().await;
    let cut = "delete from task_queue.event_log where last_sequence = 2";
    sqlx::query(cut)
        .execute(&mut admin)
        .await
        .expect("the log is cut");
    let mut stream = watch(&world, proto::TaskFilter::default(), "1").await;
    let status = stream.message().await.expect_err("the events are gone");
    let fault = Fault::from(&status);
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::OutOfRange, Reason::CursorExpired)
    );
}

#[tokio::test]
async fn a_drain_ends_the_watch_with_the_reason() {
    let mut world = World::start().await;
    let mut stream = watch(&world, proto::TaskFilter::default(), "").await;
    next(&mut stream).await;
    world.stop().await;
    let status = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it should say why it ends"),
            Err(status) => break status,
        }
    };
    assert_eq!(Fault::from(&status).code(), Code::Unavailable);
}

#[tokio::test]
async fn only_the_end_of_the_snapshot_can_be_resumed_from() {
    let world = World::start().await;
    world.create_many(spec("lint"), 250).await;
    let mut stream = watch(&world, proto::TaskFilter::default(), "").await;
    for _ in 0..250 {
        let message = next(&mut stream).await;
        assert!(message.snapshot && message.task.is_some() && message.cursor.is_empty());
    }
    let end = next(&mut stream).await;
    assert!(end.snapshot && end.task.is_none() && !end.cursor.is_empty());
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_told_so() {
    let world = World::with(&[("queue.watch_patience", "10ms")]).await;
    let long = proto::TaskSpec {
        description: "x".repeat(4_000),
        ..spec("lint")
    };
    let mut stream = watch(&world, proto::TaskFilter::default(), "").await;
    for _ in 0..2 {
        world.create_many(long.clone(), 900).await;
    }
    eventually(|| async {
        world
            .deps
            .metrics
            .render()
            .contains("reeve_watchers_slow_total 1")
    })
    .await;
    let status = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it should say why it ends"),
            Err(status) => break status,
        }
    };
    refused::<()>(Err(status), Code::Unavailable, Reason::SlowConsumer);
}
