//! A running engine, and the calls that most tests make.

use std::sync::Arc;

use reeve_auth::ServiceTokens;
use reeve_contracts::event::v1 as event;
use reeve_contracts::workflow::v1::approval_service_client::ApprovalServiceClient;
use reeve_contracts::workflow::v1::workflow_service_client::WorkflowServiceClient;
use reeve_contracts::workflow::v1::{self as wire, ExecutionState, StepState, StepType};
use reeve_ids::TenantId;
use reeve_runtime::Peer;
use reeve_runtime::config::{Sources, load};
use reeve_status::Fault;
use reeve_testkit::{
    Running, SERVICE_SECRET, StaticAuthenticator, TestDatabase, authorize, deps, serve,
};
use reeve_workflow_engine::domain::event::TaskNews;
use reeve_workflow_engine::domain::failure::Failure;
use reeve_workflow_engine::operations::apply_report::Report;
use reeve_workflow_engine::operations::{Author, Engine};
use reeve_workflow_engine::{Config, DEFAULTS, WorkflowEngine, schema};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tonic::transport::Channel;

use crate::queue::Queue;

/// An engine of its own with one tenant's administrator, and another tenant's.
pub struct World {
    pub database: TestDatabase,
    pub engine: Arc<Engine>,
    pub auth: Arc<StaticAuthenticator>,
    pub tenant: TenantId,
    pub admin: String,
    pub stranger: String,
    /// The task-queue that it calls, unless that is away.
    pub queue: Queue,
    running: Running,
}

impl World {
    /// Without a task-queue.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// Without a task-queue, and with some keys of the configuration set.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        Self::over(Queue::default(), settings).await
    }

    /// With a scripted task-queue.
    pub async fn with_queue(settings: &[(&str, &str)]) -> Self {
        let mut queue = Queue::default();
        queue.serve().await;
        Self::over(queue, settings).await
    }

    async fn over(queue: Queue, settings: &[(&str, &str)]) -> Self {
        let schema = schema();
        let database = TestDatabase::new(&[&schema]).await;
        let mut deps = deps(WorkflowEngine::NAME, &schema, &database).await;
        if let Some(url) = queue.url() {
            let tokens = ServiceTokens::new(SERVICE_SECRET);
            let peer = Peer::new("task-queue", &url, WorkflowEngine::NAME, tokens);
            deps.peers.task_queue = peer.expect("an address");
        }
        let mut sources = Sources::none()
            .set("database.url", database.url(&schema))
            .set("auth.service_token_secret", SERVICE_SECRET)
            .set("engine.timer_period", "10ms")
            .set("engine.watch_period", "100ms");
        for (key, value) in settings {
            sources = sources.set(*key, *value);
        }
        let config: Config = load(DEFAULTS, &sources).expect("the test's configuration is right");
        let built = WorkflowEngine::build_with_engine(config, deps.clone()).await;
        let (mut service, engine) = built.expect("it builds");
        let auth = StaticAuthenticator::new();
        service.authenticator = auth.clone();
        let tenant = TenantId::new();
        Self {
            admin: auth.admin(tenant),
            stranger: auth.admin(TenantId::new()),
            running: serve(service, &deps).await,
            database,
            engine,
            auth,
            tenant,
            queue,
        }
    }

    pub fn workflows(&self) -> WorkflowServiceClient<Channel> {
        WorkflowServiceClient::new(self.running.channel())
    }

    pub fn approvals(&self) -> ApprovalServiceClient<Channel> {
        ApprovalServiceClient::new(self.running.channel())
    }

    /// A message from the tenant's administrator.
    pub fn ask<T>(&self, message: T) -> tonic::Request<T> {
        authorize(&self.admin, message)
    }

    pub async fn publish(&self, workflow: wire::Workflow) -> wire::Workflow {
        let request = wire::CreateWorkflowRequest {
            workflow: Some(workflow),
            ..Default::default()
        };
        let answer = self.workflows().create_workflow(self.ask(request)).await;
        answer
            .expect("a valid definition")
            .into_inner()
            .workflow
            .expect("a workflow")
    }

    /// Publishes and starts with this input.
    pub async fn run(&self, workflow: wire::Workflow, input: Value) -> String {
        let workflow_id = self.publish(workflow).await.id;
        let input = reeve_wellknown::struct_from_json(input);
        let request = wire::StartExecutionRequest {
            workflow_id,
            input,
            ..Default::default()
        };
        self.start_with(request).await.expect("it starts").id
    }

    pub async fn start_with(
        &self,
        request: wire::StartExecutionRequest,
    ) -> Result<wire::Execution, Fault> {
        let answer = self.workflows().start_execution(self.ask(request)).await;
        let answer = answer.map_err(|status| Fault::from(&status))?;
        Ok(answer.into_inner().execution.expect("an execution"))
    }

    pub async fn get(&self, id: &str) -> (wire::Execution, wire::ExecutionStatus) {
        let request = wire::GetExecutionRequest {
            execution_id: id.into(),
            include_outputs: true,
            ..Default::default()
        };
        let answer = self.workflows().get_execution(self.ask(request)).await;
        let answer = answer.expect("an execution").into_inner();
        (
            answer.execution.expect("an execution"),
            answer.status.expect("a status"),
        )
    }

    pub async fn state(&self, id: &str) -> ExecutionState {
        self.get(id).await.0.state()
    }

    pub async fn step(&self, id: &str, step: &str) -> wire::StepStatus {
        let (_, status) = self.get(id).await;
        let found = status.steps.into_iter().find(|it| it.step_id == step);
        found.expect("the step exists")
    }

    pub async fn step_state(&self, id: &str, step: &str) -> StepState {
        self.step(id, step).await.state()
    }

    /// Brings news of a step's newest attempt, as the consumer of task-queue's events does.
    pub async fn news(&self, id: &str, step: &str, news: TaskNews) {
        let attempt = self.step(id, step).await.attempt;
        self.news_of(id, step, attempt, news).await;
    }

    pub async fn news_of(&self, id: &str, step: &str, attempt: i32, news: TaskNews) {
        let report = self.report(id, step, attempt, news);
        self.engine
            .apply_report(report)
            .await
            .expect("news are applied");
    }

    pub fn report(&self, id: &str, step: &str, attempt: i32, news: TaskNews) -> Report {
        let caused = event::Event {
            actor: Some(event::Actor {
                kind: event::ActorKind::Agent.into(),
                subject: AGENT.into(),
                display_name: "agent".into(),
            }),
            ..Default::default()
        };
        Report {
            tenant: self.tenant,
            execution_id: id.parse().expect("an id"),
            step_id: step.into(),
            attempt: u32::try_from(attempt).expect("an attempt"),
            task_id: None,
            news,
            author: Author::from(&caused),
        }
    }

    pub async fn complete(&self, id: &str, step: &str, result: Value) {
        self.news(
            id,
            step,
            TaskNews::Completed {
                agent_id: "agent-1".into(),
                result,
            },
        )
        .await;
    }

    pub async fn fail(&self, id: &str, step: &str) {
        let failure = Failure::reported("BROKEN", "it broke");
        self.news(id, step, TaskNews::Failed { failure }).await;
    }

    pub async fn history(&self, id: &str) -> Vec<wire::HistoryEvent> {
        let mut events = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = wire::GetHistoryRequest {
                execution_id: id.into(),
                page_size: 3,
                page_token,
            };
            let page = self.workflows().get_history(self.ask(request)).await;
            let page = page.expect("a history").into_inner();
            events.extend(page.events);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return events;
            }
        }
    }

    /// What must hold after everything: something will wake each execution, and no history was
    /// changed.
    pub async fn finish(self) {
        assert_eq!(
            self.engine.count_asleep().await.expect("the view"),
            0,
            "nothing wakes one"
        );
        let mut admin = self.database.admin().await;
        let own: Vec<String> = sqlx::query_scalar(
            "select id::text from workflow_engine.execution where tenant_id = $1",
        )
        .bind(self.tenant.uuid())
        .fetch_all(&mut admin)
        .await
        .expect("executions");
        for id in own {
            let history = self.history(&id).await;
            verify_chain(&history);
        }
    }
}

/// The subject of the agent that brings news.
pub const AGENT: &str = "key:the-agent";

/// Every entry of a history is what it was.
pub fn verify_chain(events: &[wire::HistoryEvent]) {
    assert_eq!(broken_at(events), None, "an entry was changed");
}

/// Recomputes every hash as the contract's comment says, without the engine's code; the sequence of
/// the first entry that is not what it was or not where it was.
pub fn broken_at(events: &[wire::HistoryEvent]) -> Option<i64> {
    let mut previous = "0".repeat(64);
    for (index, event) in events.iter().enumerate() {
        let place = i64::try_from(index).unwrap() + 1;
        let hash = hash_of(event, &previous);
        if event.sequence != place || event.previous_hash != previous || event.hash != hash {
            return Some(event.sequence);
        }
        previous = hash;
    }
    None
}

fn hash_of(event: &wire::HistoryEvent, previous: &str) -> String {
    let actor = event.actor.clone().expect("an actor");
    let kind = actor.kind().as_str_name().replace("ACTOR_KIND_", "");
    let time = reeve_wellknown::datetime(&event.occur_time.expect("a time")).expect("a time");
    let data = event.data.clone().map(reeve_wellknown::json_from_struct);
    let text = reeve_workflow_engine::domain::canonical::canonical(&json!({
        "actor": {"kind": kind, "name": actor.display_name, "subject": actor.subject},
        "attempt": event.attempt, "data": data.unwrap_or_else(|| json!({})),
        "execution_id": event.execution_id, "sequence": event.sequence,
        "step_id": event.step_id, "type": event.r#type,
        "time": time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
    }));
    let bytes = (0..64)
        .step_by(2)
        .map(|at| u8::from_str_radix(&previous[at..at + 2], 16));
    let mut hasher = Sha256::new();
    hasher.update(bytes.collect::<Result<Vec<_>, _>>().expect("hexadecimal"));
    hasher.update(text);
    let hash = hasher.finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn task(id: &str, dependencies: &[&str]) -> wire::WorkflowStep {
    wire::WorkflowStep {
        id: id.into(),
        r#type: StepType::Task.into(),
        action: format!("do.{id}"),
        dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    }
}

pub fn fields(value: Value) -> Option<prost_types::Struct> {
    Some(reeve_wellknown::struct_from_json(value).expect("an object"))
}

pub fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

pub fn workflow(name: &str, steps: Vec<wire::WorkflowStep>) -> wire::Workflow {
    wire::Workflow {
        name: name.into(),
        r#type: wire::WorkflowType::Parallel.into(),
        steps,
        ..Default::default()
    }
}

/// The fault of a call that must fail.
pub fn refused<T: std::fmt::Debug>(answer: Result<T, tonic::Status>) -> Fault {
    Fault::from(&answer.expect_err("it was accepted"))
}
