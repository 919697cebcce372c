//! `reeve.task.v1.QueueService`.

use reeve_auth::Caller;
use reeve_contracts::task::v1 as proto;
use reeve_contracts::task::v1::queue_service_server::QueueService;
use reeve_ids::TenantId;
use reeve_postgres::page;
use reeve_runtime::answer;
use reeve_status::{Fault, Violations};
use tonic::{Request, Response, Status};

use super::{parse, parse_queue, render_queue};
use crate::Queue;
use crate::operations;

/// Shows and stops queues.
#[derive(Debug, Clone)]
pub struct QueueApi {
    queue: Queue,
}

impl QueueApi {
    /// The full name of the gRPC service.
    pub const NAME: &'static str = "reeve.task.v1.QueueService";

    /// The RPCs over the service.
    pub fn new(queue: Queue) -> Self {
        Self { queue }
    }

    async fn show(&self, tenant: TenantId, name: &str) -> Result<Option<proto::Queue>, Fault> {
        let view = operations::get_queue(&self.queue, tenant, name).await?;
        Ok(Some(render_queue::queue(view)))
    }
}

/// How many a page has.
pub fn page_size(size: i32) -> Result<i64, Fault> {
    let mut v = Violations::new();
    v.check(size >= 0, "page_size", "must be from 0 to 1000");
    v.finish()?;
    page::size(size)
}

#[tonic::async_trait]
impl QueueService for QueueApi {
    async fn get_queue(
        &self,
        request: Request<proto::GetQueueRequest>,
    ) -> Result<Response<proto::GetQueueResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let name = request.into_inner().queue;
        let mut v = Violations::new();
        parse_queue::queue(&mut v, &name);
        v.finish()?;
        let queue = self.show(caller.tenant(), &name).await?;
        Ok(Response::new(proto::GetQueueResponse { queue }))
    }

    async fn list_queues(
        &self,
        request: Request<proto::ListQueuesRequest>,
    ) -> Result<Response<proto::ListQueuesResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let size = page_size(request.page_size)?;
        let after = page::decode::<String>(&request.page_token, &"queues")?.unwrap_or_default();
        let most = usize::try_from(size + 1).unwrap_or(usize::MAX);
        let found = operations::list_queues(&self.queue, caller.tenant(), &after, most).await?;
        let render = |view: &operations::QueueView| render_queue::queue(view.clone());
        let (queues, next) = answer::page(found, size, render, |view| view.name.clone());
        let next_page_token = next
            .map(|key| page::encode(&key, &"queues"))
            .unwrap_or_default();
        Ok(Response::new(proto::ListQueuesResponse {
            queues,
            next_page_token,
        }))
    }

    async fn pause_queue(
        &self,
        request: Request<proto::PauseQueueRequest>,
    ) -> Result<Response<proto::PauseQueueResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let mut v = Violations::new();
        parse_queue::queue(&mut v, &request.queue);
        parse_queue::reason(&mut v, &request.reason);
        let etag = parse_queue::etag(&mut v, &request.etag);
        v.finish()?;
        let (name, reason) = (&request.queue, &request.reason);
        operations::pause_queue(&self.queue, &caller, name, reason, etag).await?;
        let queue = self.show(caller.tenant(), name).await?;
        Ok(Response::new(proto::PauseQueueResponse { queue }))
    }

    async fn resume_queue(
        &self,
        request: Request<proto::ResumeQueueRequest>,
    ) -> Result<Response<proto::ResumeQueueResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let mut v = Violations::new();
        parse_queue::queue(&mut v, &request.queue);
        parse_queue::reason(&mut v, &request.reason);
        let etag = parse_queue::etag(&mut v, &request.etag);
        v.finish()?;
        let (name, reason) = (&request.queue, &request.reason);
        operations::resume_queue(&self.queue, &caller, name, reason, etag).await?;
        let queue = self.show(caller.tenant(), name).await?;
        Ok(Response::new(proto::ResumeQueueResponse { queue }))
    }

    async fn pause_tasks(
        &self,
        request: Request<proto::PauseTasksRequest>,
    ) -> Result<Response<proto::PauseTasksResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let mut v = Violations::new();
        parse::name(&mut v, "name", &request.name, 64, false);
        let selector = parse_queue::selector(&mut v, request.selector);
        parse_queue::reason(&mut v, &request.reason);
        v.finish()?;
        let (name, reason) = (request.name, &request.reason);
        let set = operations::pause_tasks(&self.queue, &caller, name, selector, reason).await?;
        let brake = Some(render_queue::brake(set));
        Ok(Response::new(proto::PauseTasksResponse { brake }))
    }

    async fn resume_tasks(
        &self,
        request: Request<proto::ResumeTasksRequest>,
    ) -> Result<Response<proto::ResumeTasksResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let mut v = Violations::new();
        parse_queue::brake(&mut v, &request.name);
        parse_queue::reason(&mut v, &request.reason);
        v.finish()?;
        let (name, reason) = (&request.name, &request.reason);
        let lifted = operations::resume_tasks(&self.queue, &caller, name, reason).await?;
        let brake = Some(render_queue::brake(lifted));
        Ok(Response::new(proto::ResumeTasksResponse { brake }))
    }

    async fn list_brakes(
        &self,
        request: Request<proto::ListBrakesRequest>,
    ) -> Result<Response<proto::ListBrakesResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let size = page_size(request.page_size)?;
        let after = page::decode::<String>(&request.page_token, &"brakes")?;
        let (tenant, after) = (caller.tenant(), after.as_deref());
        let found = operations::list_brakes(&self.queue, tenant, after, size + 1).await?;
        let render = |brake: &crate::domain::Brake| render_queue::brake(brake.clone());
        let (brakes, next) = answer::page(found, size, render, |brake| brake.name.clone());
        let next_page_token = next
            .map(|key| page::encode(&key, &"brakes"))
            .unwrap_or_default();
        Ok(Response::new(proto::ListBrakesResponse {
            brakes,
            next_page_token,
        }))
    }
}
