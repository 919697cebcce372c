//! ApprovalService.

use std::sync::Arc;

use reeve_auth::Caller;
use reeve_contracts::workflow::v1 as wire;
use reeve_contracts::workflow::v1::approval_service_server::ApprovalService;
use reeve_postgres::page;
use reeve_runtime::answer;
use tonic::{Request, Response, Status};

use super::{parse, render};
use crate::error::Error;
use crate::operations::{Author, Engine};

/// Serves ApprovalService.
#[derive(Debug)]
pub struct ApprovalApi {
    engine: Arc<Engine>,
}

impl ApprovalApi {
    /// The full name of the gRPC service.
    pub const NAME: &'static str = "reeve.workflow.v1.ApprovalService";

    /// The service over an engine.
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

#[tonic::async_trait]
impl ApprovalService for ApprovalApi {
    async fn get_approval(
        &self,
        request: Request<wire::GetApprovalRequest>,
    ) -> Result<Response<wire::GetApprovalResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let id = parse::id("approval_id", &request.into_inner().approval_id)?;
        let approval = self.engine.get_approval(caller.tenant(), id).await;
        let approval = render::approval(&approval.map_err(Error::classify)?);
        Ok(Response::new(wire::GetApprovalResponse {
            approval: Some(approval),
        }))
    }

    async fn list_approvals(
        &self,
        request: Request<wire::ListApprovalsRequest>,
    ) -> Result<Response<wire::ListApprovalsResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let parse::ApprovalPage {
            filter,
            before,
            size,
        } = parse::approvals(request.get_ref())?;
        let tenant = caller.tenant();
        let found = self
            .engine
            .list_approvals(tenant, &filter, before, size + 1)
            .await;
        let found = found.map_err(Error::classify)?;
        let (approvals, next) = answer::page(found, size, render::approval, |it| it.id);
        Ok(Response::new(wire::ListApprovalsResponse {
            approvals,
            next_page_token: next
                .map(|key| page::encode(&key, &filter))
                .unwrap_or_default(),
        }))
    }

    async fn decide_approval(
        &self,
        request: Request<wire::DecideApprovalRequest>,
    ) -> Result<Response<wire::DecideApprovalResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let decision = parse::decision(request.into_inner())?;
        let author = Author::from(&caller);
        let decided = self
            .engine
            .decide_approval(caller.tenant(), &author, decision)
            .await;
        let mut decided = decided.map_err(Error::classify)?;
        decided.subject = None;
        let approval = Some(render::approval(&decided));
        Ok(Response::new(wire::DecideApprovalResponse { approval }))
    }
}
