//! `reeve.task.v1.ScheduleService`.

use reeve_auth::Caller;
use reeve_contracts::task::v1 as proto;
use reeve_contracts::task::v1::schedule_service_server::ScheduleService;
use reeve_ids::ScheduleId;
use reeve_postgres::page;
use reeve_runtime::answer;
use reeve_status::{Fault, Violations};
use tonic::{Request, Response, Status};

use super::{parse, parse_schedule, render_schedule as render};
use crate::Queue;
use crate::domain::{Schedule, ScheduleState};
use crate::operations::schedule;

/// Serves those who want tasks again and again.
#[derive(Debug, Clone)]
pub struct ScheduleApi {
    queue: Queue,
}

impl ScheduleApi {
    /// The full name of the gRPC service.
    pub const NAME: &'static str = "reeve.task.v1.ScheduleService";

    /// The RPCs over the service.
    pub fn new(queue: Queue) -> Self {
        Self { queue }
    }
}

fn some(schedule: &Schedule) -> Option<proto::Schedule> {
    Some(render::schedule(schedule))
}

fn id_and_etag(id: &str, etag: &str) -> Result<(ScheduleId, Option<i32>), Fault> {
    let mut v = Violations::new();
    let id = parse::required(&mut v, "schedule_id", id);
    let etag = parse_schedule::schedule_etag(&mut v, etag);
    Ok((parse::finish(v, id)?, etag))
}

fn states(v: &mut Violations, numbers: &[i32]) -> Vec<i16> {
    let states = numbers.iter().enumerate().filter_map(|(at, number)| {
        let state = i16::try_from(*number).ok();
        let state = state.and_then(ScheduleState::from_number);
        v.check(state.is_some(), format!("states[{at}]"), "must be a state");
        state.map(ScheduleState::number)
    });
    let mut states: Vec<_> = states.collect();
    states.sort_unstable();
    states.dedup();
    states
}

#[tonic::async_trait]
impl ScheduleService for ScheduleApi {
    async fn create_schedule(
        &self,
        request: Request<proto::CreateScheduleRequest>,
    ) -> Result<Response<proto::CreateScheduleResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let now = self.queue.shared.clock.now();
        let types = self.queue.shared.catalogues.of(caller.tenant()).await?;
        let creation = parse_schedule::create(request.into_inner(), &types, now)?;
        let (draft, request) = (creation.draft, creation.request);
        let created = schedule::create(&self.queue, &caller, draft, request).await?;
        Ok(Response::new(proto::CreateScheduleResponse {
            schedule: some(&created),
        }))
    }

    async fn update_schedule(
        &self,
        request: Request<proto::UpdateScheduleRequest>,
    ) -> Result<Response<proto::UpdateScheduleResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let now = self.queue.shared.clock.now();
        let (id, edit) = parse_schedule::update(request.into_inner(), now)?;
        let etag = edit.etag;
        let types = self.queue.shared.catalogues.of(caller.tenant()).await?;
        let edit = |before: &Schedule| edit.apply(render::schedule(before), &types);
        let updated = schedule::update(&self.queue, &caller, id, etag, edit).await?;
        Ok(Response::new(proto::UpdateScheduleResponse {
            schedule: some(&updated),
        }))
    }

    async fn get_schedule(
        &self,
        request: Request<proto::GetScheduleRequest>,
    ) -> Result<Response<proto::GetScheduleResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let (id, _) = id_and_etag(&request.get_ref().schedule_id, "")?;
        let found = schedule::get(&self.queue, caller.tenant(), id).await?;
        Ok(Response::new(proto::GetScheduleResponse {
            schedule: some(&found),
        }))
    }

    async fn list_schedules(
        &self,
        request: Request<proto::ListSchedulesRequest>,
    ) -> Result<Response<proto::ListSchedulesResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let mut v = Violations::new();
        let states = states(&mut v, &request.states);
        let right = request.page_size >= 0;
        v.check(right, "page_size", "must be from 0 to 1000");
        v.finish()?;
        let size = page::size(request.page_size)?;
        let after = page::decode::<String>(&request.page_token, &states)?;
        let (queue, tenant) = (&self.queue, caller.tenant());
        let after = after.as_deref();
        let found = schedule::list(queue, tenant, after, &states, size + 1).await?;
        let (schedules, next) =
            answer::page(found, size, render::schedule, |last| last.name.clone());
        let next_page_token = next.map(|key| page::encode(&key, &states));
        Ok(Response::new(proto::ListSchedulesResponse {
            schedules,
            next_page_token: next_page_token.unwrap_or_default(),
        }))
    }

    async fn pause_schedule(
        &self,
        request: Request<proto::PauseScheduleRequest>,
    ) -> Result<Response<proto::PauseScheduleResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let mut v = Violations::new();
        let id = parse::required(&mut v, "schedule_id", &request.schedule_id);
        parse::text(&mut v, "reason", &request.reason, 512);
        let etag = parse_schedule::schedule_etag(&mut v, &request.etag);
        let id = parse::finish(v, id)?;
        let paused = schedule::pause(&self.queue, &caller, id, &request.reason, etag).await?;
        Ok(Response::new(proto::PauseScheduleResponse {
            schedule: some(&paused),
        }))
    }

    async fn resume_schedule(
        &self,
        request: Request<proto::ResumeScheduleRequest>,
    ) -> Result<Response<proto::ResumeScheduleResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let (id, etag) = id_and_etag(&request.schedule_id, &request.etag)?;
        let resumed = schedule::resume(&self.queue, &caller, id, etag).await?;
        Ok(Response::new(proto::ResumeScheduleResponse {
            schedule: some(&resumed),
        }))
    }

    async fn delete_schedule(
        &self,
        request: Request<proto::DeleteScheduleRequest>,
    ) -> Result<Response<proto::DeleteScheduleResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let (id, etag) = id_and_etag(&request.schedule_id, &request.etag)?;
        schedule::delete(&self.queue, &caller, id, etag).await?;
        Ok(Response::new(proto::DeleteScheduleResponse {}))
    }

    async fn trigger_schedule(
        &self,
        request: Request<proto::TriggerScheduleRequest>,
    ) -> Result<Response<proto::TriggerScheduleResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let mut v = Violations::new();
        let id = parse::required(&mut v, "schedule_id", &request.schedule_id);
        parse::text(&mut v, "request_id", &request.request_id, 128);
        let id = parse::finish(v, id)?;
        let request_id = Some(request.request_id).filter(|id| !id.is_empty());
        let read = parse_schedule::spec_of;
        let run = schedule::trigger(&self.queue, &caller, read, id, request_id).await?;
        Ok(Response::new(proto::TriggerScheduleResponse {
            run: Some(render::run(&run)),
        }))
    }

    async fn list_schedule_runs(
        &self,
        request: Request<proto::ListScheduleRunsRequest>,
    ) -> Result<Response<proto::ListScheduleRunsResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let mut v = Violations::new();
        let id = parse::required::<ScheduleId>(&mut v, "schedule_id", &request.schedule_id);
        let right = request.page_size >= 0;
        v.check(right, "page_size", "must be from 0 to 1000");
        let id = parse::finish(v, id)?;
        let size = page::size(request.page_size)?;
        let before = page::decode::<i64>(&request.page_token, &id)?;
        let (queue, tenant) = (&self.queue, caller.tenant());
        let found = schedule::list_runs(queue, tenant, id, before, size + 1).await?;
        let (runs, next) = answer::page(found, size, render::run, |last| last.number);
        let next_page_token = next.map(|key| page::encode(&key, &id));
        Ok(Response::new(proto::ListScheduleRunsResponse {
            runs,
            next_page_token: next_page_token.unwrap_or_default(),
        }))
    }

    async fn preview_schedule(
        &self,
        request: Request<proto::PreviewScheduleRequest>,
    ) -> Result<Response<proto::PreviewScheduleResponse>, Status> {
        let now = self.queue.shared.clock.now();
        let preview = parse_schedule::preview(request.into_inner(), now)?;
        let calendar = &preview.calendar;
        let due = std::iter::successors(calendar.next(preview.after), |due| calendar.next(*due));
        let occurrences = due
            .take(preview.count)
            .map(|due| render::occurrence(calendar, due))
            .collect();
        Ok(Response::new(proto::PreviewScheduleResponse {
            occurrences,
        }))
    }
}
