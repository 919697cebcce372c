//! Agents that poll: lease, work, end, each by a call of its own.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use reeve_bench::Session;
use reeve_contracts::task::v1::work_service_client::WorkServiceClient;
use reeve_contracts::task::v1::{
    CompleteTaskRequest, FailTaskRequest, Lease, LeaseTasksRequest, TaskError, TaskState,
};
use reeve_status::{Fault, Reason};
use tokio::sync::watch;

use crate::clients::is_passing;
use crate::history::History;
use crate::plan::Plan;
use crate::presence::Presence;

/// How long a lease lasts, and how long a frozen agent says nothing.
pub const LEASE: Duration = Duration::from_secs(4);
/// Longer than the lease.
pub const SILENCE: Duration = Duration::from_secs(7);
/// One in so many times an agent falls silent with work in its hands.
const FREEZES: u32 = 20;

/// What an agent has to say of one lease.
#[derive(Debug, Clone)]
pub struct Held {
    pub task: String,
    pub token: String,
    pub fails: bool,
}

impl Held {
    /// What the plan of the task says.
    pub fn of(lease: Lease) -> Self {
        let task = lease.task.unwrap_or_default();
        let spec = task.spec.unwrap_or_default();
        let parameters = spec.parameters.map(reeve_wellknown::json_from_struct);
        let parameters = parameters.unwrap_or_default();
        let plan = parameters["plan"].as_str().unwrap_or_default();
        Self {
            fails: Plan::fails(plan, lease.attempt),
            task: task.id,
            token: lease.lease_token,
        }
    }

    /// The failure that it reports.
    pub fn failure(&self) -> FailTaskRequest {
        FailTaskRequest {
            lease_token: self.token.clone(),
            error: Some(TaskError {
                code: "CHAOS".to_owned(),
                message: "as planned".to_owned(),
                details: None,
            }),
            retryable: true,
            ..FailTaskRequest::default()
        }
    }

    /// The completion that it reports.
    pub fn completion(&self) -> CompleteTaskRequest {
        CompleteTaskRequest {
            lease_token: self.token.clone(),
            result: Some(prost_types::Struct::default()),
            ..CompleteTaskRequest::default()
        }
    }
}

/// Works until it is stopped.
pub async fn run(
    session: Session,
    history: Arc<History>,
    number: usize,
    seed: u64,
    stopped: watch::Receiver<bool>,
) -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    let presence = Presence::new(&session, number).await?;
    while !*stopped.borrow() {
        let request = LeaseTasksRequest {
            agent_id: presence.id(),
            max_tasks: random.random_range(1..64),
            lease_duration: LEASE.try_into().ok(),
            wait_duration: Duration::from_secs(1).try_into().ok(),
            start: true,
            ..LeaseTasksRequest::default()
        };
        let mut request = session.request(request);
        request.set_timeout(Duration::from_secs(5));
        let mut work = WorkServiceClient::new(session.lasting_queue());
        let leases = match work.lease_tasks(request).await {
            Ok(answer) => answer.into_inner().leases,
            Err(status) if is_given_up(&status) => {
                presence.register().await?;
                continue;
            }
            Err(status) if is_passing(&status) => {
                history.repeated();
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            Err(status) => return Err(status).context("an agent may not lease"),
        };
        if !leases.is_empty() && random.random_ratio(1, FREEZES) {
            history.silence();
            presence.fall_silent(SILENCE).await;
        }
        for held in leases.into_iter().map(Held::of) {
            end(&session, &history, &held).await?;
        }
    }
    Ok(())
}

/// Whether the registry has given the agent up.
pub fn is_given_up(status: &tonic::Status) -> bool {
    let reason = Fault::from(status).reason();
    reason == Reason::AgentNotActive || reason == Reason::ResourceNotFound
}

/// Ends a task, again and again until it is known how that went.
pub async fn end(session: &Session, history: &History, held: &Held) -> Result<()> {
    loop {
        match try_end(session, history, held).await {
            Ok(()) => return Ok(()),
            Err(status) if Fault::from(&status).reason() == Reason::LeaseLost => {
                history.lost();
                return Ok(());
            }
            Err(status) if is_passing(&status) => {
                history.repeated();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(status) => return Err(status).context("a task could not be ended"),
        }
    }
}

async fn try_end(session: &Session, history: &History, held: &Held) -> Result<(), tonic::Status> {
    let channel = session.lasting_queue();
    let mut work = WorkServiceClient::new(channel);
    let timeout = Duration::from_secs(10);
    if held.fails {
        let mut request = session.request(held.failure());
        request.set_timeout(timeout);
        let answer = work.fail_task(request).await?.into_inner();
        if answer.state() == TaskState::Failed {
            history.failed(&held.task, &held.token);
        }
    } else {
        let mut request = session.request(held.completion());
        request.set_timeout(timeout);
        work.complete_task(request).await?;
        history.completed(&held.task, &held.token);
    }
    Ok(())
}
