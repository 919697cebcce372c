//! Watch streams: the current state, then every change, from any cursor on.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::StreamExt as _;
use reeve_contracts::agent::v1::{
    AgentChangeKind, AgentState, DeleteAgentRequest, WatchAgentsRequest, WatchAgentsResponse,
};
use reeve_status::{Code, Reason};
use reeve_testkit::authorize;
use tonic::Streaming;

use crate::harness::{World, datum, id_of, refused, refused_status};

async fn watch(world: &World, cursor: &str) -> Streaming<WatchAgentsResponse> {
    let request = WatchAgentsRequest {
        cursor: cursor.to_owned(),
        agent_ids: Vec::new(),
    };
    world
        .agents()
        .watch_agents(world.ask(request))
        .await
        .unwrap()
        .into_inner()
}

async fn next(stream: &mut Streaming<WatchAgentsResponse>) -> WatchAgentsResponse {
    stream
        .next()
        .await
        .expect("the stream goes on")
        .expect("it is no error")
}

/// The next message that is not a bookmark.
async fn next_change(stream: &mut Streaming<WatchAgentsResponse>) -> WatchAgentsResponse {
    loop {
        let message = next(stream).await;
        if message.kind() != AgentChangeKind::Bookmark {
            return message;
        }
    }
}

fn told(message: &WatchAgentsResponse) -> String {
    let event = message.event.as_ref().expect("a change has its event");
    match event.r#type.as_str() {
        "agent.transitioned" => format!("{}>{}", datum(event, "from"), datum(event, "to")),
        other => other.to_owned(),
    }
}

#[tokio::test]
async fn a_watch_begins_with_the_current_state_and_goes_on_with_changes() {
    let world = World::start().await;
    let first = id_of(&world.active("first").await);
    let second = id_of(&world.register("second").await);
    // All that happened so far is relayed, so that none of it comes as a change.
    world
        .events(|events| {
            crate::harness::edges(events, &second).len() == 1
                && events
                    .last()
                    .is_some_and(|e| e.r#type == "agent.registered")
        })
        .await;
    let mut stream = watch(&world, "").await;
    let mut seen = Vec::new();
    loop {
        let message = next(&mut stream).await;
        match message.kind() {
            AgentChangeKind::Current => seen.push(message.agent.unwrap().id),
            AgentChangeKind::Bookmark => break,
            other => panic!("{other:?} before the current state was told"),
        }
    }
    assert_eq!(seen, [first.clone(), second]);
    world
        .transition(&first, AgentState::Maintenance)
        .await
        .unwrap();
    let change = loop {
        let change = next_change(&mut stream).await;
        if told(&change) == "ACTIVE>MAINTENANCE" {
            break change;
        }
    };
    assert_eq!(change.kind(), AgentChangeKind::Changed);
    assert_eq!(change.agent.unwrap().state(), AgentState::Maintenance);
}

#[tokio::test]
async fn a_watch_that_breaks_at_any_message_loses_nothing() {
    let world = World::start().await;
    let mut stream = watch(&world, "").await;
    let mut cursor = next(&mut stream).await.cursor;
    drop(stream);
    let id = id_of(&world.active("walker").await);
    let way = [
        AgentState::Maintenance,
        AgentState::Inactive,
        AgentState::Active,
        AgentState::Draining,
        AgentState::Inactive,
        AgentState::Stopping,
        AgentState::Offline,
    ];
    for state in way {
        world.transition(&id, state).await.unwrap();
    }
    let delete = DeleteAgentRequest {
        agent_id: id.clone(),
        etag: String::new(),
    };
    world
        .agents()
        .delete_agent(world.ask(delete))
        .await
        .unwrap();
    // A new stream for each message.
    let mut history = Vec::new();
    loop {
        let mut stream = watch(&world, &cursor).await;
        let message = next_change(&mut stream).await;
        cursor.clone_from(&message.cursor);
        history.push(told(&message));
        assert_eq!(message.agent.as_ref().unwrap().id, id);
        if message.kind() == AgentChangeKind::Deleted {
            break;
        }
    }
    assert_eq!(
        history,
        [
            "OFFLINE>STARTING",
            "agent.registered",
            "STARTING>ACTIVE",
            "ACTIVE>MAINTENANCE",
            "MAINTENANCE>INACTIVE",
            "INACTIVE>ACTIVE",
            "ACTIVE>DRAINING",
            "DRAINING>INACTIVE",
            "INACTIVE>STOPPING",
            "STOPPING>OFFLINE",
            "agent.deleted",
        ]
    );
}

#[tokio::test]
async fn a_watch_that_breaks_within_the_current_state_resumes_there() {
    let mut world = World::start().await;
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(id_of(&world.register(&format!("agent-{number}")).await));
    }
    let mut stream = watch(&world, "").await;
    let first = next(&mut stream).await;
    assert_eq!(first.agent.unwrap().id, ids[0]);
    drop(stream);
    // Another process of the registry goes on where the first one was.
    world.stop().await;
    world.run().await;
    let mut stream = watch(&world, &first.cursor).await;
    for id in &ids[1..] {
        let message = next(&mut stream).await;
        assert_eq!(message.kind(), AgentChangeKind::Current);
        assert_eq!(&message.agent.unwrap().id, id);
    }
    assert_eq!(next(&mut stream).await.kind(), AgentChangeKind::Bookmark);
}

#[tokio::test]
async fn a_silent_watch_brings_bookmarks_that_can_be_resumed() {
    let world = World::with(&[("watch.bookmark_period", "20ms")]).await;
    let mut stream = watch(&world, "").await;
    let mut cursor = String::new();
    for _ in 0..3 {
        let message = next(&mut stream).await;
        assert_eq!(message.kind(), AgentChangeKind::Bookmark);
        assert!(message.agent.is_none() && message.event.is_none());
        cursor = message.cursor;
    }
    world.register("later").await;
    let mut stream = watch(&world, &cursor).await;
    assert_eq!(told(&next_change(&mut stream).await), "OFFLINE>STARTING");
}

#[tokio::test]
async fn what_others_do_does_not_hold_bookmarks_back() {
    // Longer than the other tenant takes between two of its changes.
    let world = World::with(&[("watch.bookmark_period", "1s")]).await;
    let other = world.other_tenant("busy").await;
    let mut stream = watch(&world, "").await;
    let began = next(&mut stream).await;
    assert_eq!(began.kind(), AgentChangeKind::Bookmark);
    let busy = async {
        loop {
            let request = authorize(&other.secret, crate::harness::registration("busy"));
            world.agents().register_agent(request).await.unwrap();
        }
    };
    let later = async {
        loop {
            let message = next(&mut stream).await;
            assert_eq!(message.kind(), AgentChangeKind::Bookmark);
            if sequence(&message.cursor) > sequence(&began.cursor) {
                break;
            }
        }
    };
    tokio::select! {
        () = later => {}
        () = busy => unreachable!("it goes on for ever"),
    }
}

#[tokio::test]
async fn a_cursor_of_no_event_is_refused() {
    let world = World::start().await;
    let mut stream = watch(&world, "").await;
    let cursor = next(&mut stream).await.cursor;
    // More than the registry had at its start, so that some is in memory.
    let id = id_of(&world.active("busy").await);
    world
        .events(|events| crate::harness::edges(events, &id).len() == 2)
        .await;
    for made_up in [i64::MIN, -1, i64::MAX, sequence(&cursor) + 1_000_000] {
        let mut stream = watch(&world, &with_sequence(&cursor, made_up)).await;
        let end = stream.next().await.expect("an answer");
        refused_status(end, Code::OutOfRange, Reason::CursorExpired);
    }
}

/// A cursor as whoever knows its form can read it; it has no other secret.
fn parsed(cursor: &str) -> serde_json::Value {
    let json = URL_SAFE_NO_PAD
        .decode(cursor)
        .expect("a cursor is base64url");
    serde_json::from_slice(&json).expect("of JSON")
}

fn sequence(cursor: &str) -> i64 {
    parsed(cursor)["key"]["sequence"]
        .as_i64()
        .expect("a number")
}

fn with_sequence(cursor: &str, sequence: i64) -> String {
    let mut json = parsed(cursor);
    json["key"]["sequence"] = sequence.into();
    URL_SAFE_NO_PAD.encode(json.to_string())
}

#[tokio::test]
async fn a_watch_sees_its_tenant_and_its_agents_alone() {
    let world = World::start().await;
    let other = world.other_tenant("other").await;
    let followed = id_of(&world.register("followed").await);
    let request = WatchAgentsRequest {
        cursor: String::new(),
        agent_ids: vec![followed.clone()],
    };
    let mut one = world
        .agents()
        .watch_agents(world.ask(request))
        .await
        .unwrap()
        .into_inner();
    let request = WatchAgentsRequest::default();
    let stream = world
        .agents()
        .watch_agents(authorize(&other.secret, request))
        .await
        .unwrap();
    let mut foreign = stream.into_inner();
    let bookmark = next(&mut foreign).await;
    assert_eq!(
        bookmark.kind(),
        AgentChangeKind::Bookmark,
        "the other tenant has no agent"
    );

    world.register("ignored").await;
    world
        .transition(&followed, AgentState::Error)
        .await
        .unwrap();
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last| last != "STARTING>ERROR") {
        let message = next(&mut one).await;
        assert!(
            message
                .agent
                .as_ref()
                .is_none_or(|agent| agent.id == followed)
        );
        if message.event.is_some() {
            seen.push(told(&message));
        }
    }
    // The other tenant's next message is its own agent, though its stream passed all of these.
    let request = authorize(&other.secret, crate::harness::registration("own"));
    let own = world
        .agents()
        .register_agent(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        next_change(&mut foreign).await.agent.unwrap().id,
        id_of(&own)
    );
}

#[tokio::test]
async fn foreign_and_damaged_cursors_are_refused() {
    let world = World::start().await;
    let other = world.other_tenant("other").await;
    let cursor = next(&mut watch(&world, "").await).await.cursor;
    let request = WatchAgentsRequest {
        cursor: cursor.clone(),
        agent_ids: Vec::new(),
    };
    let answer = world
        .agents()
        .watch_agents(authorize(&other.secret, request))
        .await;
    refused(answer, Code::InvalidArgument, Reason::PageTokenInvalid);
    let request = WatchAgentsRequest {
        cursor: cursor[1..].to_owned(),
        agent_ids: Vec::new(),
    };
    let answer = world.agents().watch_agents(world.ask(request)).await;
    refused(answer, Code::InvalidArgument, Reason::PageTokenInvalid);
}

#[tokio::test]
async fn a_cursor_older_than_the_log_has_expired() {
    let mut world = World::start().await;
    let cursor = next(&mut watch(&world, "").await).await.cursor;
    let id = id_of(&world.active("busy").await);
    world
        .events(|events| crate::harness::edges(events, &id).len() == 2)
        .await;
    world.stop().await;
    // What the retention does after its time.
    let mut admin = world.database.admin().await;
    let dropped = "delete from agent_registry.event_log
        where last_sequence < (select last_sequence from agent_registry.event_head)";
    sqlx::query(dropped).execute(&mut admin).await.unwrap();
    world.run().await;
    world.transition(&id, AgentState::Error).await.unwrap();
    let mut stream = watch(&world, &cursor).await;
    let end = stream.next().await.expect("an answer");
    refused_status(end, Code::OutOfRange, Reason::CursorExpired);
}

#[tokio::test]
async fn a_cursor_before_a_log_that_was_emptied_has_expired() {
    let mut world = World::start().await;
    let cursor = next(&mut watch(&world, "").await).await.cursor;
    let id = id_of(&world.active("busy").await);
    world
        .events(|events| crate::harness::edges(events, &id).len() == 2)
        .await;
    world.stop().await;
    let mut admin = world.database.admin().await;
    let emptied = "delete from agent_registry.event_log";
    sqlx::query(emptied).execute(&mut admin).await.unwrap();
    world.run().await;
    let mut stream = watch(&world, &cursor).await;
    let end = stream.next().await.expect("an answer");
    refused_status(end, Code::OutOfRange, Reason::CursorExpired);
}

#[tokio::test]
async fn a_watch_ends_with_draining_when_the_server_stops() {
    let mut world = World::start().await;
    let mut stream = watch(&world, "").await;
    next(&mut stream).await;
    let (end, ()) = tokio::join!(stream.next(), world.stop());
    refused_status(
        end.expect("a last word"),
        Code::Unavailable,
        Reason::Draining,
    );
}
