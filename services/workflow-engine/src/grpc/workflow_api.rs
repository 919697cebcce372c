//! WorkflowService.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use reeve_auth::Caller;
use reeve_contracts::workflow::v1 as wire;
use reeve_contracts::workflow::v1::workflow_service_server::WorkflowService;
use reeve_ids::ExecutionId;
use reeve_postgres::page;
use reeve_runtime::answer;
use reeve_status::{Fault, Violations};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::watch::Watch;
use super::{parse, parse_definition, render, render_definition};
use crate::domain::canonical::hex;
use crate::domain::event::Event;
use crate::domain::plan::Plan;
use crate::error::Error;
use crate::operations::create_workflow::Draft;
use crate::operations::engine::away;
use crate::operations::read::Outputs;
use crate::operations::{Author, Engine};
use crate::storage::rows::Published;

/// Serves WorkflowService.
#[derive(Debug)]
pub struct WorkflowApi {
    engine: Arc<Engine>,
    drain: CancellationToken,
    watch_period: Duration,
}

impl WorkflowApi {
    /// The full name of the gRPC service.
    pub const NAME: &'static str = "reeve.workflow.v1.WorkflowService";

    /// The service over an engine.
    pub fn new(engine: Arc<Engine>, drain: CancellationToken, watch_period: Duration) -> Self {
        Self {
            engine,
            drain,
            watch_period,
        }
    }

    async fn control(
        &self,
        caller: &Caller,
        (id, etag): parse::Guarded,
        event: Event,
    ) -> Result<wire::Execution, Fault> {
        let author = Author::from(caller);
        let controlled = self
            .engine
            .control_execution(caller.tenant(), &author, id, etag, event)
            .await;
        let (stored, planned) = controlled.map_err(Error::classify)?;
        Ok(render::execution(stored, &planned))
    }
}

#[tonic::async_trait]
impl WorkflowService for WorkflowApi {
    async fn create_workflow(
        &self,
        request: Request<wire::CreateWorkflowRequest>,
    ) -> Result<Response<wire::CreateWorkflowResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        parse::request_id(&mut violations, &request.request_id);
        violations.check(request.workflow.is_some(), "workflow", "is required");
        let Some(workflow) = request.workflow else {
            return Err(violations.into_fault().into());
        };
        let draft = Draft {
            read: parse_definition::definition(workflow),
            violations,
        };
        let (tenant, author) = (caller.tenant(), Author::from(&caller));
        let published = self
            .engine
            .create_workflow(tenant, &author, draft, &request.request_id)
            .await;
        let published = published.map_err(Error::classify)?;
        let workflow = Some(render_definition::workflow(published));
        Ok(Response::new(wire::CreateWorkflowResponse { workflow }))
    }

    async fn validate_workflow(
        &self,
        request: Request<wire::ValidateWorkflowRequest>,
    ) -> Result<Response<wire::ValidateWorkflowResponse>, Status> {
        let workflow = request.into_inner().workflow;
        let workflow = workflow.ok_or_else(|| Fault::invalid("workflow", "is required"))?;
        let (definition, mut faults) = parse_definition::definition(workflow);
        let digest = definition.digest();
        let compiled = away(move || Plan::compile(definition)).await;
        let compiled = compiled.map_err(Error::classify)?;
        faults.extend(compiled.err().unwrap_or_default());
        let valid = faults.is_empty();
        Ok(Response::new(wire::ValidateWorkflowResponse {
            valid,
            faults: faults.into_iter().map(render_definition::fault).collect(),
            digest: if valid { hex(&digest) } else { String::new() },
        }))
    }

    async fn get_workflow(
        &self,
        request: Request<wire::GetWorkflowRequest>,
    ) -> Result<Response<wire::GetWorkflowResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        let which = parse::which(
            &mut violations,
            ("workflow_id", &request.workflow_id),
            ("name", &request.name),
            ("version", request.version),
        );
        violations.finish()?;
        let published = self
            .engine
            .get_workflow(caller.tenant(), &which, request.version)
            .await;
        let published = published.map_err(Error::classify)?;
        let workflow = Some(render_definition::workflow(published));
        Ok(Response::new(wire::GetWorkflowResponse { workflow }))
    }

    async fn list_workflows(
        &self,
        request: Request<wire::ListWorkflowsRequest>,
    ) -> Result<Response<wire::ListWorkflowsResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        parse::text(&mut violations, "name_prefix", &request.name_prefix, 128);
        parse::text(&mut violations, "tag", &request.tag, 64);
        let filter = (&request.name_prefix, &request.tag);
        let token = &request.page_token;
        let (size, after) = parse::page(violations, request.page_size, token, &filter)?;
        let after: String = after.unwrap_or_default();
        let (tenant, prefix, tag) = (caller.tenant(), &request.name_prefix, &request.tag);
        let found = self
            .engine
            .list_workflows(tenant, prefix, tag, &after, size + 1)
            .await;
        let found = found.map_err(Error::classify)?;
        let render = |it: &Published| render_definition::workflow(it.clone());
        let (workflows, next) = answer::page(found, size, render, |it| it.definition.name.clone());
        Ok(Response::new(wire::ListWorkflowsResponse {
            workflows,
            next_page_token: next
                .map(|key| page::encode(&key, &filter))
                .unwrap_or_default(),
        }))
    }

    async fn start_execution(
        &self,
        request: Request<wire::StartExecutionRequest>,
    ) -> Result<Response<wire::StartExecutionResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let traceparent = caller.traceparent.clone().unwrap_or_default();
        let start = parse::start(request.into_inner(), traceparent)?;
        let author = Author::from(&caller);
        let started = self
            .engine
            .start_execution(caller.tenant(), &author, start)
            .await;
        let (stored, planned) = started.map_err(Error::classify)?;
        let execution = Some(render::execution(stored, &planned));
        Ok(Response::new(wire::StartExecutionResponse { execution }))
    }

    async fn get_execution(
        &self,
        request: Request<wire::GetExecutionRequest>,
    ) -> Result<Response<wire::GetExecutionResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        let id = violations.take("execution_id", request.execution_id.parse::<ExecutionId>());
        let few = request.step_ids.len() <= 500;
        violations.check(few, "step_ids", "must be at most 500");
        violations.finish()?;
        let id = id.ok_or_else(Fault::internal)?;
        let outputs = Outputs {
            wanted: request.include_outputs,
            steps: request.step_ids,
        };
        let seen = self.engine.get_execution(caller.tenant(), id, &outputs);
        let seen = seen.await.map_err(Error::classify)?;
        Ok(Response::new(render::seen(seen)))
    }

    async fn list_executions(
        &self,
        request: Request<wire::ListExecutionsRequest>,
    ) -> Result<Response<wire::ListExecutionsResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let parse::ExecutionPage {
            filter,
            before,
            size,
        } = parse::executions(request.into_inner())?;
        let tenant = caller.tenant();
        let found = self
            .engine
            .list_executions(tenant, &filter, before, size + 1)
            .await;
        let found = found.map_err(Error::classify)?;
        let (executions, next) = answer::page(found, size, render::listed, |it| it.stored.run.id);
        Ok(Response::new(wire::ListExecutionsResponse {
            executions,
            next_page_token: next
                .map(|key| page::encode(&key, &filter))
                .unwrap_or_default(),
        }))
    }

    type WatchExecutionStream =
        Pin<Box<dyn Stream<Item = Result<wire::WatchExecutionResponse, Status>> + Send>>;

    async fn watch_execution(
        &self,
        request: Request<wire::WatchExecutionRequest>,
    ) -> Result<Response<Self::WatchExecutionStream>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        let id = violations.take("execution_id", request.execution_id.parse::<ExecutionId>());
        let right = request.after_sequence >= 0;
        violations.check(right, "after_sequence", "must not be negative");
        violations.finish()?;
        let (tenant, id) = (caller.tenant(), id.ok_or_else(Fault::internal)?);
        // Answers NOT_FOUND as the call's status rather than within the stream.
        self.engine
            .history(tenant, id, i64::MAX, 1)
            .await
            .map_err(Error::classify)?;
        let (engine, drain) = (Arc::clone(&self.engine), self.drain.clone());
        let after = request.after_sequence;
        let watch = Watch::new(engine, tenant, id, after, drain, self.watch_period);
        Ok(Response::new(Box::pin(watch.into_stream())))
    }

    async fn pause_execution(
        &self,
        request: Request<wire::PauseExecutionRequest>,
    ) -> Result<Response<wire::PauseExecutionResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let which = parse::guarded(&request.execution_id, &request.etag, &request.reason)?;
        let execution = self
            .control(&caller, which, Event::Pause(request.reason))
            .await?;
        Ok(Response::new(wire::PauseExecutionResponse {
            execution: Some(execution),
        }))
    }

    async fn resume_execution(
        &self,
        request: Request<wire::ResumeExecutionRequest>,
    ) -> Result<Response<wire::ResumeExecutionResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let which = parse::guarded(&request.execution_id, &request.etag, "")?;
        let execution = self.control(&caller, which, Event::Resume).await?;
        Ok(Response::new(wire::ResumeExecutionResponse {
            execution: Some(execution),
        }))
    }

    async fn cancel_execution(
        &self,
        request: Request<wire::CancelExecutionRequest>,
    ) -> Result<Response<wire::CancelExecutionResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let which = parse::guarded(&request.execution_id, &request.etag, &request.reason)?;
        let execution = self
            .control(&caller, which, Event::Cancel(request.reason))
            .await?;
        Ok(Response::new(wire::CancelExecutionResponse {
            execution: Some(execution),
        }))
    }

    async fn get_history(
        &self,
        request: Request<wire::GetHistoryRequest>,
    ) -> Result<Response<wire::GetHistoryResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        let id = violations.take("execution_id", request.execution_id.parse::<ExecutionId>());
        let token = &request.page_token;
        let (size, after) = parse::page(violations, request.page_size, token, &id)?;
        let id = id.ok_or_else(Fault::internal)?;
        let (tenant, after) = (caller.tenant(), after.unwrap_or(0));
        let read = self.engine.history(tenant, id, after, size + 1).await;
        let (_, entries) = read.map_err(Error::classify)?;
        let render = render::history_event;
        let (events, next) = answer::page(entries, size, render, |entry| entry.sequence);
        Ok(Response::new(wire::GetHistoryResponse {
            events,
            next_page_token: next
                .map(|key| page::encode(&key, &Some(id)))
                .unwrap_or_default(),
        }))
    }

    async fn diagnose_execution(
        &self,
        request: Request<wire::DiagnoseExecutionRequest>,
    ) -> Result<Response<wire::DiagnoseExecutionResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let id = parse::id("execution_id", &request.into_inner().execution_id)?;
        let diagnosis = self.engine.diagnose(caller.tenant(), id).await;
        Ok(Response::new(render::diagnosis(
            diagnosis.map_err(Error::classify)?,
        )))
    }
}
