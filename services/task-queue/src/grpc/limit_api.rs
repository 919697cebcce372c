//! `reeve.task.v1.LimitService`.

use reeve_auth::Caller;
use reeve_contracts::task::v1 as proto;
use reeve_contracts::task::v1::limit_service_server::LimitService;
use reeve_postgres::page;
use reeve_runtime::answer;
use reeve_status::Violations;
use tonic::{Request, Response, Status};

use super::{parse, parse_limit, queue_api, render_limit};
use crate::Queue;
use crate::domain::Limit;
use crate::operations::limit;

/// Bounds what runs.
#[derive(Debug, Clone)]
pub struct LimitApi {
    queue: Queue,
}

impl LimitApi {
    /// The full name of the gRPC service.
    pub const NAME: &'static str = "reeve.task.v1.LimitService";

    /// The RPCs over the service.
    pub fn new(queue: Queue) -> Self {
        Self { queue }
    }
}

#[tonic::async_trait]
impl LimitService for LimitApi {
    async fn set_limit(
        &self,
        request: Request<proto::SetLimitRequest>,
    ) -> Result<Response<proto::SetLimitResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let mut v = Violations::new();
        let ask = parse_limit::ask(&mut v, request.into_inner());
        let ask = parse::finish(v, ask)?;
        let set = limit::set(&self.queue, &caller, ask).await?;
        let limit = Some(render_limit::limit(set));
        Ok(Response::new(proto::SetLimitResponse { limit }))
    }

    async fn get_limit(
        &self,
        request: Request<proto::GetLimitRequest>,
    ) -> Result<Response<proto::GetLimitResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let name = request.into_inner().name;
        let mut v = Violations::new();
        parse_limit::name(&mut v, &name);
        v.finish()?;
        let found = limit::get(&self.queue, caller.tenant(), &name).await?;
        let limit = Some(render_limit::view(found));
        Ok(Response::new(proto::GetLimitResponse { limit }))
    }

    async fn list_limits(
        &self,
        request: Request<proto::ListLimitsRequest>,
    ) -> Result<Response<proto::ListLimitsResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let size = queue_api::page_size(request.page_size)?;
        let after = page::decode::<String>(&request.page_token, &"limits")?;
        let found = limit::list(&self.queue, caller.tenant(), after.as_deref(), size + 1).await?;
        let render = |limit: &Limit| render_limit::limit(limit.clone());
        let (limits, next) = answer::page(found, size, render, |limit| limit.name.clone());
        let next_page_token = next
            .map(|key| page::encode(&key, &"limits"))
            .unwrap_or_default();
        Ok(Response::new(proto::ListLimitsResponse {
            limits,
            next_page_token,
        }))
    }

    async fn delete_limit(
        &self,
        request: Request<proto::DeleteLimitRequest>,
    ) -> Result<Response<proto::DeleteLimitResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let mut v = Violations::new();
        parse_limit::name(&mut v, &request.name);
        let etag = parse_limit::etag(&mut v, &request.etag);
        v.finish()?;
        let deleted = limit::delete(&self.queue, &caller, &request.name, etag).await?;
        let limit = Some(render_limit::limit(deleted));
        Ok(Response::new(proto::DeleteLimitResponse { limit }))
    }
}
