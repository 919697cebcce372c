//! Two tenants see nothing of each other.

use reeve_contracts::audit::v1 as audit;
use reeve_contracts::event::v1 as event;
use reeve_contracts::incident::v1 as proto;
use reeve_ids::TenantId;
use reeve_status::{Code, Reason};
use reeve_testkit::authorize;

use crate::harness::{World, refused};

#[tokio::test]
async fn another_tenants_records_are_not_there() {
    let world = World::start().await;
    world.fail_task("t-1", "lint", "boom");
    let opened = world.opened(1).await;
    let other = world.authenticator.admin(TenantId::new());

    let get = proto::GetIncidentRequest {
        incident_id: opened.id.clone(),
    };
    let answer = world.incidents().get_incident(authorize(&other, get)).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
    let resolve = proto::AcknowledgeIncidentRequest {
        incident_id: opened.id.clone(),
        ..Default::default()
    };
    let answer = world
        .incidents()
        .acknowledge_incident(authorize(&other, resolve))
        .await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
    let rule = proto::DeleteRuleRequest {
        rule_id: opened.rule_id.clone(),
        etag: String::new(),
    };
    let answer = world.rules().delete_rule(authorize(&other, rule)).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
    let document = proto::GetPostmortemRequest {
        incident_id: opened.id.clone(),
    };
    let answer = world
        .incidents()
        .get_postmortem(authorize(&other, document))
        .await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
    let event = event::GetEventRequest {
        event_id: opened.evidence[0].event_id.clone(),
    };
    let answer = world.events().get_event(authorize(&other, event)).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);

    let list = authorize(&other, proto::ListIncidentsRequest::default());
    assert!(
        world
            .incidents()
            .list_incidents(list)
            .await
            .unwrap()
            .into_inner()
            .incidents
            .is_empty()
    );
    let list = authorize(&other, event::ListEventsRequest::default());
    assert!(
        world
            .events()
            .list_events(list)
            .await
            .unwrap()
            .into_inner()
            .events
            .is_empty()
    );
    let list = authorize(&other, audit::ListAuditEntriesRequest::default());
    assert!(
        world
            .audit()
            .list_audit_entries(list)
            .await
            .unwrap()
            .into_inner()
            .entries
            .is_empty()
    );
    let list = authorize(&other, proto::ListAlertsRequest::default());
    assert!(
        world
            .rules()
            .list_alerts(list)
            .await
            .unwrap()
            .into_inner()
            .alerts
            .is_empty()
    );
}

#[tokio::test]
async fn the_same_trouble_of_two_tenants_is_two_incidents() {
    let world = World::start().await;
    let second = TenantId::new();
    let key = world.authenticator.admin(second);
    let data = serde_json::json!({"type": "lint", "dead": true, "error_message": "boom"});
    for tenant in [world.tenant, second] {
        world
            .task_queue
            .emit(tenant, "task.failed", ("task", "t-1"), data.clone());
    }
    let first = world.opened(1).await;
    let other = reeve_testkit::eventually(|| async {
        let list = authorize(&key, proto::ListIncidentsRequest::default());
        let listed = world
            .incidents()
            .list_incidents(list)
            .await
            .expect("the list answers");
        listed.into_inner().incidents.into_iter().next()
    })
    .await;
    assert_ne!(first.incident_key, other.incident_key);
    // Each tenant's log is numbered and chained by itself.
    for key in [&world.admin, &key] {
        let verify = authorize(key, audit::VerifyAuditLogRequest::default());
        let verdict = world
            .audit()
            .verify_audit_log(verify)
            .await
            .unwrap()
            .into_inner();
        assert!(verdict.intact && verdict.checked_count >= 1, "{verdict:?}");
    }
}
