//! A run that fails, the incident that opens by itself, and how it is worked off.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reeve_contracts::event::v1::ListEventsRequest;
use reeve_contracts::event::v1::event_service_client::EventServiceClient;
use reeve_contracts::incident::v1::incident_service_client::IncidentServiceClient;
use reeve_contracts::incident::v1::{
    AcknowledgeIncidentRequest, CloseIncidentRequest, GetPostmortemRequest, Incident,
    ListIncidentsRequest, ResolveIncidentRequest, StartInvestigationRequest,
    VerifyResolutionRequest,
};
use reeve_contracts::workflow::v1::{ExecutionState, StepState};
use serde_json::json;
use tonic::transport::Channel;

use super::books::Account;
use super::ship::{follow, start};
use super::stage::Stage;
use crate::client::input;
use crate::client::session::{Service, answer};

/// Runs the workflow over the broken manifest, and works off what comes of it.
pub async fn break_and_mend<W: Write>(stage: &mut Stage<'_, W>, account: &Account) -> Result<()> {
    let execution_id = start(stage, account, "examples/manifests/broken.yaml").await?;
    let ended = follow(stage, &execution_id, Duration::ZERO).await?;
    if ended.state() != ExecutionState::Failed {
        bail!(
            "the execution over a broken manifest ended {}",
            ended.state().as_str_name()
        );
    }
    let failed = ended
        .steps
        .iter()
        .find(|step| step.state() == StepState::Failed)
        .context("no step of the failed execution failed")?;
    let code = failed.error.as_ref().map(|error| error.code.as_str());
    stage.note(
        "broken run",
        format!(
            "FAILED: {} after attempt {} of {}, {}",
            failed.step_id,
            failed.attempt,
            failed.max_attempts,
            code.unwrap_or_default()
        ),
    );
    let channel = stage.session.channel(Service::Incident)?;
    let incident = opened(stage, account, &channel).await?;
    stage.say(format!("incident opened by itself: {}", incident.title))?;
    stage.note("incident", format!("opened by a rule: {}", incident.title));
    let closed = work_off(stage, &channel, &incident.id).await?;
    postmortem(stage, &channel, &closed.id).await?;
    events(stage, &channel).await
}

async fn opened<W: Write>(
    stage: &Stage<'_, W>,
    account: &Account,
    channel: &Channel,
) -> Result<Incident> {
    let session = stage.session.clone();
    stage
        .until("an incident", || {
            let mut client = IncidentServiceClient::new(channel.clone());
            let request: Result<ListIncidentsRequest> =
                input::message(json!({"filter": {"projectId": account.project_id}}));
            let session = &session;
            async move {
                let found = answer(client.list_incidents(session.request(request?)).await)?;
                Ok(found.incidents.into_iter().next())
            }
        })
        .await
}

async fn work_off<W: Write>(
    stage: &mut Stage<'_, W>,
    channel: &Channel,
    incident_id: &str,
) -> Result<Incident> {
    let mut client = IncidentServiceClient::new(channel.clone());
    let session = stage.session.clone();
    let request: AcknowledgeIncidentRequest =
        input::message(json!({"incidentId": incident_id, "note": "looking at it"}))?;
    answer(client.acknowledge_incident(session.request(request)).await)?;
    let request: StartInvestigationRequest =
        input::message(json!({"incidentId": incident_id, "note": "reading the failing task"}))?;
    answer(client.start_investigation(session.request(request)).await)?;
    let request: ResolveIncidentRequest = input::message(json!({
        "incidentId": incident_id,
        "resolution": {
            "type": "RESOLUTION_TYPE_FIX",
            "summary": "The manifest was put back to its last sound version.",
            "detailedDescription": "examples/manifests/web.yaml is sound and is what runs.",
            "rootCause": "An edit removed metadata.name and the container's image.",
            "contributingFactors": ["The edit was not validated before it was committed."],
            "permanent": true,
        },
    }))?;
    answer(client.resolve_incident(session.request(request)).await)?;
    let request: VerifyResolutionRequest = input::message(json!({
        "incidentId": incident_id,
        "verificationSteps": ["The first run of this demo validated web.yaml."],
    }))?;
    answer(client.verify_resolution(session.request(request)).await)?;
    let request: CloseIncidentRequest = input::message(json!({
        "incidentId": incident_id, "reason": "INCIDENT_CLOSE_REASON_COMPLETED",
    }))?;
    let closed = answer(client.close_incident(session.request(request)).await)?;
    let closed = closed.incident.context("no incident came back")?;
    let response = response(&closed);
    stage.say(&response)?;
    stage.note("response", response);
    Ok(closed)
}

/// What the record of an incident says was done about it.
fn response(incident: &Incident) -> String {
    let resolution = incident.resolution.as_ref();
    let status = incident
        .status()
        .as_str_name()
        .trim_start_matches("INCIDENT_STATUS_");
    let cause = resolution.map_or("", |resolution| resolution.root_cause.as_str());
    let verified = resolution.is_some_and(|resolution| resolution.verified);
    let done = [
        (incident.acknowledge_time.is_some(), "acknowledged"),
        (incident.resolve_time.is_some(), "resolved"),
        (!cause.is_empty(), "root cause named"),
        (verified, "verified"),
    ];
    let done: Vec<_> = done
        .into_iter()
        .filter_map(|(holds, what)| holds.then_some(what))
        .collect();
    format!("{status}: {}", done.join(", "))
}

async fn postmortem<W: Write>(
    stage: &mut Stage<'_, W>,
    channel: &Channel,
    incident_id: &str,
) -> Result<()> {
    let mut client = IncidentServiceClient::new(channel.clone());
    let request: GetPostmortemRequest = input::message(json!({"incidentId": incident_id}))?;
    let written = answer(client.get_postmortem(stage.session.request(request)).await)?;
    let text = written
        .postmortem
        .context("no post-mortem came back")?
        .markdown;
    let path = stage.folder.join("postmortem.md");
    std::fs::write(&path, &text)?;
    for line in text.lines().filter(|line| !line.trim().is_empty()).take(8) {
        stage.say(format!("| {line}"))?;
    }
    stage.say(format!(
        "post-mortem: {} ({} lines)",
        path.display(),
        text.lines().count()
    ))?;
    stage.note(
        "post-mortem",
        format!("{} lines of Markdown", text.lines().count()),
    );
    let body = json!({"incidentId": incident_id});
    stage.grpcurl(
        Service::Incident,
        "reeve.incident.v1.IncidentService/GetIncident",
        &body,
    );
    Ok(())
}

/// Counts what the log of all services holds of this tenant.
async fn events<W: Write>(stage: &mut Stage<'_, W>, channel: &Channel) -> Result<()> {
    let mut client = EventServiceClient::new(channel.clone());
    let mut request = ListEventsRequest {
        page_size: 1_000,
        ..ListEventsRequest::default()
    };
    let mut count = 0;
    loop {
        let page = answer(
            client
                .list_events(stage.session.request(request.clone()))
                .await,
        )?;
        count += page.events.len();
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    stage.note("events", format!("{count} in the log of all services"));
    stage.grpcurl(
        Service::Incident,
        "reeve.event.v1.EventService/ListEvents",
        &json!({}),
    );
    stage.grpcurl(
        Service::Incident,
        "reeve.audit.v1.AuditService/VerifyAuditLog",
        &json!({}),
    );
    Ok(())
}
