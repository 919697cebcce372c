//! AuditService.

use reeve_auth::Caller;
use reeve_contracts::audit::v1::audit_service_server::AuditService;
use reeve_contracts::audit::v1::{
    ListAuditEntriesRequest, ListAuditEntriesResponse, VerifyAuditLogRequest,
    VerifyAuditLogResponse,
};
use reeve_postgres::page;
use reeve_runtime::answer;
use tonic::{Request, Response, Status};

use super::parse::{Reader, filters};
use super::render;
use crate::operations::Direction;
use crate::operations::Operations;

/// Reads the audit trail and proves that it is whole.
#[derive(Debug)]
pub struct AuditApi {
    operations: Operations,
}

impl AuditApi {
    /// The full name of the gRPC service, for health and reflection.
    pub const NAME: &'static str = "reeve.audit.v1.AuditService";

    /// The service over its operations.
    pub fn new(operations: Operations) -> Self {
        Self { operations }
    }
}

#[tonic::async_trait]
impl AuditService for AuditApi {
    async fn list_audit_entries(
        &self,
        request: Request<ListAuditEntriesRequest>,
    ) -> Result<Response<ListAuditEntriesResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let mut reader = Reader::new(self.operations.now());
        let filter = filters::audit(&mut reader, &request);
        let size = reader.page_size(request.page_size);
        reader.finish()?;
        let bound = ("audit", &filter);
        let beyond = page::decode::<i64>(&request.page_token, &bound)?;
        let down = Direction::Descending;
        let listed = self
            .operations
            .list_events(&caller, beyond, &filter, down, size + 1)
            .await?;
        let (entries, next) = answer::page(listed.entries, size, render::events::audit, |entry| {
            entry.position
        });
        Ok(Response::new(ListAuditEntriesResponse {
            entries,
            next_page_token: next
                .or(listed.looked_up_to)
                .map(|key| page::encode(&key, &bound))
                .unwrap_or_default(),
        }))
    }

    async fn verify_audit_log(
        &self,
        request: Request<VerifyAuditLogRequest>,
    ) -> Result<Response<VerifyAuditLogResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let (first, last) = (request.first_sequence, request.last_sequence);
        let mut reader = Reader::new(self.operations.now());
        reader.check(first >= 0, "first_sequence", "must not be negative");
        let ordered = last == 0 || last >= first;
        reader.check(
            ordered,
            "last_sequence",
            "must be 0 or at least first_sequence",
        );
        reader.finish()?;
        let verdict = self
            .operations
            .verify_audit_log(&caller, first, last)
            .await?;
        Ok(Response::new(render::events::verdict(&verdict)))
    }
}
