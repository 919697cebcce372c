//! The log of events, and the proof that it is whole.

use reeve_contracts::audit::v1 as proto;
use reeve_contracts::event::v1 as event;
use reeve_contracts::incident::v1 as incident;
use reeve_postgres::sqlx::{self, PgConnection};
use reeve_status::{Code, Reason};
use reeve_testkit::eventually;
use serde_json::json;

use crate::harness::{World, refused};

impl World {
    /// The whole log, once it has so many entries.
    pub async fn log(&self, count: usize) -> Vec<event::LoggedEvent> {
        eventually(|| async {
            let request = self.ask(event::ListEventsRequest {
                page_size: 1_000,
                ..Default::default()
            });
            let listed = self
                .events()
                .list_events(request)
                .await
                .expect("the list answers");
            let events = listed.into_inner().events;
            if events.len() == count {
                Ok(events)
            } else {
                Err(format!("{} events", events.len()))
            }
        })
        .await
    }

    async fn verdict(&self, first: i64, last: i64) -> proto::VerifyAuditLogResponse {
        let request = proto::VerifyAuditLogRequest {
            first_sequence: first,
            last_sequence: last,
        };
        let answer = self.audit().verify_audit_log(self.ask(request)).await;
        answer.expect("a verdict is an answer").into_inner()
    }

    async fn tamper(&self, sql: &'static str) {
        let mut admin: PgConnection = self.database.admin().await;
        sqlx::raw_sql("set search_path = incident; set session_replication_role = replica")
            .execute(&mut admin)
            .await
            .expect("an administrator may switch triggers off");
        let done = sqlx::raw_sql(sql)
            .execute(&mut admin)
            .await
            .expect("nothing stops it");
        assert!(done.rows_affected() > 0, "{sql}");
    }

    fn events_of(&self, count: usize) {
        for n in 0..count {
            let data = json!({"n": n, "pi": 3.25, "deep": {"b": [1, null, "ü"], "a": true}});
            self.task_queue
                .emit(self.tenant, "task.created", ("task", "t-1"), data);
        }
    }
}

#[tokio::test]
async fn every_event_is_recorded_once_in_order_with_its_facts() {
    let mut world = World::start().await;
    world.events_of(20);
    let log = world.log(20).await;
    for (index, entry) in log.iter().enumerate() {
        let number = i64::try_from(index).expect("few") + 1;
        let event = entry.event.as_ref().expect("an entry has its event");
        assert_eq!((entry.position, event.sequence), (number, number));
        assert_eq!(
            (event.source.as_str(), event.request_id.as_str()),
            ("task-queue", "request-1")
        );
    }
    // The cursor set back, as a restored backup would: the same events come again.
    world.stop().await;
    let mut admin = world.database.admin().await;
    let rewind = "update incident.consumer_cursor set sequence = 0 where source = 'task-queue'";
    sqlx::raw_sql(rewind)
        .execute(&mut admin)
        .await
        .expect("an administrator may");
    world.run().await;
    world.events_of(1);
    world.log(21).await;
    assert!(world.verdict(0, 0).await.intact);
}

#[tokio::test]
async fn an_untouched_log_is_intact_in_whole_and_in_part() {
    let world = World::start().await;
    assert_eq!(world.verdict(0, 0).await.checked_count, 0);
    world.events_of(10);
    world.log(10).await;
    let whole = world.verdict(0, 0).await;
    assert!(whole.intact, "{whole:?}");
    assert_eq!((whole.checked_count, whole.last_sequence), (10, 10));
    let part = world.verdict(4, 7).await;
    assert!(part.intact && part.checked_count == 4, "{part:?}");
}

#[tokio::test]
async fn an_edited_entry_is_found() {
    let world = World::start().await;
    world.events_of(8);
    world.log(8).await;
    world
        .tamper("update event set actor_subject = 'key:somebody-else' where position = 5")
        .await;
    let verdict = world.verdict(0, 0).await;
    assert!(!verdict.intact);
    assert_eq!(
        (verdict.first_broken_sequence, verdict.fault()),
        (5, proto::AuditFault::Content)
    );
    assert_eq!(verdict.checked_count, 4);
}

#[tokio::test]
async fn a_removed_entry_is_found_in_the_middle_and_at_the_end() {
    let world = World::start().await;
    world.events_of(8);
    world.log(8).await;
    world.tamper("delete from event where position = 8").await;
    let verdict = world.verdict(0, 0).await;
    assert_eq!(
        (verdict.first_broken_sequence, verdict.fault()),
        (8, proto::AuditFault::Missing)
    );
    world.tamper("delete from event where position = 3").await;
    let verdict = world.verdict(0, 0).await;
    assert_eq!(
        (verdict.first_broken_sequence, verdict.fault()),
        (3, proto::AuditFault::Missing)
    );
}

#[tokio::test]
async fn audit_entries_are_found_by_who_what_and_when() {
    let world = World::start().await;
    let incident = world.create().await;
    world
        .acknowledge(&incident.id)
        .await
        .expect("it is detected");
    world.events_of(3);
    world.log(5).await;
    let list = async |request: proto::ListAuditEntriesRequest| {
        let answer = world.audit().list_audit_entries(world.ask(request)).await;
        answer.expect("the list answers").into_inner()
    };
    let all = list(proto::ListAuditEntriesRequest::default())
        .await
        .entries;
    assert!(
        all.windows(2)
            .all(|pair| pair[0].sequence > pair[1].sequence),
        "newest first"
    );
    assert!(
        all.windows(2)
            .all(|pair| pair[0].previous_hash == pair[1].hash),
        "chained"
    );
    let by = |request| async { list(request).await.entries.len() };
    let base = proto::ListAuditEntriesRequest::default;
    assert_eq!(
        by(proto::ListAuditEntriesRequest {
            principal: "key:agent".into(),
            ..base()
        })
        .await,
        3
    );
    assert_eq!(
        by(proto::ListAuditEntriesRequest {
            action: "incident.*".into(),
            ..base()
        })
        .await,
        2
    );
    let opened = proto::ListAuditEntriesRequest {
        action: "incident.opened".into(),
        ..base()
    };
    assert_eq!(by(opened).await, 1);
    let about = proto::ListAuditEntriesRequest {
        resource_id: incident.id.clone(),
        ..base()
    };
    assert_eq!(by(about).await, 2);
    let early = all[4].occur_time.expect("an entry has a time");
    let before = proto::ListAuditEntriesRequest {
        max_occur_time: Some(early),
        ..base()
    };
    assert_eq!(by(before).await, 0);
    let page = list(proto::ListAuditEntriesRequest {
        page_size: 3,
        ..base()
    })
    .await;
    let rest = proto::ListAuditEntriesRequest {
        page_size: 3,
        page_token: page.next_page_token.clone(),
        ..base()
    };
    assert_eq!((page.entries.len(), list(rest).await.entries.len()), (3, 2));
    let foreign = proto::ListAuditEntriesRequest {
        page_token: page.next_page_token,
        action: "task.*".into(),
        ..base()
    };
    let answer = world.audit().list_audit_entries(world.ask(foreign)).await;
    refused(answer, Code::InvalidArgument, Reason::PageTokenInvalid);
}

#[tokio::test]
async fn events_are_found_by_filter_and_by_id() {
    let world = World::start().await;
    world.events_of(3);
    world.agent_registry.emit(
        world.tenant,
        "agent.registered",
        ("agent", "a-1"),
        json!({}),
    );
    let log = world.log(4).await;
    let count = async |filter: event::EventFilter| {
        let request = event::ListEventsRequest {
            filter: Some(filter),
            ..Default::default()
        };
        let answer = world.events().list_events(world.ask(request)).await;
        answer.expect("the list answers").into_inner().events.len()
    };
    let base = event::EventFilter::default;
    assert_eq!(
        count(event::EventFilter {
            sources: vec!["agent-registry".into()],
            ..base()
        })
        .await,
        1
    );
    assert_eq!(
        count(event::EventFilter {
            types: vec!["task.*".into()],
            ..base()
        })
        .await,
        3
    );
    let either = vec!["task.created".into(), "agent.*".into()];
    assert_eq!(
        count(event::EventFilter {
            types: either,
            ..base()
        })
        .await,
        4
    );
    assert_eq!(
        count(event::EventFilter {
            resource_id: "a-1".into(),
            ..base()
        })
        .await,
        1
    );
    let id = log[0]
        .event
        .as_ref()
        .expect("an entry has its event")
        .id
        .clone();
    let one = world
        .events()
        .get_event(world.ask(event::GetEventRequest { event_id: id }))
        .await;
    assert_eq!(
        one.expect("it is there").into_inner().event.as_ref(),
        Some(&log[0])
    );
    let newest = event::ListEventsRequest {
        newest_first: true,
        page_size: 1,
        ..Default::default()
    };
    let newest = world
        .events()
        .list_events(world.ask(newest))
        .await
        .expect("the list answers");
    assert_eq!(newest.into_inner().events[0].position, 4);
}

#[tokio::test]
async fn whoever_changes_a_rule_is_in_the_audit_trail() {
    let world = World::start().await;
    let listed = world
        .rules()
        .list_rules(world.ask(Default::default()))
        .await;
    let rule = listed
        .expect("the list answers")
        .into_inner()
        .rules
        .remove(0);
    let update = incident::UpdateRuleRequest {
        rule_id: rule.id.clone(),
        rule: Some(incident::Rule::default()),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["enabled".to_owned()],
        }),
        etag: String::new(),
    };
    world
        .rules()
        .update_rule(world.ask(update))
        .await
        .expect("it is there");
    let delete = incident::DeleteRuleRequest {
        rule_id: rule.id.clone(),
        etag: String::new(),
    };
    world
        .rules()
        .delete_rule(world.ask(delete))
        .await
        .expect("it is there");
    let create = incident::CreateRuleRequest {
        request_id: "r".to_owned(),
        rule: Some(incident::Rule {
            id: String::new(),
            etag: String::new(),
            ..rule.clone()
        }),
    };
    for _ in 0..2 {
        world
            .rules()
            .create_rule(world.ask(create.clone()))
            .await
            .expect("the name is free");
    }
    let log = world.log(3).await;
    let events: Vec<_> = log.into_iter().filter_map(|entry| entry.event).collect();
    let kinds: Vec<_> = events.iter().map(|event| event.r#type.as_str()).collect();
    assert_eq!(kinds, ["rule.updated", "rule.deleted", "rule.created"]);
    for event in &events[..2] {
        assert_eq!(
            (event.resource_type.as_str(), &event.resource_id),
            ("rule", &rule.id)
        );
        let actor = event.actor.as_ref().expect("somebody did it");
        assert!(actor.subject.starts_with("key:"), "{actor:?}");
    }
    let data = events[0].data.clone().expect("it tells what");
    let data = reeve_wellknown::json_from_struct(data);
    assert_eq!(data["changed"], json!(["enabled"]));
    assert_eq!(
        (&data["name"], &data["enabled"]),
        (&json!(rule.name), &json!(false))
    );
}

#[tokio::test]
async fn a_timeline_that_lost_entries_is_not_intact() {
    let world = World::start().await;
    let id = world.create().await.id;
    world.acknowledge(&id).await.expect("it is detected");
    let intact = async || {
        let timeline = world.get(&id).await.timeline;
        let request = world.ask(incident::GetPostmortemRequest {
            incident_id: id.clone(),
        });
        let document = world.incidents().get_postmortem(request).await;
        let document = document.expect("it is made").into_inner().postmortem;
        let says = document.expect("it is there").markdown;
        let answer = timeline.expect("it has one").intact;
        assert_eq!(says.contains("The timeline is intact"), answer);
        answer
    };
    assert!(intact().await);
    world
        .tamper("delete from incident_event where sequence = 2")
        .await;
    assert!(!intact().await, "the end is missing");
    world.tamper("delete from incident_event").await;
    assert!(!intact().await, "all is missing");
}
