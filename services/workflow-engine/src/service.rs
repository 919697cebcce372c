//! Where everything meets.

use std::sync::Arc;

use reeve_auth::{RemoteAuthenticator, ServiceTokens};
use reeve_contracts::workflow::v1::approval_service_server::ApprovalServiceServer;
use reeve_contracts::workflow::v1::workflow_service_server::WorkflowServiceServer;
use reeve_events::{Consumer, Feed, FeedService, Log, Relay};
use reeve_postgres::Schema;
use reeve_runtime::config::{ConfigError, Validate as _};
use reeve_runtime::{BuildError, Deps, ReadyProbe, Service, limited};
use sqlx::migrate::Migrator;
use tokio::sync::Notify;

use crate::clients::TaskQueue;
use crate::config::Config;
use crate::grpc::{ApprovalApi, WorkflowApi};
use crate::loops::{self, TaskNewsHandler};
use crate::metrics::Counters;
use crate::operations::Engine;
use crate::operations::engine::{Plans, SERVICE};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The service's schema, with its migrations.
pub fn schema() -> Schema {
    Schema::new("workflow_engine")
        .with("events", &reeve_events::MIGRATIONS)
        .with("workflow_engine", &MIGRATIONS)
}

/// The service workflow-engine.
#[derive(Debug)]
pub struct WorkflowEngine;

impl WorkflowEngine {
    /// The name that logs, tokens and operators use.
    pub const NAME: &'static str = SERVICE;

    /// Builds the service. Neither PostgreSQL, Redis nor task-queue needs to be there yet.
    ///
    /// # Errors
    /// When the configuration has faults.
    pub async fn build(config: Config, deps: Deps) -> Result<Service, BuildError> {
        Self::build_with_engine(config, deps)
            .await
            .map(|(service, _)| service)
    }

    /// As [`WorkflowEngine::build`], and hands out the engine: for programs that bring it news of
    /// tasks themselves, as the service's own tests do.
    ///
    /// # Errors
    /// When the configuration has faults.
    pub async fn build_with_engine(
        config: Config,
        deps: Deps,
    ) -> Result<(Service, Arc<Engine>), BuildError> {
        let problems = config.validate();
        if !problems.is_empty() {
            return Err(ConfigError { problems }.into());
        }
        let tokens = ServiceTokens::new(config.auth.service_token_secret.expose());
        let engine = Arc::new(engine(&config, &deps));
        let Deps {
            database,
            redis,
            peers,
            wake,
            drain,
            ..
        } = deps;
        let log = Log::new(database.clone());
        let feed = Feed::Peer {
            channel: peers.task_queue.channel(),
            tokens: tokens.clone(),
            caller: SERVICE,
        };
        let handler = TaskNewsHandler::new(Arc::clone(&engine));
        let consumer = Consumer::new(
            database.clone(),
            &redis,
            feed,
            "task-queue",
            "steps",
            handler,
        );
        let relay = Relay::new(database.clone(), &redis, SERVICE, wake);
        let workflows = WorkflowApi::new(Arc::clone(&engine), drain, config.engine.watch_period);
        let approvals = ApprovalApi::new(Arc::clone(&engine));
        let service = Service {
            name: SERVICE,
            routes: tonic::service::Routes::default()
                .add_service(limited!(WorkflowServiceServer::new(workflows)))
                .add_service(limited!(ApprovalServiceServer::new(approvals)))
                .add_service(limited!(FeedService::server(log))),
            grpc_services: vec![WorkflowApi::NAME, ApprovalApi::NAME, FeedService::NAME],
            loops: loops::all(&engine, &config.engine, relay, consumer),
            authenticator: Arc::new(RemoteAuthenticator::new(
                SERVICE,
                tokens,
                peers.agent_registry.channel(),
            )),
            ready: ReadyProbe::new(move || {
                let database = database.clone();
                async move { database.check(&schema()).await }
            }),
        };
        Ok((service, engine))
    }
}

fn engine(config: &Config, deps: &Deps) -> Engine {
    Engine {
        database: deps.database.clone(),
        clock: Arc::clone(&deps.clock),
        tasks: TaskQueue::new(deps.peers.task_queue.clone()),
        plans: Plans::default(),
        counters: Counters::new(&deps.metrics),
        wake: deps.wake.clone(),
        commands: Arc::new(Notify::new()),
        watches: deps.redis.wakeups("executions"),
        grace: config.execution.grace(),
        approval_timeout: config.execution.approval_span(),
        command_batch: i64::from(config.engine.command_batch),
        calls: usize::from(config.engine.calls),
    }
}
