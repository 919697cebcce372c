//! Streams resume where they were left, and lose nothing.

use std::collections::BTreeSet;

use reeve_contracts::event::v1 as event;
use reeve_contracts::incident::v1 as proto;
use reeve_status::{Code, Fault, Reason};
use serde_json::json;
use tonic::{Request, Status, Streaming};

use crate::harness::{World, refused};

impl World {
    fn emit(&self, n: usize) {
        let data = json!({"n": n});
        self.task_queue
            .emit(self.tenant, "task.created", ("task", &n.to_string()), data);
    }

    async fn subscribe(
        &self,
        cursor: &str,
        types: &[&str],
    ) -> Streaming<event::SubscribeEventsResponse> {
        let filter = event::EventFilter {
            types: types.iter().map(|kind| (*kind).to_owned()).collect(),
            ..Default::default()
        };
        let request = event::SubscribeEventsRequest {
            filter: Some(filter),
            cursor: cursor.to_owned(),
            only_new: false,
        };
        let answer = self.events().subscribe_events(self.ask(request)).await;
        answer.expect("the stream begins").into_inner()
    }
}

async fn next<M>(stream: &mut Streaming<M>) -> Result<M, Status> {
    stream
        .message()
        .await
        .map(|message| message.expect("the stream goes on"))
}

/// Reads until so many events have come: their resources, and the last cursor.
async fn read(
    stream: &mut Streaming<event::SubscribeEventsResponse>,
    count: usize,
) -> (Vec<String>, String) {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    while seen.len() < count {
        let message = next(stream).await.expect("the stream goes on");
        let events = message.events.into_iter().filter_map(|logged| logged.event);
        seen.extend(events.map(|event| event.resource_id));
        cursor = message.cursor;
    }
    (seen, cursor)
}

#[tokio::test]
async fn a_subscription_resumes_without_loss_or_repetition() {
    let mut world = World::start().await;
    (0..5).for_each(|n| world.emit(n));
    let mut stream = world.subscribe("", &[]).await;
    let (mut seen, cursor) = read(&mut stream, 5).await;
    drop(stream);
    // What happens while nobody listens, and while the service is down, comes later.
    (5..9).for_each(|n| world.emit(n));
    world.stop().await;
    (9..12).for_each(|n| world.emit(n));
    world.run().await;
    let mut stream = world.subscribe(&cursor, &[]).await;
    seen.extend(read(&mut stream, 7).await.0);
    let expected: Vec<_> = (0..12).map(|n| n.to_string()).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn bookmarks_pass_what_the_filter_leaves_out() {
    let world = World::start().await;
    (0..3).for_each(|n| world.emit(n));
    world.log(3).await;
    let mut stream = world.subscribe("", &["agent.*"]).await;
    let bookmark = next(&mut stream).await.expect("it says where it stands");
    assert!(bookmark.caught_up && bookmark.events.is_empty());
    assert_eq!(bookmark.cursor, "3");
    let alive = next(&mut stream).await.expect("a sign of life");
    assert!(alive.caught_up && alive.events.is_empty());
    world
        .agent_registry
        .emit(world.tenant, "agent.registered", ("agent", "a"), json!({}));
    let (seen, cursor) = read(&mut stream, 1).await;
    assert_eq!((seen, cursor.as_str()), (vec!["a".to_owned()], "4"));
}

#[tokio::test]
async fn a_cursor_that_was_never_issued_is_refused() {
    let world = World::start().await;
    let ask = |cursor: &str| {
        let message = event::SubscribeEventsRequest {
            cursor: cursor.to_owned(),
            ..Default::default()
        };
        world.ask(message)
    };
    let beyond = world.events().subscribe_events(ask("999")).await;
    refused(beyond, Code::OutOfRange, Reason::CursorExpired);
    for wrong in ["x", "-1", "1.5"] {
        let answer = world.events().subscribe_events(ask(wrong)).await;
        refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    }
}

#[tokio::test]
async fn a_drain_ends_streams_with_unavailable() {
    let mut world = World::start().await;
    let mut stream = world.subscribe("", &[]).await;
    next(&mut stream).await.expect("it says where it stands");
    world.stop().await;
    let ended = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it must say why it ends"),
            Err(status) => break Fault::from(&status),
        }
    };
    assert_eq!(ended.code(), Code::Unavailable, "{ended}");
}

#[tokio::test]
async fn a_watch_shows_every_change_and_resumes() {
    let world = World::start().await;
    let watch = async |cursor: &str| -> Streaming<proto::WatchIncidentsResponse> {
        let filter = proto::IncidentFilter {
            severities: vec![proto::IncidentSeverity::High.into()],
            ..Default::default()
        };
        let message = proto::WatchIncidentsRequest {
            filter: Some(filter),
            cursor: cursor.to_owned(),
            only_new: false,
        };
        let request: Request<_> = world.ask(message);
        world
            .incidents()
            .watch_incidents(request)
            .await
            .expect("it begins")
            .into_inner()
    };
    let mut stream = watch("").await;
    let first = world.create().await;
    let mut cursor = String::new();
    let mut until = async |stream: &mut Streaming<proto::WatchIncidentsResponse>, etag: &str| {
        loop {
            let message = next(stream).await.expect("the watch goes on");
            message.cursor.clone_into(&mut cursor);
            let ids: BTreeSet<_> = message.incidents.iter().map(|one| &one.id).collect();
            assert_eq!(
                ids.len(),
                message.incidents.len(),
                "each at most once in a message"
            );
            if message.incidents.iter().any(|one| one.etag == etag) {
                return cursor.clone();
            }
        }
    };
    let cursor = until(&mut stream, &first.etag).await;
    drop(stream);
    let changed = world.acknowledge(&first.id).await.expect("it is detected");
    let mut stream = watch(&cursor).await;
    until(&mut stream, &changed.etag).await;
}
