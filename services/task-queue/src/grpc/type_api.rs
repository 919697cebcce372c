//! `reeve.task.v1.TaskTypeService`.

use reeve_auth::Caller;
use reeve_contracts::task::v1 as proto;
use reeve_contracts::task::v1::task_type_service_server::TaskTypeService;
use reeve_postgres::page;
use reeve_runtime::answer;
use reeve_status::Violations;
use tonic::{Request, Response, Status};

use super::{parse_type, render_type};
use crate::{Queue, operations};

/// Serves the catalogue of task types.
#[derive(Debug, Clone)]
pub struct TypeApi {
    queue: Queue,
}

impl TypeApi {
    /// The full name of the gRPC service.
    pub const NAME: &'static str = "reeve.task.v1.TaskTypeService";

    /// The RPCs over the service.
    pub fn new(queue: Queue) -> Self {
        Self { queue }
    }
}

#[tonic::async_trait]
impl TaskTypeService for TypeApi {
    async fn list_task_types(
        &self,
        request: Request<proto::ListTaskTypesRequest>,
    ) -> Result<Response<proto::ListTaskTypesResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let mut v = Violations::new();
        let filter = parse_type::filter(&mut v, &request);
        v.check(
            request.page_size >= 0,
            "page_size",
            "must be from 0 to 1000",
        );
        v.finish()?;
        let size = page::size(request.page_size)?;
        let bound = ("task_types", request.category, request.source);
        let after = page::decode::<String>(&request.page_token, &bound)?.unwrap_or_default();
        let (queue, tenant) = (&self.queue, caller.tenant());
        let found = operations::list_types(queue, tenant, filter, &after, size + 1).await?;
        let (task_types, next) = answer::page(found, size, render_type::task_type, |kind| {
            kind.name.clone()
        });
        let next_page_token = next
            .map(|key| page::encode(&key, &bound))
            .unwrap_or_default();
        Ok(Response::new(proto::ListTaskTypesResponse {
            task_types,
            next_page_token,
        }))
    }

    async fn get_task_type(
        &self,
        request: Request<proto::GetTaskTypeRequest>,
    ) -> Result<Response<proto::GetTaskTypeResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let name = parse_type::get(request.into_inner())?;
        let kind = operations::get_type(&self.queue, caller.tenant(), &name).await?;
        Ok(Response::new(proto::GetTaskTypeResponse {
            task_type: Some(render_type::task_type(&kind)),
        }))
    }

    async fn create_task_type(
        &self,
        request: Request<proto::CreateTaskTypeRequest>,
    ) -> Result<Response<proto::CreateTaskTypeResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let (kind, request) = parse_type::create(request.into_inner())?;
        let kind = operations::create_type(&self.queue, &caller, kind, request).await?;
        Ok(Response::new(proto::CreateTaskTypeResponse {
            task_type: Some(render_type::task_type(&kind)),
        }))
    }

    async fn update_task_type(
        &self,
        request: Request<proto::UpdateTaskTypeRequest>,
    ) -> Result<Response<proto::UpdateTaskTypeResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let parse_type::Update {
            name,
            etag,
            changes,
        } = parse_type::update(request.into_inner())?;
        let (queue, etag) = (&self.queue, etag.as_deref());
        let kind = operations::update_type(queue, &caller, &name, etag, changes).await?;
        Ok(Response::new(proto::UpdateTaskTypeResponse {
            task_type: Some(render_type::task_type(&kind)),
        }))
    }

    async fn delete_task_type(
        &self,
        request: Request<proto::DeleteTaskTypeRequest>,
    ) -> Result<Response<proto::DeleteTaskTypeResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let (name, etag) = parse_type::delete(request.into_inner())?;
        operations::delete_type(&self.queue, &caller, &name, etag.as_deref()).await?;
        Ok(Response::new(proto::DeleteTaskTypeResponse {}))
    }
}
