//! `reeve.task.v1.WorkService`.

use std::time::Duration;

use chrono::TimeDelta;
use futures::stream::BoxStream;
use reeve_auth::Caller;
use reeve_contracts::task::v1 as proto;
use reeve_contracts::task::v1::work_service_server::WorkService;
use reeve_events::Actor;
use reeve_status::{Fault, Violations};
use tonic::{Request, Response, Status, Streaming};

use super::parse_spec::Asked;
use super::portions::portions;
use super::{parse, parse_delegation, parse_gate, parse_subtask, parse_work};
use super::{render, render_delegation, session, waiting};
use crate::Queue;
use crate::domain::State;
use crate::operations::{self, LeaseAsk, Report};

/// Serves agents.
#[derive(Debug, Clone)]
pub struct WorkApi {
    queue: Queue,
}

impl WorkApi {
    /// The full name of the gRPC service.
    pub const NAME: &'static str = "reeve.task.v1.WorkService";

    /// The RPCs over the service.
    pub fn new(queue: Queue) -> Self {
        Self { queue }
    }

    fn report(&self, caller: &Caller) -> Report<'_> {
        Report {
            queue: &self.queue,
            tenant_id: caller.tenant(),
            actor: Actor::from(caller),
        }
    }
}

/// The answer for a batch of one.
fn only<T>(answers: Vec<Result<T, Fault>>) -> Result<T, Fault> {
    answers
        .into_iter()
        .next()
        .unwrap_or_else(|| Err(Fault::internal()))
}

#[tonic::async_trait]
impl WorkService for WorkApi {
    type WorkStream = BoxStream<'static, Result<proto::WorkResponse, Status>>;

    async fn lease_tasks(
        &self,
        request: Request<proto::LeaseTasksRequest>,
    ) -> Result<Response<proto::LeaseTasksResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let (ask, most, patience) = lease_ask(&caller, request.into_inner())?;
        let mut granted = operations::lease(&self.queue, &ask, most, patience).await?;
        let now = self.queue.shared.clock.now();
        let rendered = granted.open().into_iter();
        let rendered = rendered.map(|grant| render::lease(grant, now)).collect();
        // What does not fit into the answer goes back with `granted`.
        let leases = portions(rendered).into_iter().next().unwrap_or_default();
        granted.told(leases.len());
        Ok(Response::new(proto::LeaseTasksResponse { leases }))
    }

    async fn work(
        &self,
        request: Request<Streaming<proto::WorkRequest>>,
    ) -> Result<Response<Self::WorkStream>, Status> {
        let caller = Caller::from_request(&request)?;
        Ok(Response::new(session::open(
            self.queue.clone(),
            caller,
            request.into_inner(),
        )))
    }

    async fn renew_leases(
        &self,
        request: Request<proto::RenewLeasesRequest>,
    ) -> Result<Response<proto::RenewLeasesResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let mut v = Violations::new();
        let tokens = parse::tokens(&mut v, "lease_tokens", &request.lease_tokens, 1_000);
        let lease_ms = parse::lease(&mut v, "lease_duration", request.lease_duration.as_ref());
        v.finish()?;
        let renewed = self.report(&caller).renew(&tokens, lease_ms).await?;
        let renewed = renewed.into_iter().collect::<Result<Vec<_>, Fault>>()?;
        let each = request.lease_tokens.into_iter().zip(renewed);
        let renewals = each
            .map(|(token, renewed)| render::renewal(token, renewed))
            .collect();
        Ok(Response::new(proto::RenewLeasesResponse { renewals }))
    }

    async fn accept_task(
        &self,
        request: Request<proto::AcceptTaskRequest>,
    ) -> Result<Response<proto::AcceptTaskResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let token = parse_work::token(&request.get_ref().lease_token)?;
        only(
            self.report(&caller)
                .advance(&[token], State::Accepted)
                .await?,
        )?;
        Ok(Response::new(proto::AcceptTaskResponse {}))
    }

    async fn start_task(
        &self,
        request: Request<proto::StartTaskRequest>,
    ) -> Result<Response<proto::StartTaskResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let token = parse_work::token(&request.get_ref().lease_token)?;
        only(
            self.report(&caller)
                .advance(&[token], State::InProgress)
                .await?,
        )?;
        Ok(Response::new(proto::StartTaskResponse {}))
    }

    async fn report_progress(
        &self,
        request: Request<proto::ReportProgressRequest>,
    ) -> Result<Response<proto::ReportProgressResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let progress = parse_work::progress(request.into_inner(), caller.tenant())?;
        let advanced = only(self.report(&caller).progress(vec![progress]).await?)?;
        let cancel_requested = advanced.cancel_requested;
        Ok(Response::new(proto::ReportProgressResponse {
            cancel_requested,
        }))
    }

    async fn complete_task(
        &self,
        request: Request<proto::CompleteTaskRequest>,
    ) -> Result<Response<proto::CompleteTaskResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let completion = parse_work::completion(request.into_inner(), caller.tenant())?;
        only(self.report(&caller).complete(vec![completion]).await?)?;
        Ok(Response::new(proto::CompleteTaskResponse {}))
    }

    async fn batch_complete_tasks(
        &self,
        request: Request<proto::BatchCompleteTasksRequest>,
    ) -> Result<Response<proto::BatchCompleteTasksResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let requests = request.into_inner().requests;
        let tokens: Vec<_> = requests.iter().map(|one| one.lease_token.clone()).collect();
        let completions = parse_work::completions(requests, caller.tenant())?;
        let answers = self.report(&caller).complete(completions).await?;
        let failures =
            answers
                .into_iter()
                .zip(tokens)
                .enumerate()
                .filter_map(|(index, (answer, token))| {
                    Some(render::failure(index, token, &answer.err()?))
                });
        Ok(Response::new(proto::BatchCompleteTasksResponse {
            failures: failures.collect(),
        }))
    }

    async fn fail_task(
        &self,
        request: Request<proto::FailTaskRequest>,
    ) -> Result<Response<proto::FailTaskResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let failure = parse_work::failure(request.into_inner())?;
        let ended = only(self.report(&caller).fail(vec![failure]).await?)?;
        Ok(Response::new(proto::FailTaskResponse {
            state: render::state(ended.state).into(),
            ready_time: ended.ready_time.map(reeve_wellknown::timestamp),
        }))
    }

    async fn reject_task(
        &self,
        request: Request<proto::RejectTaskRequest>,
    ) -> Result<Response<proto::RejectTaskResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let rejection = parse_work::rejection(request.into_inner())?;
        let ended = only(self.report(&caller).reject(vec![rejection]).await?)?;
        let state = render::state(ended.state).into();
        Ok(Response::new(proto::RejectTaskResponse { state }))
    }

    async fn suspend_task(
        &self,
        request: Request<proto::SuspendTaskRequest>,
    ) -> Result<Response<proto::SuspendTaskResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let suspend = parse_gate::suspend(request.into_inner())?;
        let ended = only(self.report(&caller).suspend(vec![suspend]).await?)?;
        let gate_id = ended.gate_id.map(|id| id.to_string()).unwrap_or_default();
        Ok(Response::new(proto::SuspendTaskResponse {
            state: render::state(ended.state).into(),
            gate_id,
        }))
    }

    async fn delegate_task(
        &self,
        request: Request<proto::DelegateTaskRequest>,
    ) -> Result<Response<proto::DelegateTaskResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let ask = parse_delegation::delegate(request.into_inner())?;
        let made = operations::delegate(&self.queue, &caller, &ask).await?;
        Ok(Response::new(proto::DelegateTaskResponse {
            delegation: Some(render_delegation::delegation(made)),
        }))
    }

    async fn create_subtask(
        &self,
        request: Request<proto::CreateSubtaskRequest>,
    ) -> Result<Response<proto::CreateSubtaskResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let types = self.queue.shared.catalogues.of(caller.tenant()).await?;
        let now = self.queue.shared.clock.now();
        let asked = Asked {
            types: &types,
            now,
            // Whoever works on a task is no service of Reeve's.
            by_service: false,
        };
        let (token, creation) = parse_subtask::create(request.into_inner(), asked)?;
        let task = operations::create_subtask(&self.queue, &caller, token, creation).await?;
        let why = task.waiting(None).map(|waiting| waiting.reason(now));
        Ok(Response::new(proto::CreateSubtaskResponse {
            task: Some(render::task(task, why.map(Into::into))),
        }))
    }

    async fn wait_subtasks(
        &self,
        request: Request<proto::WaitSubtasksRequest>,
    ) -> Result<Response<proto::WaitSubtasksResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let ask = waiting::subtasks(request.get_ref(), caller.tenant())?;
        let waited = operations::wait(&self.queue, &ask).await?;
        Ok(Response::new(waiting::found(waited)))
    }
}

fn lease_ask(
    caller: &Caller,
    request: proto::LeaseTasksRequest,
) -> Result<(LeaseAsk, usize, Duration), Fault> {
    let mut v = Violations::new();
    let agent_id = parse::required(&mut v, "agent_id", &request.agent_id);
    let queues = parse::queues(&mut v, request.queues);
    v.check(
        (0..=256).contains(&request.max_tasks),
        "max_tasks",
        "must be from 1 to 256",
    );
    let lease_ms = parse::lease(&mut v, "lease_duration", request.lease_duration.as_ref());
    let wait = request.wait_duration.as_ref();
    let (zero, most) = (TimeDelta::zero(), TimeDelta::seconds(50));
    let wait = parse::duration(&mut v, "wait_duration", wait, zero, most).unwrap_or_default();
    let ask = agent_id.map(|agent_id| LeaseAsk {
        tenant_id: caller.tenant(),
        agent_id,
        actor: Actor::from(caller),
        queues,
        lease_ms,
        start: request.start,
    });
    let ask = parse::finish(v, ask)?;
    let most = usize::try_from(request.max_tasks.max(1)).unwrap_or(1);
    Ok((ask, most, wait.to_std().unwrap_or_default()))
}
