//! The verbs over gRPC. Every cell of the table is tested in the domain and in SQL; here, that the
//! verbs reach it, and the guards.

use reeve_contracts::incident::v1 as proto;
use reeve_contracts::incident::v1::IncidentEventType as Kind;
use reeve_contracts::incident::v1::{IncidentCloseReason, IncidentStatus};
use reeve_status::{Code, Reason};
use reeve_testkit::authorize;

use crate::harness::{World, kinds, refused, report, resolution, status};

#[tokio::test]
async fn an_incident_lives_from_report_to_close() {
    let world = World::start().await;
    let created = world.create().await;
    assert_eq!(status(&created), IncidentStatus::Detected);
    assert_eq!(created.source(), proto::IncidentSource::UserReport);
    let id = created.id;
    world.acknowledge(&id).await.expect("it is detected");
    world.investigate(&id).await.expect("it is acknowledged");
    let target = proto::StartMitigationRequest {
        incident_id: id.clone(),
        ..Default::default()
    };
    world
        .incidents()
        .start_mitigation(world.ask(target))
        .await
        .expect("it is investigated");
    let target = proto::MarkMitigatedRequest {
        incident_id: id.clone(),
        ..Default::default()
    };
    world
        .incidents()
        .mark_mitigated(world.ask(target))
        .await
        .expect("it is being mitigated");
    world.resolve(&id).await.expect("it is mitigated");
    world.verify(&id).await.expect("it is resolved");
    let closed = world
        .close(&id, IncidentCloseReason::Completed, "")
        .await
        .expect("all is there");
    assert_eq!(status(&closed), IncidentStatus::Closed);
    assert_eq!(
        kinds(&closed),
        [
            Kind::Detected,
            Kind::Acknowledged,
            Kind::InvestigationStarted,
            Kind::MitigationStarted,
            Kind::Mitigated,
            Kind::Resolved,
            Kind::ResolutionChanged,
            Kind::Closed,
        ]
    );
    let figures = closed.figures.expect("figures are computed");
    assert!(figures.acknowledge_duration.is_some() && figures.resolve_duration.is_some());
    assert!(!closed.response_clock.expect("there is a clock").breached);

    let reopen = proto::ReopenIncidentRequest {
        incident_id: id.clone(),
        note: "it is slow again".to_owned(),
        ..Default::default()
    };
    let answer = world
        .incidents()
        .reopen_incident(world.ask(reopen))
        .await
        .expect("it is closed");
    let reopened = answer.into_inner().incident.expect("the answer holds it");
    assert_eq!(
        (status(&reopened), reopened.round),
        (IncidentStatus::Investigating, 2)
    );
    assert_eq!(reopened.close_reason(), IncidentCloseReason::Unspecified);
    assert!(reopened.resolution.is_some(), "the last resolution stays");
}

#[tokio::test]
async fn a_forbidden_step_names_the_legal_ones() {
    let world = World::start().await;
    let id = world.create().await.id;
    let target = proto::MarkMitigatedRequest {
        incident_id: id.clone(),
        ..Default::default()
    };
    let answer = world.incidents().mark_mitigated(world.ask(target)).await;
    let fault = refused(
        answer,
        Code::FailedPrecondition,
        Reason::TransitionForbidden,
    );
    assert_eq!(
        fault.metadata()["legal"],
        "ACKNOWLEDGED, INVESTIGATING, RESOLVED, CLOSED"
    );
    world.acknowledge(&id).await.expect("it is detected");
    let again = world.acknowledge(&id).await;
    refused(again, Code::FailedPrecondition, Reason::TransitionForbidden);
    assert_eq!(
        kinds(&world.get(&id).await).len(),
        2,
        "what is refused leaves no entry"
    );
}

#[tokio::test]
async fn closing_a_grave_incident_needs_cause_and_verification() {
    let world = World::start().await;
    let id = world.create().await.id;
    let bare = proto::IncidentResolution {
        root_cause: String::new(),
        ..resolution()
    };
    let message = proto::ResolveIncidentRequest {
        incident_id: id.clone(),
        resolution: Some(bare),
        etag: String::new(),
    };
    world
        .incidents()
        .resolve_incident(world.ask(message))
        .await
        .expect("a cause may come later");
    let planned = proto::AddActionRequest {
        incident_id: id.clone(),
        action: Some(proto::IncidentAction {
            r#type: proto::IncidentActionType::Testing.into(),
            state: proto::IncidentActionState::Planned.into(),
            description: "load test".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let added = world
        .incidents()
        .add_action(world.ask(planned))
        .await
        .expect("it is open");
    let action = added
        .into_inner()
        .incident
        .expect("the answer holds it")
        .actions[0]
        .id
        .clone();
    let answer = world.close(&id, IncidentCloseReason::Completed, "").await;
    let fault = refused(answer, Code::FailedPrecondition, Reason::IncidentIncomplete);
    assert_eq!(fault.preconditions().len(), 3, "{fault}");

    let update = proto::UpdateResolutionRequest {
        incident_id: id.clone(),
        resolution: Some(resolution()),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["root_cause".to_owned()],
        }),
        etag: String::new(),
    };
    world
        .incidents()
        .update_resolution(world.ask(update))
        .await
        .expect("it is resolved");
    world.verify(&id).await.expect("it is resolved");
    let finish = proto::FinishActionRequest {
        incident_id: id.clone(),
        action_id: action,
        state: proto::IncidentActionState::Waived.into(),
        outcome: "not needed".to_owned(),
        etag: String::new(),
    };
    world
        .incidents()
        .finish_action(world.ask(finish))
        .await
        .expect("it is planned");
    world
        .close(&id, IncidentCloseReason::Completed, "")
        .await
        .expect("nothing is missing");
}

#[tokio::test]
async fn what_is_verified_is_not_verified_again() {
    let world = World::start().await;
    let id = world.create().await.id;
    world.resolve(&id).await.expect("it is open");
    let verified = world.verify(&id).await.expect("it is resolved");
    let answer = world.verify(&id).await;
    refused(
        answer,
        Code::FailedPrecondition,
        Reason::TransitionForbidden,
    );
    assert_eq!(world.get(&id).await, verified, "it changed nothing");
}

#[tokio::test]
async fn duplicates_name_another_incident_and_make_no_circle() {
    let world = World::start().await;
    let (one, other) = (world.create().await.id, world.create().await.id);
    let duplicate = IncidentCloseReason::Duplicate;
    let nowhere = reeve_ids::IncidentId::new().to_string();
    let answer = world.close(&one, duplicate, &nowhere).await;
    refused(answer, Code::FailedPrecondition, Reason::IncidentIncomplete);
    let answer = world.close(&one, duplicate, &one).await;
    refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    let closed = world
        .close(&one, duplicate, &other)
        .await
        .expect("it is another");
    assert_eq!(closed.duplicate_of_incident_id, other);
    let answer = world.close(&other, duplicate, &one).await;
    refused(answer, Code::FailedPrecondition, Reason::IncidentIncomplete);
}

#[tokio::test]
async fn an_agent_does_not_end_a_grave_incident() {
    let world = World::start().await;
    let agent = world.authenticator.agent_key(world.tenant, &["*"]);
    let created = world
        .incidents()
        .create_incident(authorize(&agent, report()))
        .await;
    let created = created
        .expect("an agent may report")
        .into_inner()
        .incident
        .expect("it is there");
    assert_eq!(created.source(), proto::IncidentSource::AgentReport);
    let message = proto::ResolveIncidentRequest {
        incident_id: created.id.clone(),
        resolution: Some(resolution()),
        etag: String::new(),
    };
    let answer = world
        .incidents()
        .resolve_incident(authorize(&agent, message))
        .await;
    refused(answer, Code::PermissionDenied, Reason::PrincipalForbidden);
    // Nor does it make it less grave first.
    let message = proto::SetIncidentPriorityRequest {
        incident_id: created.id.clone(),
        severity: proto::IncidentSeverity::Medium.into(),
        note: "not that bad".to_owned(),
        ..Default::default()
    };
    let answer = world
        .incidents()
        .set_incident_priority(authorize(&agent, message))
        .await;
    refused(answer, Code::PermissionDenied, Reason::PrincipalForbidden);
    world.resolve(&created.id).await.expect("a person may");
}

#[tokio::test]
async fn a_stale_etag_changes_nothing() {
    let world = World::start().await;
    let created = world.create().await;
    let acknowledged = world
        .acknowledge(&created.id)
        .await
        .expect("it is detected");
    let message = proto::StartInvestigationRequest {
        incident_id: created.id.clone(),
        etag: created.etag,
        ..Default::default()
    };
    let answer = world
        .incidents()
        .start_investigation(world.ask(message.clone()))
        .await;
    let fault = refused(answer, Code::Aborted, Reason::EtagMismatch);
    assert_eq!(fault.metadata()["current_etag"], acknowledged.etag);
    let message = proto::StartInvestigationRequest {
        etag: acknowledged.etag,
        ..message
    };
    world
        .incidents()
        .start_investigation(world.ask(message))
        .await
        .expect("the etag is current");
}

#[tokio::test]
async fn a_repeated_report_is_one_incident() {
    let world = World::start().await;
    let labels = [("team", "web"), ("env", "prod"), ("zone", "a")];
    let labels = labels
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let request = proto::CreateIncidentRequest {
        request_id: "r-1".to_owned(),
        labels: labels.collect(),
        ..report()
    };
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let answer = world
            .incidents()
            .create_incident(world.ask(request.clone()))
            .await;
        ids.insert(
            answer
                .expect("it is the same")
                .into_inner()
                .incident
                .expect("it is there")
                .id,
        );
    }
    assert_eq!((ids.len(), world.list().await.len()), (1, 1));
    let other = proto::CreateIncidentRequest {
        title: "other".to_owned(),
        ..request
    };
    let answer = world.incidents().create_incident(world.ask(other)).await;
    refused(answer, Code::FailedPrecondition, Reason::RequestIdReused);
}

#[tokio::test]
async fn a_missed_clock_is_recorded_once() {
    let world = World::with(&[("response.p1", "20ms"), ("response.p2", "30ms")]).await;
    let created = world.create().await;
    let overdue = |incident: &proto::Incident| kinds(incident).contains(&Kind::ResponseOverdue);
    let late = world.becomes(&created.id, overdue).await;
    assert!(late.response_clock.expect("there is a clock").breached);
    let second = world.create().await;
    // By the time that the second one's breach is recorded, the sweep has passed the first again.
    world.becomes(&second.id, overdue).await;
    let first = world
        .acknowledge(&created.id)
        .await
        .expect("it is detected");
    let breaches = kinds(&first)
        .into_iter()
        .filter(|kind| *kind == Kind::ResponseOverdue)
        .count();
    assert_eq!(breaches, 1);
    let clock = first.response_clock.expect("there is a clock");
    assert!(clock.breached && clock.response_time.is_some() && clock.breach_record_time.is_some());
}

#[tokio::test]
async fn priority_moves_the_clock_and_tells_why() {
    let world = World::start().await;
    let created = world.create().await;
    let message = proto::SetIncidentPriorityRequest {
        incident_id: created.id,
        priority: proto::IncidentPriority::P1.into(),
        note: "the boss called".to_owned(),
        ..Default::default()
    };
    let answer = world
        .incidents()
        .set_incident_priority(world.ask(message))
        .await;
    let raised = answer
        .expect("it is open")
        .into_inner()
        .incident
        .expect("the answer holds it");
    assert_eq!(kinds(&raised), [Kind::Detected, Kind::Escalated]);
    let clock = raised.response_clock.expect("there is a clock");
    assert_eq!(
        clock.target_duration.map(|target| target.seconds),
        Some(300)
    );
    let (start, due) = (
        clock.start_time.expect("it runs"),
        clock.due_time.expect("it runs"),
    );
    assert_eq!(due.seconds - start.seconds, 300);
}
