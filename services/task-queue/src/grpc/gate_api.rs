//! `reeve.task.v1.GateService`.

use reeve_auth::Caller;
use reeve_contracts::task::v1 as proto;
use reeve_contracts::task::v1::gate_service_server::GateService;
use reeve_ids::GateId;
use reeve_postgres::page;
use reeve_runtime::answer;
use reeve_status::Violations;
use tonic::{Request, Response, Status};

use super::{TaskApi, parse_gate, render_gate};
use crate::domain::Gate;
use crate::{Queue, operations};

/// Serves people for whose answers tasks wait.
#[derive(Debug, Clone)]
pub struct GateApi {
    queue: Queue,
    tasks: TaskApi,
}

impl GateApi {
    /// The full name of the gRPC service.
    pub const NAME: &'static str = "reeve.task.v1.GateService";

    /// The RPCs over the service.
    pub fn new(queue: Queue) -> Self {
        let tasks = TaskApi::new(queue.clone());
        Self { queue, tasks }
    }
}

#[tonic::async_trait]
impl GateService for GateApi {
    async fn list_gates(
        &self,
        request: Request<proto::ListGatesRequest>,
    ) -> Result<Response<proto::ListGatesResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let mut v = Violations::new();
        let filter = parse_gate::filter(&mut v, &request);
        v.finish()?;
        let size = page::size(request.page_size)?;
        let after = page::decode::<GateId>(&request.page_token, &filter)?;
        let (queue, tenant) = (&self.queue, caller.tenant());
        let found = operations::list_gates(queue, tenant, &filter, after, size + 1).await?;
        let render = |gate: &Gate| render_gate::gate(gate.clone());
        let (gates, next) = answer::page(found, size, render, |gate| gate.id);
        let next_page_token = next
            .map(|key| page::encode(&key, &filter))
            .unwrap_or_default();
        Ok(Response::new(proto::ListGatesResponse {
            gates,
            next_page_token,
        }))
    }

    async fn answer_gate(
        &self,
        request: Request<proto::AnswerGateRequest>,
    ) -> Result<Response<proto::AnswerGateResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let ask = parse_gate::answer(request.into_inner())?;
        let task = operations::answer_gate(&self.queue, &caller, &ask).await?;
        Ok(Response::new(proto::AnswerGateResponse {
            task: Some(self.tasks.render(task).await),
        }))
    }
}
