//! What becomes of signals that come late, in the wrong order, for a graver rule, or beside another
//! tenant's trouble.

use chrono::{DateTime, TimeDelta, Utc};
use reeve_contracts::incident::v1 as proto;
use reeve_contracts::incident::v1::{IncidentCloseReason, IncidentEventType as Kind};
use reeve_ids::TenantId;
use reeve_postgres::sqlx::{self, AssertSqlSafe, PgConnection};
use reeve_testkit::{authorize, eventually};
use serde_json::json;

use crate::harness::{World, kinds, status};

impl World {
    /// A failure that will be retried, which occurred some time ago.
    fn stumble(&self, task: &str, ago: TimeDelta) {
        let data = json!({
            "type": "lint", "dead": false, "retry": true, "error_code": "EXIT",
            "error_message": "boom",
        });
        self.task_queue
            .emit_ago(self.tenant, "task.failed", ("task", task), data, ago);
    }

    /// A failure for good, which occurred at some time.
    fn fail_at(&self, task: &str, time: DateTime<Utc>) {
        let data = json!({
            "type": "lint", "dead": true, "error_code": "EXIT", "error_message": "boom",
        });
        let ago = Utc::now() - time;
        self.task_queue
            .emit_ago(self.tenant, "task.failed", ("task", task), data, ago);
    }

    async fn administer(&self) -> PgConnection {
        let mut admin = self.database.admin().await;
        execute(&mut admin, "set search_path = incident").await;
        admin
    }
}

async fn execute(connection: &mut PgConnection, sql: impl Into<String>) {
    let sql = sql.into();
    sqlx::raw_sql(AssertSqlSafe(sql.clone()))
        .execute(connection)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

#[tokio::test]
async fn what_came_back_before_the_close_reopens() {
    let world = World::start().await;
    world.fail_task("t-1", "lint", "boom");
    let id = world.opened(1).await.id;
    world.resolve(&id).await.expect("it is open");
    world.verify(&id).await.expect("it is resolved");
    let between = Utc::now();
    world
        .close(&id, IncidentCloseReason::Completed, "")
        .await
        .expect("all is there");
    world.fail_at("t-2", between);
    let back = world.becomes(&id, |incident| incident.round == 2).await;
    assert_eq!(status(&back), proto::IncidentStatus::Investigating);
}

#[tokio::test]
async fn the_reopen_window_begins_with_the_resolution() {
    let world = World::start().await;
    world.fail_task("t-1", "lint", "boom");
    let first = world.opened(1).await;
    world.resolve(&first.id).await.expect("it is open");
    world.verify(&first.id).await.expect("it is resolved");
    world
        .close(&first.id, IncidentCloseReason::Completed, "")
        .await
        .expect("all is there");
    let mut admin = world.administer().await;
    let long_ago = "update incident set round_start_time = now() - interval '3 hours',
                    acknowledge_time = now() - interval '2 hours',
                    resolve_time = now() - interval '2 hours'";
    execute(&mut admin, long_ago).await;
    world.fail_task("t-2", "lint", "boom");
    let second = world.opened(2).await;
    assert_eq!(second.related_incident_ids, [first.id]);
}

#[tokio::test]
async fn a_threshold_is_reached_whatever_the_order_of_arrival() {
    let world = World::start().await;
    for (task, seconds) in [(1, 60), (2, 50), (3, 40), (4, 1), (5, 2)] {
        world.stumble(&format!("t-{task}"), TimeDelta::seconds(seconds));
    }
    let opened = world.opened(1).await;
    assert!(opened.title.contains("5 times"), "{}", opened.title);
}

#[tokio::test]
async fn a_graver_rule_raises_the_incident_once() {
    let world = World::start().await;
    for n in 0..5 {
        world.stumble(&format!("t-{n}"), TimeDelta::zero());
    }
    let opened = world.opened(1).await;
    assert_eq!(opened.severity(), proto::IncidentSeverity::Medium);
    world.fail_task("t-1", "lint", "boom");
    let raised = world
        .becomes(&opened.id, |incident| incident.signal_count == 2)
        .await;
    assert_eq!(
        (raised.severity(), raised.priority()),
        (proto::IncidentSeverity::High, proto::IncidentPriority::P2)
    );
    let escalations = |incident: &proto::Incident| {
        let kinds = kinds(incident);
        kinds
            .iter()
            .filter(|kind| **kind == Kind::Escalated)
            .count()
    };
    assert_eq!(escalations(&raised), 1);
    // A person who knows better is not overruled by more of the same.
    let message = proto::SetIncidentPriorityRequest {
        incident_id: opened.id.clone(),
        severity: proto::IncidentSeverity::Low.into(),
        note: "a test machine".to_owned(),
        ..Default::default()
    };
    world
        .incidents()
        .set_incident_priority(world.ask(message))
        .await
        .expect("a person may");
    world.fail_task("t-2", "lint", "boom");
    let more = world
        .becomes(&opened.id, |incident| incident.signal_count == 3)
        .await;
    assert_eq!(more.severity(), proto::IncidentSeverity::Low);
    assert_eq!(escalations(&more), 1);
}

#[tokio::test]
async fn an_incident_is_locked_before_its_alerts() {
    let world = World::start().await;
    world.fail_task("t-1", "lint", "boom");
    let opened = world.opened(1).await;
    let settled = |incident: &proto::Incident| {
        let mut evidence = incident.evidence.iter();
        evidence.all(|one| one.collect_time.is_some())
    };
    world.becomes(&opened.id, settled).await;
    let mut holder = world.administer().await;
    execute(&mut holder, "begin; select from incident for update").await;
    world.fail_task("t-2", "lint", "boom");
    eventually(|| async {
        let query = sqlx::query_scalar::<_, bool>(
            "select exists (select from pg_stat_activity
             where wait_event_type = 'Lock' and datname = current_database())",
        );
        let mut watcher = world.administer().await;
        let found = query.fetch_one(&mut watcher).await;
        found.expect("the administrator may look")
    })
    .await;
    // As Resolve and Close do. Were the alert's row taken by what waits for us, this would wait for
    // ever, and PostgreSQL would end it.
    execute(&mut holder, "update alert set state = state; commit").await;
    world
        .becomes(&opened.id, |incident| incident.signal_count == 2)
        .await;
}

#[tokio::test]
async fn one_tenants_trouble_keeps_nobody_elses_from_opening() {
    let world = World::start().await;
    let healthy = TenantId::new();
    // Rules that no version of this service writes.
    let request = world.ask(proto::ListRulesRequest::default());
    world
        .rules()
        .list_rules(request)
        .await
        .expect("the list answers");
    let mut admin = world.administer().await;
    execute(&mut admin, "update rule set severity = 'NONSENSE'").await;
    world.fail_task("t-1", "lint", "boom");
    for n in 0..2 {
        let data = json!({"type": "lint", "dead": true, "error_message": "boom"});
        let task = format!("t-{n}");
        world
            .task_queue
            .emit(healthy, "task.failed", ("task", &task), data);
        let key = world.authenticator.admin(healthy);
        eventually(|| async {
            let request = authorize(&key, proto::ListIncidentsRequest::default());
            let listed = world
                .incidents()
                .list_incidents(request)
                .await
                .expect("the list answers");
            listed
                .into_inner()
                .incidents
                .first()
                .is_some_and(|incident| incident.signal_count == n + 1)
        })
        .await;
    }
}
