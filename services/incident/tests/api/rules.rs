//! From events to incidents.

use chrono::TimeDelta;
use reeve_contracts::event::v1::ListEventsRequest;
use reeve_contracts::incident::v1 as proto;
use reeve_contracts::incident::v1::{EvidenceState, IncidentEventType as Kind, IncidentStatus};
use reeve_contracts::task::v1::{Task, TaskSpec, TaskState};
use reeve_ids::{RuleId, TaskId};
use reeve_status::{Code, Reason};
use reeve_testkit::eventually;
use serde_json::json;

use crate::harness::{AGENT, World, kinds, refused, status, wrong_fields};
use crate::peer::TRACE_ID;

impl World {
    async fn rule(&self, name: &str) -> proto::Rule {
        let request = self.ask(proto::ListRulesRequest::default());
        let listed = self
            .rules()
            .list_rules(request)
            .await
            .expect("the list answers")
            .into_inner();
        let found = listed.rules.into_iter().find(|rule| rule.name == name);
        found.unwrap_or_else(|| panic!("there is no rule {name}"))
    }

    async fn alerts(&self) -> Vec<proto::Alert> {
        let request = self.ask(proto::ListAlertsRequest::default());
        self.rules()
            .list_alerts(request)
            .await
            .expect("the list answers")
            .into_inner()
            .alerts
    }
}

#[tokio::test]
async fn a_dead_task_opens_an_incident_with_its_evidence() {
    let world = World::start().await;
    let task = TaskId::new().to_string();
    world.task_queue.know(Task {
        id: task.clone(),
        spec: Some(TaskSpec {
            r#type: "lint".to_owned(),
            ..Default::default()
        }),
        state: TaskState::Failed.into(),
        dead: true,
        attempt: 3,
        ..Default::default()
    });
    for attempt in 1..=2 {
        world.task_queue.emit(
            world.tenant,
            "task.failed",
            ("task", &task),
            json!({"type": "lint", "attempt": attempt, "retry": true, "dead": false,
                   "error_code": "EXIT", "error_message": "status 1"}),
        );
    }
    world.fail_task(&task, "lint", "status 1");
    let opened = world.opened(1).await;
    assert_eq!(status(&opened), IncidentStatus::Detected);
    assert_eq!(opened.title, "Task lint failed for good: EXIT: status 1");
    assert_eq!(
        (opened.source(), opened.signal_count),
        (proto::IncidentSource::Rule, 1)
    );
    assert_eq!(opened.project_id, "p-1");
    let collected = world
        .becomes(&opened.id, |incident| {
            incident.evidence[0].state() == EvidenceState::Collected
        })
        .await;
    let evidence = &collected.evidence[0];
    assert_eq!(
        (evidence.task_id.as_str(), evidence.agent_id.as_str()),
        (&*task, AGENT)
    );
    assert_eq!(
        (
            evidence.error_code.as_str(),
            evidence.error_message.as_str()
        ),
        ("EXIT", "status 1")
    );
    assert_eq!(evidence.trace_id, TRACE_ID);
    let attempts: Vec<_> = evidence
        .attempts
        .iter()
        .map(|attempt| attempt.attempt)
        .collect();
    assert_eq!(attempts, [1, 2, 3]);
    assert!(
        evidence
            .task
            .as_ref()
            .expect("it was collected")
            .fields
            .contains_key("state")
    );
    assert_eq!(kinds(&collected), [Kind::Detected, Kind::EvidenceCollected]);
}

#[tokio::test]
async fn an_incident_opens_while_task_queue_does_not_know_the_task() {
    let world = World::start().await;
    world.fail_task("no-such-task", "lint", "boom");
    let opened = world.opened(1).await;
    let settled = world
        .becomes(&opened.id, |incident| {
            incident.evidence[0].state() == EvidenceState::Incomplete
        })
        .await;
    assert_eq!(
        settled.evidence[0].incomplete_reason,
        "task-queue does not know the task"
    );
    assert_eq!(
        settled.evidence[0].error_message, "boom",
        "the event's own facts are there"
    );
}

#[tokio::test]
async fn the_same_trouble_is_one_incident_and_another_is_another() {
    let world = World::start().await;
    for n in 0..9 {
        world.fail_task(&format!("t-{n}"), "lint", &format!("status {n}"));
    }
    world.fail_task("t-x", "build", "status 1");
    let newest = world.opened(2).await;
    assert!(newest.title.contains("build"), "{}", newest.title);
    let listed = world.list().await;
    let nine = world
        .becomes(&listed[1].id, |incident| incident.signal_count == 9)
        .await;
    // The burst rule saw the same events; each still counts once, and the timeline tells of the
    // powers of two.
    let repeats = kinds(&nine)
        .into_iter()
        .filter(|kind| *kind == Kind::SignalAttached)
        .count();
    assert_eq!(repeats, 3, "2, 4 and 8");
    assert_eq!(nine.evidence.len(), 9);
    let alerts = world.alerts().await;
    let firing = alerts
        .iter()
        .filter(|alert| alert.incident_id == nine.id)
        .count();
    assert_eq!(firing, 2, "one alert of each rule: {alerts:#?}");
}

#[tokio::test]
async fn failures_below_the_threshold_are_counted_and_no_more() {
    let world = World::start().await;
    let fail = |task: &str, ago: TimeDelta| {
        let data = json!({"type": "lint", "dead": false, "retry": true, "error_message": "x"});
        world
            .task_queue
            .emit_ago(world.tenant, "task.failed", ("task", task), data, ago);
    };
    // Six failures, of which four lie within ten minutes of the newest.
    for n in 0..2 {
        fail(&format!("old-{n}"), TimeDelta::minutes(30));
    }
    for n in 0..4 {
        fail(&format!("t-{n}"), TimeDelta::minutes(5));
    }
    let counted = eventually(|| async {
        let alerts = world.alerts().await;
        alerts.into_iter().find(|alert| alert.signal_count == 6)
    })
    .await;
    assert_eq!(counted.state(), proto::AlertState::Counting);
    assert!(world.list().await.is_empty());
    fail("t-5", TimeDelta::zero());
    let opened = world.opened(1).await;
    assert_eq!(opened.title, "Task lint keeps failing (5 times): x");
    assert_eq!(opened.severity(), proto::IncidentSeverity::Medium);
}

#[tokio::test]
async fn steps_of_workflows_wait_for_the_engines_verdict() {
    let world = World::start().await;
    let origin = json!({"kind": "workflow", "resource_id": "run-1"});
    world.task_queue.emit(
        world.tenant,
        "task.failed",
        ("task", "t-1"),
        json!({"type": "lint", "dead": true, "origin": origin, "error_message": "no"}),
    );
    // The agent registry's server stands in for the engine: rules look at types, not at sources.
    eventually(|| async {
        let request = world.ask(ListEventsRequest::default());
        let logged = world.events().list_events(request).await.unwrap();
        !logged.into_inner().events.is_empty()
    })
    .await;
    assert!(world.list().await.is_empty());
    assert!(world.alerts().await.is_empty());
    world.agent_registry.emit(
        world.tenant,
        "execution.failed",
        ("execution", "run-1"),
        json!({"workflow": "deploy", "failed_step": "lint", "code": "EXIT", "message": "no"}),
    );
    let opened = world.opened(1).await;
    assert_eq!(opened.title, "Workflow deploy failed at lint: EXIT: no");
    let evidence = &opened.evidence[0];
    assert_eq!(
        (evidence.execution_id.as_str(), evidence.task_id.as_str()),
        ("run-1", "t-1")
    );
    assert_eq!(evidence.attempts.len(), 1);
}

#[tokio::test]
async fn a_lost_agent_opens_an_incident() {
    let world = World::start().await;
    let lost = json!({"name": "linter-1", "last_heartbeat_time": "2026-11-22T10:00:00Z"});
    for _ in 0..2 {
        let agent = ("agent", AGENT);
        world
            .agent_registry
            .emit(world.tenant, "agent.heartbeat_lost", agent, lost.clone());
    }
    let opened = world.opened(1).await;
    assert_eq!(opened.title, "Agent linter-1 stopped answering");
    assert_eq!(opened.category(), proto::IncidentCategory::Availability);
    let twice = world
        .becomes(&opened.id, |incident| incident.signal_count == 2)
        .await;
    assert_eq!(twice.evidence[0].agent_id, AGENT);
    assert_eq!(twice.evidence[0].state(), EvidenceState::Collected);
}

#[tokio::test]
async fn what_comes_back_reopens_and_a_false_alarm_does_not() {
    let world = World::start().await;
    world.fail_task("t-1", "lint", "boom");
    let first = world.opened(1).await;
    world.resolve(&first.id).await.expect("it is open");
    assert!(
        world
            .alerts()
            .await
            .iter()
            .all(|alert| alert.state() != proto::AlertState::Firing)
    );
    world.fail_task("t-2", "lint", "boom");
    let back = world
        .becomes(&first.id, |incident| incident.round == 2)
        .await;
    assert_eq!(status(&back), IncidentStatus::Investigating);
    assert!(
        back.acknowledge_time.is_none(),
        "a rule does not answer for a person"
    );
    world
        .acknowledge(&first.id)
        .await
        .expect("nobody has answered this round");
    let reason = proto::IncidentCloseReason::FalsePositive;
    world
        .close(&first.id, reason, "")
        .await
        .expect("it is investigated");
    world.fail_task("t-3", "lint", "boom");
    let second = world.opened(2).await;
    assert_eq!(second.related_incident_ids, [first.id]);
}

#[tokio::test]
async fn a_rule_can_be_made_changed_and_deleted() {
    let world = World::start().await;
    let rule = proto::Rule {
        name: "slow-deploys".to_owned(),
        enabled: true,
        event_types: vec!["task.completed".to_owned()],
        conditions: vec![proto::RuleCondition {
            field: "data.type".to_owned(),
            value: "deploy".to_owned(),
            negated: false,
        }],
        group_by: vec!["data.type".to_owned()],
        severity: proto::IncidentSeverity::Low.into(),
        priority: proto::IncidentPriority::P4.into(),
        category: proto::IncidentCategory::Performance.into(),
        title_template: "{{ data.type }} of {{ event.resource_id }}".to_owned(),
        ..Default::default()
    };
    let request = proto::CreateRuleRequest {
        request_id: "r".to_owned(),
        rule: Some(rule.clone()),
    };
    let made = world
        .rules()
        .create_rule(world.ask(request.clone()))
        .await
        .expect("it is made");
    let made = made.into_inner().rule.expect("the answer holds it");
    let again = world
        .rules()
        .create_rule(world.ask(request))
        .await
        .expect("it is repeated");
    assert_eq!(
        again.into_inner().rule.expect("the answer holds it").id,
        made.id
    );
    let taken = proto::CreateRuleRequest {
        request_id: String::new(),
        rule: Some(rule),
    };
    let answer = world.rules().create_rule(world.ask(taken)).await;
    refused(answer, Code::AlreadyExists, Reason::ResourceExists);

    let deploy = |id: &str| {
        let data = json!({"type": "deploy"});
        world
            .task_queue
            .emit(world.tenant, "task.completed", ("task", id), data);
    };
    deploy("t-1");
    let opened = world.opened(1).await;
    assert_eq!(
        (opened.title.as_str(), opened.rule_id.as_str()),
        ("deploy of t-1", &*made.id)
    );

    let update = |etag: &str, paths: &[&str]| proto::UpdateRuleRequest {
        rule_id: made.id.clone(),
        rule: Some(proto::Rule {
            enabled: false,
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }),
        etag: etag.to_owned(),
    };
    let answer = world
        .rules()
        .update_rule(world.ask(update("7", &["enabled"])))
        .await;
    refused(answer, Code::Aborted, Reason::EtagMismatch);
    let answer = world
        .rules()
        .update_rule(world.ask(update("", &["name"])))
        .await;
    assert_eq!(wrong_fields(answer), ["update_mask"]);
    let answer = world
        .rules()
        .update_rule(world.ask(update(&made.etag, &["enabled"])))
        .await;
    assert!(
        !answer
            .expect("the etag is current")
            .into_inner()
            .rule
            .expect("it is there")
            .enabled
    );
    deploy("t-2");
    world.fail_task("t-3", "lint", "later in the log");
    world.opened(2).await;
    assert_eq!(
        world.get(&opened.id).await.signal_count,
        1,
        "a disabled rule sees nothing"
    );

    let delete = || proto::DeleteRuleRequest {
        rule_id: made.id.clone(),
        etag: String::new(),
    };
    world
        .rules()
        .delete_rule(world.ask(delete()))
        .await
        .expect("it is there");
    let answer = world.rules().delete_rule(world.ask(delete())).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
}

#[tokio::test]
async fn a_deleted_built_in_rule_does_not_come_back() {
    let world = World::start().await;
    let lost = world.rule("agent-lost").await;
    assert!(lost.built_in && lost.enabled);
    let delete = proto::DeleteRuleRequest {
        rule_id: lost.id,
        etag: lost.etag,
    };
    world
        .rules()
        .delete_rule(world.ask(delete))
        .await
        .expect("it is there");
    world.agent_registry.emit(
        world.tenant,
        "agent.heartbeat_lost",
        ("agent", AGENT),
        json!({}),
    );
    world.fail_task("t-1", "lint", "boom");
    let opened = world.opened(1).await;
    assert!(opened.title.contains("lint"), "{}", opened.title);
    let request = world.ask(proto::ListRulesRequest {
        page_size: 2,
        page_token: String::new(),
    });
    let page = world
        .rules()
        .list_rules(request)
        .await
        .expect("the list answers")
        .into_inner();
    let names: Vec<_> = page.rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["execution-failed", "task-dead-letter"]);
    let request = world.ask(proto::ListRulesRequest {
        page_size: 2,
        page_token: page.next_page_token,
    });
    let page = world
        .rules()
        .list_rules(request)
        .await
        .expect("the list answers")
        .into_inner();
    assert_eq!((page.rules.len(), page.next_page_token.as_str()), (1, ""));
}

#[tokio::test]
async fn a_wrong_rule_names_every_fault() {
    let world = World::start().await;
    let condition = |field: &str| proto::RuleCondition {
        field: field.to_owned(),
        ..Default::default()
    };
    let rule = proto::Rule {
        name: "Bad Name".to_owned(),
        event_types: vec!["incident.opened".to_owned(), "task".to_owned()],
        conditions: ["tenant", "data.\0a"].map(condition).into(),
        group_by: vec!["data.\0a".to_owned()],
        threshold: 5,
        title_template: r#"{{ "x" * 100000000 }}"#.to_owned(),
        priority: 99,
        ..Default::default()
    };
    let request = proto::CreateRuleRequest {
        request_id: String::new(),
        rule: Some(rule),
    };
    let fields = wrong_fields(world.rules().create_rule(world.ask(request)).await);
    for field in [
        "rule.name",
        "rule.event_types",
        "rule.conditions[0].field",
        "rule.conditions[1].field",
        "rule.group_by",
        "rule.window_duration",
        "rule.title_template",
        "rule.severity",
        "rule.priority",
        "rule.category",
    ] {
        assert!(
            fields.iter().any(|found| found == field),
            "{field} is missing in {fields:?}"
        );
    }
    let unknown = proto::GetRuleRequest {
        rule_id: RuleId::new().to_string(),
    };
    let answer = world.rules().get_rule(world.ask(unknown)).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
}
