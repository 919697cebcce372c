//! Answers fit into a message, however large what they tell of is.

use std::collections::BTreeSet;

use reeve_contracts::audit::v1 as audit;
use reeve_contracts::event::v1 as event;
use reeve_contracts::incident::v1 as proto;
use reeve_contracts::task::v1::{Attempt, Task, TaskError, TaskSpec};
use reeve_postgres::sqlx::{self, AssertSqlSafe};
use reeve_testkit::eventually;
use serde_json::json;

use crate::harness::{World, report};

/// What tonic lets a client take, unless it asks for more.
const MESSAGE: usize = 4 * 1024 * 1024;

impl World {
    /// Puts entries into the tenant's log, as many as would take a while to come as events.
    async fn fill(&self, count: i64, data: &str) {
        let fill = format!(
            "set search_path = incident;
             insert into event select '{tenant}', n, gen_random_uuid(), 'finance', n, 'usage.recorded',
                 'usage', n::text, now(), 'SERVICE', 'service:finance', 'finance', '', '', {data},
                 now(), sha256(''), sha256('') from generate_series(1, {count}) n;
             insert into tenant_log values ('{tenant}', {count}, sha256(''))",
            tenant = self.tenant,
        );
        let mut admin = self.database.admin().await;
        sqlx::raw_sql(AssertSqlSafe(fill))
            .execute(&mut admin)
            .await
            .expect("an administrator may");
    }
}

#[tokio::test]
async fn streams_and_pages_of_large_events_fit() {
    let world = World::start().await;
    let large = "jsonb_build_object('text', repeat('x', 10000))";
    world.fill(600, large).await;
    let request = event::SubscribeEventsRequest::default();
    let mut stream = world
        .events()
        .subscribe_events(world.ask(request))
        .await
        .expect("it begins")
        .into_inner();
    let mut positions = Vec::new();
    while positions.len() < 600 {
        let message = stream
            .message()
            .await
            .expect("it fits")
            .expect("it goes on");
        positions.extend(message.events.iter().map(|event| event.position));
        let last = positions.last().expect("the first message holds some");
        assert_eq!(message.cursor, last.to_string());
        assert_eq!(message.caught_up, *last == 600);
    }
    assert_eq!(positions, (1..=600).collect::<Vec<_>>());

    let (mut listed, mut token) = (Vec::new(), String::new());
    loop {
        let request = event::ListEventsRequest {
            page_size: 1_000,
            page_token: token,
            ..Default::default()
        };
        let page = world.events().list_events(world.ask(request)).await;
        let page = page.expect("it fits").into_inner();
        listed.extend(page.events.iter().map(|event| event.position));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, positions);
    let request = audit::ListAuditEntriesRequest {
        page_size: 1_000,
        ..Default::default()
    };
    let page = world.audit().list_audit_entries(world.ask(request)).await;
    let page = page.expect("it fits").into_inner();
    assert!(!page.next_page_token.is_empty() && !page.entries.is_empty());
}

#[tokio::test]
async fn a_subscription_passes_long_stretches_that_it_does_not_want() {
    let world = World::start().await;
    world.fill(45_000, "'{}'").await;
    world
        .task_queue
        .emit(world.tenant, "task.created", ("task", "t-1"), json!({}));
    let request = event::SubscribeEventsRequest {
        filter: Some(event::EventFilter {
            types: vec!["task.*".to_owned()],
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut stream = world
        .events()
        .subscribe_events(world.ask(request))
        .await
        .expect("it begins")
        .into_inner();
    loop {
        let message = stream
            .message()
            .await
            .expect("it reads on")
            .expect("it goes on");
        if let [found] = message.events.as_slice() {
            assert_eq!((found.position, message.cursor.as_str()), (45_001, "45001"));
            break;
        }
    }
}

#[tokio::test]
async fn a_list_passes_long_stretches_that_it_does_not_want() {
    let world = World::start().await;
    world.fill(100_500, "'{}'").await;
    let emit = |task| {
        let resource = ("task", task);
        world
            .task_queue
            .emit(world.tenant, "task.created", resource, json!({}));
    };
    emit("t-1");
    eventually(|| async {
        let request = event::ListEventsRequest {
            newest_first: true,
            page_size: 1,
            ..Default::default()
        };
        let newest = world.events().list_events(world.ask(request)).await;
        newest.expect("it answers").into_inner().events[0].position == 100_501
    })
    .await;
    for newest_first in [false, true] {
        let (mut found, mut token, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let request = event::ListEventsRequest {
                filter: Some(event::EventFilter {
                    types: vec!["task.*".to_owned()],
                    ..Default::default()
                }),
                newest_first,
                page_token: token,
                ..Default::default()
            };
            let page = world.events().list_events(world.ask(request)).await;
            let page = page.expect("it answers").into_inner();
            found.extend(page.events.iter().map(|event| event.position));
            pages += 1;
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!((found, pages), (vec![100_501], 2), "{newest_first}");
    }
}

#[tokio::test]
async fn pages_and_watches_of_large_incidents_fit() {
    let world = World::start().await;
    let mut made = BTreeSet::new();
    for _ in 0..75 {
        let request = proto::CreateIncidentRequest {
            description: "€".repeat(16_384),
            ..report()
        };
        let answer = world.incidents().create_incident(world.ask(request)).await;
        let incident = answer.expect("it is made").into_inner().incident;
        made.insert(incident.expect("it is there").id);
    }
    let (mut listed, mut token) = (BTreeSet::new(), String::new());
    loop {
        let request = proto::ListIncidentsRequest {
            page_size: 1_000,
            page_token: token,
            filter: None,
        };
        let page = world.incidents().list_incidents(world.ask(request)).await;
        let page = page.expect("it fits").into_inner();
        listed.extend(page.incidents.into_iter().map(|incident| incident.id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, made);
    world.log(75).await;
    let request = proto::WatchIncidentsRequest::default();
    let mut stream = world
        .incidents()
        .watch_incidents(world.ask(request))
        .await
        .expect("it begins")
        .into_inner();
    let mut seen = BTreeSet::new();
    while seen.len() < 75 {
        let message = stream
            .message()
            .await
            .expect("it fits")
            .expect("it goes on");
        seen.extend(message.incidents.into_iter().map(|incident| incident.id));
    }
    assert_eq!(seen, made);
}

#[tokio::test]
async fn a_change_of_a_very_large_incident_is_answered() {
    let world = World::start().await;
    let error = TaskError {
        message: "€".repeat(4_096),
        ..Default::default()
    };
    let attempt = Attempt {
        error: Some(error.clone()),
        ..Default::default()
    };
    for n in 0..20 {
        let task = format!("t-{n}");
        world.task_queue.know(Task {
            id: task.clone(),
            spec: Some(TaskSpec::default()),
            attempts: vec![attempt.clone(); 20],
            error: Some(error.clone()),
            ..Default::default()
        });
        let data = json!({
            "type": "lint", "dead": true, "error_message": "€".repeat(4_096),
            "labels": "x".repeat(40_000),
        });
        world
            .task_queue
            .emit(world.tenant, "task.failed", ("task", &task), data);
    }
    let opened = world.opened(1).await;
    let settled = |incident: &proto::Incident| {
        incident.signal_count == 20
            && incident
                .evidence
                .iter()
                .all(|one| one.collect_time.is_some())
    };
    world.becomes(&opened.id, settled).await;
    for _ in 0..100 {
        let update = proto::AddStatusUpdateRequest {
            incident_id: opened.id.clone(),
            message: "€".repeat(4_096),
            ..Default::default()
        };
        world
            .incidents()
            .add_status_update(world.ask(update))
            .await
            .expect("the answer fits");
    }
    let whole = world.acknowledge(&opened.id).await.expect("it fits");
    assert!(prost::Message::encoded_len(&whole) < MESSAGE);
    let timeline = whole.timeline.expect("a whole incident has one");
    assert!(timeline.intact && !timeline.events.is_empty());
    let last = timeline.events.last().expect("there are some");
    assert_eq!(last.sequence, timeline.event_count, "the newest are shown");
}
