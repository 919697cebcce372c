//! Impacts, actions, communications, status updates.

use reeve_contracts::incident::v1 as proto;
use reeve_contracts::incident::v1::IncidentEventType as Kind;
use reeve_contracts::r#type::v1::Money;
use reeve_status::{Code, Reason};

use crate::harness::{World, kinds, refused};

#[tokio::test]
async fn everything_that_is_recorded_is_there_and_in_the_timeline() {
    let world = World::start().await;
    let id = world.create().await.id;
    let impact = proto::AddImpactRequest {
        incident_id: id.clone(),
        impact: Some(proto::IncidentImpact {
            r#type: proto::ImpactType::Availability.into(),
            severity: proto::ImpactSeverity::Major.into(),
            description: "The shop does not open".to_owned(),
            affected_component: "shop".to_owned(),
            affected_user_count: 1_200,
            business_impact: Some(Money {
                amount: "950.50".into(),
                currency_code: "EUR".into(),
            }),
            metrics: reeve_wellknown::struct_from_json(serde_json::json!({"errors": 17})),
            ..Default::default()
        }),
        ..Default::default()
    };
    let with = world
        .incidents()
        .add_impact(world.ask(impact))
        .await
        .expect("it is right");
    let impact = with
        .into_inner()
        .incident
        .expect("the answer holds it")
        .impacts[0]
        .clone();
    assert!(impact.end_time.is_none() && impact.duration.is_none());
    let end = proto::EndImpactRequest {
        incident_id: id.clone(),
        impact_id: impact.id,
        ..Default::default()
    };
    world
        .incidents()
        .end_impact(world.ask(end.clone()))
        .await
        .expect("it lasts");
    let answer = world.incidents().end_impact(world.ask(end)).await;
    refused(
        answer,
        Code::FailedPrecondition,
        Reason::TransitionForbidden,
    );

    let said = proto::RecordCommunicationRequest {
        incident_id: id.clone(),
        communication: Some(proto::IncidentCommunication {
            r#type: proto::CommunicationType::Notification.into(),
            channel: proto::CommunicationChannel::Email.into(),
            subject: "The shop is down".to_owned(),
            message: "We are on it.".to_owned(),
            recipients: vec!["ops@example.com".to_owned()],
            ..Default::default()
        }),
        ..Default::default()
    };
    let with = world
        .incidents()
        .record_communication(world.ask(said))
        .await
        .expect("it is right");
    let said = with
        .into_inner()
        .incident
        .expect("the answer holds it")
        .communications[0]
        .clone();
    let reply = proto::AddCommunicationReplyRequest {
        incident_id: id.clone(),
        communication_id: said.id,
        response: Some(proto::CommunicationResponse {
            responder: "ops".to_owned(),
            message: "Seen.".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    world
        .incidents()
        .add_communication_reply(world.ask(reply))
        .await
        .expect("it is there");
    let update = proto::UpdateIncidentRequest {
        incident_id: id.clone(),
        incident: Some(proto::Incident {
            assignee: "ann".to_owned(),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["assignee".to_owned()],
        }),
        etag: String::new(),
    };
    world
        .incidents()
        .update_incident(world.ask(update))
        .await
        .expect("it is right");

    let whole = world.get(&id).await;
    assert!(whole.impacts[0].duration.is_some());
    assert_eq!(
        whole.impacts[0]
            .business_impact
            .as_ref()
            .expect("it was given")
            .amount,
        "950.50"
    );
    assert_eq!(whole.communications[0].responses[0].message, "Seen.");
    assert_eq!(whole.assignee, "ann");
    assert_eq!(
        kinds(&whole),
        [
            Kind::Detected,
            Kind::ImpactChanged,
            Kind::ImpactChanged,
            Kind::CommunicationRecorded,
            Kind::CommunicationRecorded,
            Kind::Updated,
        ]
    );
    let page = proto::ListTimelineRequest {
        incident_id: id.clone(),
        page_size: 4,
        ..Default::default()
    };
    let page = world
        .incidents()
        .list_timeline(world.ask(page))
        .await
        .expect("it is there")
        .into_inner();
    let rest = proto::ListTimelineRequest {
        incident_id: id,
        page_size: 4,
        page_token: page.next_page_token,
    };
    let rest = world
        .incidents()
        .list_timeline(world.ask(rest))
        .await
        .expect("it goes on")
        .into_inner();
    let sequences: Vec<_> = page
        .events
        .iter()
        .chain(&rest.events)
        .map(|e| e.sequence)
        .collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_repeated_update_is_added_once_even_with_the_old_etag() {
    let world = World::start().await;
    let created = world.create().await;
    let update = proto::AddStatusUpdateRequest {
        request_id: "u-1".to_owned(),
        incident_id: created.id.clone(),
        message: "Still looking.".to_owned(),
        etag: created.etag,
    };
    for _ in 0..3 {
        world
            .incidents()
            .add_status_update(world.ask(update.clone()))
            .await
            .expect("it repeats");
    }
    assert_eq!(
        kinds(&world.get(&created.id).await),
        [Kind::Detected, Kind::StatusUpdate]
    );
    let other = proto::AddStatusUpdateRequest {
        message: "Found it.".to_owned(),
        ..update
    };
    let answer = world.incidents().add_status_update(world.ask(other)).await;
    refused(answer, Code::FailedPrecondition, Reason::RequestIdReused);
}

#[tokio::test]
async fn an_incident_holds_no_more_than_an_answer() {
    let world = World::start().await;
    let id = world.create().await.id;
    let said = proto::RecordCommunicationRequest {
        incident_id: id,
        communication: Some(proto::IncidentCommunication {
            r#type: proto::CommunicationType::Update.into(),
            channel: proto::CommunicationChannel::Chat.into(),
            subject: "s".to_owned(),
            // Two bytes a character.
            message: "ä".repeat(4_096),
            recipients: vec!["r".repeat(200); 100],
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut refusal = None;
    for _ in 0..200 {
        let answer = world
            .incidents()
            .record_communication(world.ask(said.clone()))
            .await;
        if answer.is_err() {
            refusal = Some(answer);
            break;
        }
    }
    let answer = refusal.expect("there is a limit");
    refused(answer, Code::ResourceExhausted, Reason::LimitReached);
}

#[tokio::test]
async fn a_timeline_is_intact_in_every_read_while_it_grows() {
    let world = World::start().await;
    let id = world.create().await.id;
    let writing = async {
        for n in 0..40 {
            let update = proto::AddStatusUpdateRequest {
                incident_id: id.clone(),
                message: format!("update {n}"),
                ..Default::default()
            };
            world
                .incidents()
                .add_status_update(world.ask(update))
                .await
                .expect("it is open");
        }
    };
    let reading = async {
        // `kinds` checks that the hashes fit.
        while kinds(&world.get(&id).await).len() < 41 {}
    };
    tokio::join!(writing, reading);
}
