//! Where everything meets.

use std::sync::Arc;

use reeve_auth::{Authenticator, RemoteAuthenticator, ServiceTokens};
use reeve_contracts::externalscaler::external_scaler_server::ExternalScalerServer;
use reeve_contracts::task::v1::gate_service_server::GateServiceServer;
use reeve_contracts::task::v1::limit_service_server::LimitServiceServer;
use reeve_contracts::task::v1::queue_service_server::QueueServiceServer;
use reeve_contracts::task::v1::schedule_service_server::ScheduleServiceServer;
use reeve_contracts::task::v1::task_service_server::TaskServiceServer;
use reeve_contracts::task::v1::task_type_service_server::TaskTypeServiceServer;
use reeve_contracts::task::v1::work_service_server::WorkServiceServer;
use reeve_events::{FeedService, Log, Relay};
use reeve_postgres::Schema;
use reeve_runtime::config::{ConfigError, Validate as _};
use reeve_runtime::{BuildError, Deps, ReadyProbe, Service, limited};
use tokio::sync::{Mutex, Semaphore};

use crate::catalogues::Catalogues;
use crate::clients::{Agents, Budgets};
use crate::config::{Config, span};
use crate::core::{Parts, Shared};
use crate::demands::KnownDemands;
use crate::dispatch::Dispatch;
use crate::ends::Ends;
use crate::grpc::{
    GateApi, LimitApi, QueueApi, ScalerApi, ScheduleApi, TaskApi, TypeApi, WorkApi, spec_of,
};
use crate::lanes::{
    AdvanceFlush, CompleteFlush, CreateFlush, GrantFlush, Lane, RenewFlush, SettleFlush,
};
use crate::metrics::TaskMetrics;
use crate::offers::Offers;
use crate::operations::{Asides, Figures};
use crate::{NAME, loops, storage};

/// Watches that read the log at the same time.
const LOG_READERS: usize = 2;

/// The service task-queue.
#[derive(Debug)]
pub struct TaskQueue;

/// What the RPCs and the loops work with; clones share it.
#[derive(Debug, Clone)]
pub struct Queue {
    /// What the lanes share, too.
    pub shared: Shared,
    /// The lanes.
    pub lanes: Lanes,
    /// Held by whoever picks from the table.
    pub picking: Arc<Mutex<()>>,
}

/// The lanes, one for each hot verb.
#[derive(Debug, Clone)]
pub struct Lanes {
    /// Creates.
    pub create: Lane<CreateFlush>,
    /// Leases.
    pub grant: Lane<GrantFlush>,
    /// Completions.
    pub complete: Lane<CompleteFlush>,
    /// Every other end.
    pub settle: Lane<SettleFlush>,
    /// Accepted, started, progress.
    pub advance: Lane<AdvanceFlush>,
    /// Renewals.
    pub renew: Lane<RenewFlush>,
}

impl Lanes {
    fn start(shared: &Shared) -> Self {
        let capacity = shared.config.capacity();
        let shared = || shared.clone();
        let settle = Lane::start(SettleFlush { shared: shared() }, capacity);
        let grant = GrantFlush {
            shared: shared(),
            settle: settle.clone(),
        };
        Self {
            create: Lane::start(CreateFlush { shared: shared() }, capacity),
            grant: Lane::start(grant, capacity),
            complete: Lane::start(CompleteFlush { shared: shared() }, capacity),
            settle,
            advance: Lane::start(AdvanceFlush { shared: shared() }, capacity),
            renew: Lane::start(RenewFlush { shared: shared() }, capacity),
        }
    }
}

impl TaskQueue {
    /// The name that logs, tokens and operators use.
    pub const NAME: &'static str = NAME;

    /// The service's schema, with its migrations.
    pub fn schema() -> Schema {
        storage::SCHEMA.clone()
    }

    /// Builds the service. Neither PostgreSQL nor Redis nor the other services need to be there
    /// yet.
    ///
    /// # Errors
    /// When the configuration has faults.
    pub async fn build(config: Config, deps: Deps) -> Result<Service, BuildError> {
        let tokens = ServiceTokens::new(config.auth.service_token_secret.expose());
        let registry = deps.peers.agent_registry.channel();
        let authenticator = Arc::new(RemoteAuthenticator::new(NAME, tokens, registry));
        Self::build_with(config, deps, authenticator).await
    }

    /// As [`TaskQueue::build`], with credentials checked by another authenticator, for tests
    /// without agent-registry.
    ///
    /// # Errors
    /// When the configuration has faults.
    pub async fn build_with(
        config: Config,
        deps: Deps,
        authenticator: Arc<dyn Authenticator>,
    ) -> Result<Service, BuildError> {
        let problems = config.validate();
        if !problems.is_empty() {
            return Err(ConfigError { problems }.into());
        }
        let tokens = ServiceTokens::new(config.auth.service_token_secret.expose());
        let registry = deps.peers.agent_registry.channel();
        let (database, redis) = (deps.database.clone(), deps.redis.clone());
        let relay = Relay::new(database.clone(), &redis, NAME, deps.wake.clone());
        let queue = queue(config, deps);
        let log = Log::new(database.clone());
        Ok(Service {
            name: NAME,
            routes: tonic::service::Routes::default()
                .add_service(limited!(TaskServiceServer::new(TaskApi::new(
                    queue.clone()
                ))))
                .add_service(limited!(ScheduleServiceServer::new(ScheduleApi::new(
                    queue.clone()
                ))))
                .add_service(limited!(TaskTypeServiceServer::new(TypeApi::new(
                    queue.clone()
                ))))
                .add_service(limited!(GateServiceServer::new(GateApi::new(
                    queue.clone()
                ))))
                .add_service(limited!(WorkServiceServer::new(WorkApi::new(
                    queue.clone()
                ))))
                .add_service(limited!(QueueServiceServer::new(QueueApi::new(
                    queue.clone()
                ))))
                .add_service(limited!(LimitServiceServer::new(LimitApi::new(
                    queue.clone()
                ))))
                .add_service(limited!(ExternalScalerServer::new(ScalerApi::new(
                    queue.clone(),
                    Arc::clone(&authenticator)
                ))))
                .add_service(limited!(FeedService::server(log))),
            grpc_services: vec![
                TaskApi::NAME,
                ScheduleApi::NAME,
                TypeApi::NAME,
                GateApi::NAME,
                WorkApi::NAME,
                QueueApi::NAME,
                LimitApi::NAME,
                ScalerApi::NAME,
                FeedService::NAME,
            ],
            loops: loops::all(&queue, &redis, relay, tokens, registry, spec_of),
            authenticator,
            ready: ReadyProbe::new(move || {
                let database = database.clone();
                async move { database.check(&Self::schema()).await }
            }),
        })
    }
}

fn queue(config: Config, deps: Deps) -> Queue {
    let wakeups = deps.redis.wakeups(NAME);
    let ready = deps.redis.ready_queues(0);
    let hold_duration = span(config.queue.hold_duration);
    let metrics = TaskMetrics::new(&deps.metrics);
    let catalogues = Catalogues::new(
        deps.database.clone(),
        wakeups.clone(),
        Arc::clone(&deps.clock),
        span(config.queue.task_type_memory),
        metrics.type_reads.clone(),
    );
    let demands = KnownDemands::new(
        deps.database.clone(),
        wakeups.clone(),
        Arc::clone(&deps.clock),
        span(config.queue.task_type_memory),
    );
    let shared = Shared::new(Parts {
        catalogues,
        demands,
        dispatch: Dispatch::new(ready, wakeups.clone(), Arc::clone(&deps.clock)),
        asides: Asides::default(),
        ends: Ends::default(),
        offers: Offers::default(),
        figures: Figures::new(config.queue.figures_period),
        agents: Agents::new(deps.peers.agent_registry.clone(), config.queue.agent_memory),
        budgets: Budgets::new(deps.peers.finance.clone(), hold_duration),
        metrics,
        database: deps.database,
        clock: deps.clock,
        wake: deps.wake,
        wakeups,
        admission: Arc::default(),
        schedules: Arc::default(),
        limits: Default::default(),
        log_readers: Semaphore::new(LOG_READERS),
        config: config.queue,
        drain: deps.drain,
    });
    let lanes = Lanes::start(&shared);
    Queue {
        shared,
        lanes,
        picking: Arc::default(),
    }
}
