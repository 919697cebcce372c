//! IncidentService.

use futures::stream::BoxStream;
use reeve_auth::Caller;
use reeve_contracts::incident::v1::incident_service_server::IncidentService;
use reeve_contracts::incident::v1::{
    AcknowledgeIncidentRequest, AcknowledgeIncidentResponse, AddActionRequest, AddActionResponse,
    AddCommunicationReplyRequest, AddCommunicationReplyResponse, AddImpactRequest,
    AddImpactResponse, AddStatusUpdateRequest, AddStatusUpdateResponse, CloseIncidentRequest,
    CloseIncidentResponse, CreateIncidentRequest, CreateIncidentResponse, EndImpactRequest,
    EndImpactResponse, FinishActionRequest, FinishActionResponse, GetIncidentRequest,
    GetIncidentResponse, GetPostmortemRequest, GetPostmortemResponse, ListIncidentsRequest,
    ListIncidentsResponse, ListTimelineRequest, ListTimelineResponse, MarkMitigatedRequest,
    MarkMitigatedResponse, RecordCommunicationRequest, RecordCommunicationResponse,
    ReopenIncidentRequest, ReopenIncidentResponse, ResolveIncidentRequest, ResolveIncidentResponse,
    SetIncidentPriorityRequest, SetIncidentPriorityResponse, StartInvestigationRequest,
    StartInvestigationResponse, StartMitigationRequest, StartMitigationResponse,
    UnacknowledgeIncidentRequest, UnacknowledgeIncidentResponse, UpdateIncidentRequest,
    UpdateIncidentResponse, UpdateResolutionRequest, UpdateResolutionResponse,
    VerifyResolutionRequest, VerifyResolutionResponse, WatchIncidentsRequest,
    WatchIncidentsResponse,
};
use reeve_ids::{IncidentId, Uuid};
use reeve_postgres::page;
use reeve_runtime::answer;
use reeve_status::Fault;
use tonic::{Request, Response, Status};

use super::follow::{Follower, Streams};
use super::parse::{Reader, filters, incidents, parts};
use super::render::incidents as render;
use super::watch::changed;
use crate::operations::EventFilter;
use crate::operations::Operations;
use crate::operations::change::SOURCE;
use crate::operations::transition_incident::Step;

/// Owns incidents.
#[derive(Debug)]
pub struct IncidentApi {
    operations: Operations,
    streams: Streams,
}

impl IncidentApi {
    /// The full name of the gRPC service, for health and reflection.
    pub const NAME: &'static str = "reeve.incident.v1.IncidentService";

    /// The service over its operations.
    pub fn new(operations: Operations, streams: Streams) -> Self {
        Self {
            operations,
            streams,
        }
    }
}

#[tonic::async_trait]
impl IncidentService for IncidentApi {
    async fn create_incident(
        &self,
        request: Request<CreateIncidentRequest>,
    ) -> Result<Response<CreateIncidentResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let (opening, key) = incidents::create(&caller, request, self.operations.now())?;
        let view = self
            .operations
            .create_incident(&caller, opening, key.as_ref())
            .await?;
        Ok(Response::new(CreateIncidentResponse {
            incident: render::whole(&view),
        }))
    }

    async fn get_incident(
        &self,
        request: Request<GetIncidentRequest>,
    ) -> Result<Response<GetIncidentResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let names = (&*request.incident_id, "", "");
        let (id, _) = incidents::noted(names, self.operations.now())?;
        let view = self.operations.get_incident(&caller, id).await?;
        Ok(Response::new(GetIncidentResponse {
            incident: render::whole(&view),
        }))
    }

    async fn list_incidents(
        &self,
        request: Request<ListIncidentsRequest>,
    ) -> Result<Response<ListIncidentsResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let now = self.operations.now();
        let mut reader = Reader::new(now);
        let filter = filters::incidents(&mut reader, request.filter.as_ref());
        let size = reader.page_size(request.page_size);
        reader.finish()?;
        let bound = ("incidents", &filter);
        let before = page::decode::<Uuid>(&request.page_token, &bound)?;
        let listed = self
            .operations
            .list_incidents(&caller, before, &filter, size + 1)
            .await?;
        let basic = |incident: &_| render::basic(incident, now);
        let (incidents, next) = answer::page(listed, size, basic, |incident| incident.id.uuid());
        Ok(Response::new(ListIncidentsResponse {
            incidents,
            next_page_token: next
                .map(|key| page::encode(&key, &bound))
                .unwrap_or_default(),
        }))
    }

    type WatchIncidentsStream = BoxStream<'static, Result<WatchIncidentsResponse, Status>>;

    async fn watch_incidents(
        &self,
        request: Request<WatchIncidentsRequest>,
    ) -> Result<Response<Self::WatchIncidentsStream>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let mut reader = Reader::new(self.operations.now());
        let filter = filters::incidents(&mut reader, request.filter.as_ref());
        let cursor = reader.cursor(&request.cursor);
        reader.finish()?;
        let own = EventFilter {
            sources: vec![SOURCE.to_owned()],
            nouns: vec!["incident".to_owned()],
            ..EventFilter::default()
        };
        let (operations, streams) = (self.operations.clone(), self.streams.clone());
        let what = (caller.tenant(), own);
        let from = (cursor, request.only_new);
        let follower = Follower::start(operations.clone(), streams, what, from).await?;
        let render =
            move |batch| changed(operations.clone(), caller.clone(), filter.clone(), batch);
        Ok(Response::new(follower.stream(render)))
    }

    async fn update_incident(
        &self,
        request: Request<UpdateIncidentRequest>,
    ) -> Result<Response<UpdateIncidentResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let ((id, etag), update) = incidents::update(&request, self.operations.now())?;
        let view = self
            .operations
            .update_incident(&caller, id, etag, update)
            .await?;
        Ok(Response::new(UpdateIncidentResponse {
            incident: render::whole(&view),
        }))
    }

    async fn set_incident_priority(
        &self,
        request: Request<SetIncidentPriorityRequest>,
    ) -> Result<Response<SetIncidentPriorityResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let mut reader = Reader::new(self.operations.now());
        let target = incidents::target(&mut reader, &request.incident_id, &request.etag);
        let severity = reader.optional_word("severity", request.severity);
        let priority = reader.optional_word("priority", request.priority);
        let either = request.severity != 0 || request.priority != 0;
        reader.check(either, "priority", "is required, or severity");
        let note = reader.text("note", &request.note, incidents::PARAGRAPH);
        let (id, etag) = incidents::finish(reader, target)?;
        let new = (severity, priority);
        let view = self
            .operations
            .set_incident_priority(&caller, id, etag, new, &note)
            .await?;
        Ok(Response::new(SetIncidentPriorityResponse {
            incident: render::whole(&view),
        }))
    }

    async fn acknowledge_incident(
        &self,
        request: Request<AcknowledgeIncidentRequest>,
    ) -> Result<Response<AcknowledgeIncidentResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let names = (&*request.incident_id, &*request.etag, &*request.note);
        let (id, etag) = incidents::noted(names, self.operations.now())?;
        let (step, note) = (Step::Acknowledge, &request.note);
        let view = self
            .operations
            .transition_incident(&caller, id, etag, &step, note)
            .await?;
        Ok(Response::new(AcknowledgeIncidentResponse {
            incident: render::whole(&view),
        }))
    }

    async fn unacknowledge_incident(
        &self,
        request: Request<UnacknowledgeIncidentRequest>,
    ) -> Result<Response<UnacknowledgeIncidentResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let names = (&*request.incident_id, &*request.etag, &*request.note);
        let (id, etag) = incidents::noted(names, self.operations.now())?;
        let (step, note) = (Step::Unacknowledge, &request.note);
        let view = self
            .operations
            .transition_incident(&caller, id, etag, &step, note)
            .await?;
        Ok(Response::new(UnacknowledgeIncidentResponse {
            incident: render::whole(&view),
        }))
    }

    async fn start_investigation(
        &self,
        request: Request<StartInvestigationRequest>,
    ) -> Result<Response<StartInvestigationResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let mut reader = Reader::new(self.operations.now());
        let target = incidents::target(&mut reader, &request.incident_id, &request.etag);
        let assignee = reader.optional_text("assignee", &request.assignee, 200);
        let note = reader.optional_text("note", &request.note, incidents::PARAGRAPH);
        let (id, etag) = incidents::finish(reader, target)?;
        let step = Step::StartInvestigation(assignee);
        let view = self
            .operations
            .transition_incident(&caller, id, etag, &step, &note)
            .await?;
        Ok(Response::new(StartInvestigationResponse {
            incident: render::whole(&view),
        }))
    }

    async fn start_mitigation(
        &self,
        request: Request<StartMitigationRequest>,
    ) -> Result<Response<StartMitigationResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let names = (&*request.incident_id, &*request.etag, &*request.note);
        let (id, etag) = incidents::noted(names, self.operations.now())?;
        let (step, note) = (Step::StartMitigation, &request.note);
        let view = self
            .operations
            .transition_incident(&caller, id, etag, &step, note)
            .await?;
        Ok(Response::new(StartMitigationResponse {
            incident: render::whole(&view),
        }))
    }

    async fn mark_mitigated(
        &self,
        request: Request<MarkMitigatedRequest>,
    ) -> Result<Response<MarkMitigatedResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let names = (&*request.incident_id, &*request.etag, &*request.note);
        let (id, etag) = incidents::noted(names, self.operations.now())?;
        let (step, note) = (Step::MarkMitigated, &request.note);
        let view = self
            .operations
            .transition_incident(&caller, id, etag, &step, note)
            .await?;
        Ok(Response::new(MarkMitigatedResponse {
            incident: render::whole(&view),
        }))
    }

    async fn resolve_incident(
        &self,
        request: Request<ResolveIncidentRequest>,
    ) -> Result<Response<ResolveIncidentResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let ((id, etag), ending) = incidents::resolve(&request, self.operations.now())?;
        let view = self
            .operations
            .resolve_incident(&caller, id, etag, ending)
            .await?;
        Ok(Response::new(ResolveIncidentResponse {
            incident: render::whole(&view),
        }))
    }

    async fn update_resolution(
        &self,
        request: Request<UpdateResolutionRequest>,
    ) -> Result<Response<UpdateResolutionResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let ((id, etag), ending) = incidents::update_resolution(&request, self.operations.now())?;
        let view = self
            .operations
            .update_resolution(&caller, id, etag, ending)
            .await?;
        Ok(Response::new(UpdateResolutionResponse {
            incident: render::whole(&view),
        }))
    }

    async fn verify_resolution(
        &self,
        request: Request<VerifyResolutionRequest>,
    ) -> Result<Response<VerifyResolutionResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let ((id, etag), how) = incidents::verify(&request, self.operations.now())?;
        let view = self
            .operations
            .verify_resolution(&caller, id, etag, how)
            .await?;
        Ok(Response::new(VerifyResolutionResponse {
            incident: render::whole(&view),
        }))
    }

    async fn close_incident(
        &self,
        request: Request<CloseIncidentRequest>,
    ) -> Result<Response<CloseIncidentResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let ((id, etag), why) = incidents::close(&request, self.operations.now())?;
        let view = self
            .operations
            .close_incident(&caller, id, etag, why, &request.note)
            .await?;
        Ok(Response::new(CloseIncidentResponse {
            incident: render::whole(&view),
        }))
    }

    async fn reopen_incident(
        &self,
        request: Request<ReopenIncidentRequest>,
    ) -> Result<Response<ReopenIncidentResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let mut reader = Reader::new(self.operations.now());
        let target = incidents::target(&mut reader, &request.incident_id, &request.etag);
        let note = reader.text("note", &request.note, incidents::PARAGRAPH);
        let (id, etag) = incidents::finish(reader, target)?;
        let view = self
            .operations
            .reopen_incident(&caller, id, etag, &note)
            .await?;
        Ok(Response::new(ReopenIncidentResponse {
            incident: render::whole(&view),
        }))
    }

    async fn add_status_update(
        &self,
        request: Request<AddStatusUpdateRequest>,
    ) -> Result<Response<AddStatusUpdateResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let record = parts::status_update(&request, self.operations.now())?;
        let view = self.operations.record(&caller, record).await?;
        Ok(Response::new(AddStatusUpdateResponse {
            incident: render::whole(&view),
        }))
    }

    async fn add_action(
        &self,
        request: Request<AddActionRequest>,
    ) -> Result<Response<AddActionResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let record = parts::action(&request, self.operations.now())?;
        let view = self.operations.record(&caller, record).await?;
        Ok(Response::new(AddActionResponse {
            incident: render::whole(&view),
        }))
    }

    async fn finish_action(
        &self,
        request: Request<FinishActionRequest>,
    ) -> Result<Response<FinishActionResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let (target, action, end) = parts::finish_action(&request, self.operations.now())?;
        let view = self
            .operations
            .finish_action(&caller, target, action, end)
            .await?;
        Ok(Response::new(FinishActionResponse {
            incident: render::whole(&view),
        }))
    }

    async fn add_impact(
        &self,
        request: Request<AddImpactRequest>,
    ) -> Result<Response<AddImpactResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let record = parts::impact(&request, self.operations.now())?;
        let view = self.operations.record(&caller, record).await?;
        Ok(Response::new(AddImpactResponse {
            incident: render::whole(&view),
        }))
    }

    async fn end_impact(
        &self,
        request: Request<EndImpactRequest>,
    ) -> Result<Response<EndImpactResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let mut reader = Reader::new(self.operations.now());
        let target = incidents::target(&mut reader, &request.incident_id, &request.etag);
        let impact = reader.id("impact_id", &request.impact_id);
        let end = reader.past_time("end_time", request.end_time.as_ref());
        let target = incidents::finish(reader, target)?;
        let impact = impact.ok_or_else(Fault::internal)?;
        let view = self
            .operations
            .end_impact(&caller, target, impact, end)
            .await?;
        Ok(Response::new(EndImpactResponse {
            incident: render::whole(&view),
        }))
    }

    async fn record_communication(
        &self,
        request: Request<RecordCommunicationRequest>,
    ) -> Result<Response<RecordCommunicationResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let record = parts::communication(&request, self.operations.now())?;
        let view = self.operations.record(&caller, record).await?;
        Ok(Response::new(RecordCommunicationResponse {
            incident: render::whole(&view),
        }))
    }

    async fn add_communication_reply(
        &self,
        request: Request<AddCommunicationReplyRequest>,
    ) -> Result<Response<AddCommunicationReplyResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let record = parts::reply(&request, self.operations.now())?;
        let view = self.operations.record(&caller, record).await?;
        Ok(Response::new(AddCommunicationReplyResponse {
            incident: render::whole(&view),
        }))
    }

    async fn list_timeline(
        &self,
        request: Request<ListTimelineRequest>,
    ) -> Result<Response<ListTimelineResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let mut reader = Reader::new(self.operations.now());
        let id: Option<IncidentId> = reader.id("incident_id", &request.incident_id);
        let size = reader.page_size(request.page_size);
        reader.finish()?;
        let id = id.ok_or_else(Fault::internal)?;
        let bound = ("timeline", id);
        let after = page::decode::<i64>(&request.page_token, &bound)?.unwrap_or(0);
        let listed = self
            .operations
            .list_timeline(&caller, id, after, size + 1)
            .await?;
        let (events, next) = answer::page(listed, size, render::entry, |entry| entry.sequence);
        Ok(Response::new(ListTimelineResponse {
            events,
            next_page_token: next
                .map(|key| page::encode(&key, &bound))
                .unwrap_or_default(),
        }))
    }

    async fn get_postmortem(
        &self,
        request: Request<GetPostmortemRequest>,
    ) -> Result<Response<GetPostmortemResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let names = (&*request.incident_id, "", "");
        let (id, _) = incidents::noted(names, self.operations.now())?;
        let document = self.operations.get_postmortem(&caller, id).await?;
        let postmortem = Some(render::postmortem(&document));
        Ok(Response::new(GetPostmortemResponse { postmortem }))
    }
}
