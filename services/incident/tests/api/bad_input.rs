//! What is refused, and with which fields.

use reeve_contracts::audit::v1 as audit;
use reeve_contracts::event::v1 as event;
use reeve_contracts::incident::v1 as proto;
use reeve_contracts::r#type::v1::Money;
use reeve_status::{Code, Reason};
use reeve_testkit::authorize;

use crate::harness::{World, refused, report, wrong_fields};

#[tokio::test]
async fn every_fault_of_a_report_is_named_and_nothing_is_written() {
    let world = World::start().await;
    let wrong = proto::CreateIncidentRequest {
        request_id: "r".repeat(129),
        title: " ".to_owned(),
        description: "d".repeat(16_385),
        severity: 0,
        priority: 99,
        category: -1,
        source: proto::IncidentSource::Rule.into(),
        labels: [("Bad Key".to_owned(), "v".to_owned())].into(),
        detect_time: Some(prost_types::Timestamp {
            seconds: 9_999_999_999,
            nanos: 0,
        }),
        related_incident_ids: vec!["x".to_owned()],
        ..Default::default()
    };
    let fields = wrong_fields(world.incidents().create_incident(world.ask(wrong)).await);
    assert_eq!(
        fields,
        [
            "category",
            "description",
            "detect_time",
            "labels",
            "priority",
            "related_incident_ids[0]",
            "request_id",
            "severity",
            "source",
            "title",
        ]
    );
    let unknown = proto::CreateIncidentRequest {
        related_incident_ids: vec![reeve_ids::IncidentId::new().to_string()],
        ..report()
    };
    let fields = wrong_fields(world.incidents().create_incident(world.ask(unknown)).await);
    assert_eq!(fields, ["related_incident_ids"]);
    assert!(world.list().await.is_empty());
}

#[tokio::test]
async fn ids_and_etags_must_be_ids_and_etags() {
    let world = World::start().await;
    let message = proto::AcknowledgeIncidentRequest {
        incident_id: "7".to_owned(),
        note: "n".repeat(4_097),
        etag: "new".to_owned(),
    };
    let answer = world
        .incidents()
        .acknowledge_incident(world.ask(message))
        .await;
    assert_eq!(wrong_fields(answer), ["etag", "incident_id", "note"]);
    let id = reeve_ids::IncidentId::new().to_string();
    refused(
        world.acknowledge(&id).await,
        Code::NotFound,
        Reason::ResourceNotFound,
    );
    let get = event::GetEventRequest {
        event_id: "x".to_owned(),
    };
    assert_eq!(
        wrong_fields(world.events().get_event(world.ask(get)).await),
        ["event_id"]
    );
}

#[tokio::test]
async fn resolutions_and_parts_are_checked() {
    let world = World::start().await;
    let id = world.create().await.id;
    let nothing = proto::ResolveIncidentRequest {
        incident_id: id.clone(),
        ..Default::default()
    };
    let fields = wrong_fields(world.incidents().resolve_incident(world.ask(nothing)).await);
    assert_eq!(
        fields,
        ["resolution", "resolution.summary", "resolution.type"]
    );
    let impact = proto::AddImpactRequest {
        incident_id: id.clone(),
        impact: Some(proto::IncidentImpact {
            affected_user_count: -1,
            business_impact: Some(Money {
                amount: "1e3".into(),
                currency_code: "EUR".into(),
            }),
            start_time: Some(prost_types::Timestamp {
                seconds: 2_000,
                nanos: 0,
            }),
            end_time: Some(prost_types::Timestamp {
                seconds: 1_000,
                nanos: 0,
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let fields = wrong_fields(world.incidents().add_impact(world.ask(impact)).await);
    assert_eq!(
        fields,
        [
            "impact.affected_user_count",
            "impact.business_impact",
            "impact.description",
            "impact.end_time",
            "impact.severity",
            "impact.type",
        ]
    );
    let action = proto::AddActionRequest {
        incident_id: id.clone(),
        action: Some(proto::IncidentAction {
            state: proto::IncidentActionState::Failed.into(),
            task_id: "x".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let fields = wrong_fields(world.incidents().add_action(world.ask(action)).await);
    assert_eq!(
        fields,
        [
            "action.description",
            "action.state",
            "action.task_id",
            "action.type"
        ]
    );
    let said = proto::RecordCommunicationRequest {
        incident_id: id.clone(),
        communication: Some(proto::IncidentCommunication::default()),
        ..Default::default()
    };
    let fields = wrong_fields(
        world
            .incidents()
            .record_communication(world.ask(said))
            .await,
    );
    assert_eq!(fields.len(), 5, "{fields:?}");
    let close = proto::CloseIncidentRequest {
        incident_id: id.clone(),
        ..Default::default()
    };
    let fields = wrong_fields(world.incidents().close_incident(world.ask(close)).await);
    assert_eq!(fields, ["reason"]);
    assert_eq!(world.get(&id).await.etag, "2", "nothing has changed");
}

#[tokio::test]
async fn filters_and_pages_are_checked() {
    let world = World::start().await;
    let wrong = event::ListEventsRequest {
        filter: Some(event::EventFilter {
            sources: vec!["postgres".into()],
            types: vec!["*.created".into()],
            min_occur_time: Some(prost_types::Timestamp {
                seconds: 2,
                nanos: 0,
            }),
            max_occur_time: Some(prost_types::Timestamp {
                seconds: 1,
                nanos: 0,
            }),
            ..Default::default()
        }),
        page_size: -1,
        ..Default::default()
    };
    let fields = wrong_fields(world.events().list_events(world.ask(wrong)).await);
    assert_eq!(
        fields,
        [
            "filter.max_occur_time",
            "filter.sources",
            "filter.types",
            "page_size"
        ]
    );
    let filter = proto::IncidentFilter {
        statuses: vec![99],
        severities: vec![0],
        rule_id: "x".into(),
        ..Default::default()
    };
    let wrong = proto::ListIncidentsRequest {
        filter: Some(filter),
        ..Default::default()
    };
    let fields = wrong_fields(world.incidents().list_incidents(world.ask(wrong)).await);
    assert_eq!(
        fields,
        [
            "filter.rule_id",
            "filter.severities[0]",
            "filter.statuses[0]"
        ]
    );
    let token = proto::ListIncidentsRequest {
        page_token: "not-a-token".into(),
        ..Default::default()
    };
    let answer = world.incidents().list_incidents(world.ask(token)).await;
    refused(answer, Code::InvalidArgument, Reason::PageTokenInvalid);
    let range = audit::VerifyAuditLogRequest {
        first_sequence: 5,
        last_sequence: 4,
    };
    let fields = wrong_fields(world.audit().verify_audit_log(world.ask(range)).await);
    assert_eq!(fields, ["last_sequence"]);
}

#[tokio::test]
async fn a_key_without_the_permission_is_refused() {
    let world = World::start().await;
    let reader = world
        .authenticator
        .key(world.tenant, &["incidents.get", "events.*"]);
    let id = world.create().await.id;
    let get = proto::GetIncidentRequest {
        incident_id: id.clone(),
    };
    world
        .incidents()
        .get_incident(authorize(&reader, get))
        .await
        .expect("it may read");
    let acknowledge = proto::AcknowledgeIncidentRequest {
        incident_id: id,
        ..Default::default()
    };
    let answer = world
        .incidents()
        .acknowledge_incident(authorize(&reader, acknowledge))
        .await;
    refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
    let verify = audit::VerifyAuditLogRequest::default();
    let answer = world
        .audit()
        .verify_audit_log(authorize(&reader, verify))
        .await;
    refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
}
