//! A running task-queue, and the calls that most tests make.

use std::sync::Arc;
use std::time::Duration;

use reeve_auth::ServiceTokens;
use reeve_clock::{Clock, SystemClock, TestClock};
use reeve_contracts::event::v1::event_feed_service_client::EventFeedServiceClient;
use reeve_contracts::event::v1::{Event, ReadEventsRequest};
use reeve_contracts::task::v1 as proto;
use reeve_contracts::task::v1::task_service_client::TaskServiceClient;
use reeve_contracts::task::v1::work_service_client::WorkServiceClient;
use reeve_contracts::task::v1::{Lease, Task, TaskSpec};
use reeve_ids::{AgentId, TenantId, Uuid};
use reeve_redis::{Redis, RedisConfig};
use reeve_runtime::config::{PeersConfig, Sources, load};
use reeve_runtime::{Deps, Metrics, Peers};
use reeve_status::{Code, Fault, Reason};
use reeve_task_queue::{Config, DEFAULTS, TaskQueue};
use reeve_testkit::{
    Running, SERVICE_SECRET, StaticAuthenticator, TestDatabase, TestRedis, authorize, deps,
    eventually, serve,
};
use tonic::transport::Channel;
use tonic::{Response, Status};

pub use crate::asks::*;
use crate::peers::{Known, PeerServer};

/// A task-queue of its own with one tenant.
pub struct World {
    pub database: TestDatabase,
    pub deps: Deps,
    pub redis: TestRedis,
    pub tenant: TenantId,
    pub admin: String,
    pub authenticator: Arc<StaticAuthenticator>,
    pub clock: Arc<TestClock>,
    peers: PeerServer,
    running: Option<Running>,
    settings: Vec<(&'static str, String)>,
}

impl World {
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With some keys of the configuration set.
    pub async fn with(settings: &[(&'static str, &str)]) -> Self {
        let redis = reeve_testkit::redis().await;
        Self::on(redis, settings).await
    }

    /// On a Redis of the test's choice.
    pub async fn on(redis: TestRedis, settings: &[(&'static str, &str)]) -> Self {
        let schema = TaskQueue::schema();
        let database = TestDatabase::new(&[&schema]).await;
        let mut deps = deps(TaskQueue::NAME, &schema, &database).await;
        let config = RedisConfig::new(&redis.url).with_prefix(&redis.prefix);
        deps.redis = Redis::connect(&config).await.expect("the test's own Redis");
        let peer_deps = Deps {
            metrics: Metrics::new("peers"),
            ..deps.clone()
        };
        let peers = PeerServer::start(&Deps {
            drain: Default::default(),
            ..peer_deps
        })
        .await;
        deps.peers = all_at(&peers.url());
        let clock = Arc::new(TestClock::at(SystemClock.now()));
        let tokens = ServiceTokens::new(SERVICE_SECRET);
        let authenticator = StaticAuthenticator::with_tokens(tokens);
        let tenant = TenantId::new();
        let admin = authenticator.admin(tenant);
        let settings = settings
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()))
            .collect();
        let mut world = Self {
            database,
            deps,
            redis,
            tenant,
            admin,
            authenticator,
            clock,
            peers,
            running: None,
            settings,
        };
        world.run().await;
        world
    }

    /// The same, by a clock that the test moves.
    pub async fn by_test_clock(settings: &[(&'static str, &str)]) -> Self {
        let mut world = Self::with(settings).await;
        world.stop().await;
        world.deps.clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
        world.run().await;
        world
    }

    /// Serves; after `stop`, the same once more.
    pub async fn run(&mut self) {
        self.deps.drain = Default::default();
        self.deps.metrics = Metrics::new(TaskQueue::NAME);
        let service = self.build(self.deps.clone()).await;
        self.running = Some(serve(service, &self.deps).await);
    }

    /// Sets a key of the configuration from the next `run` on.
    pub fn set(&mut self, key: &'static str, value: &str) {
        self.settings.push((key, value.to_owned()));
    }

    /// A second replica of the same service.
    pub async fn replica(&self) -> (Running, Deps) {
        self.replica_by(Arc::clone(&self.deps.clock)).await
    }

    /// A second replica, by a clock of its own.
    pub async fn replica_by(&self, clock: Arc<dyn Clock>) -> (Running, Deps) {
        let config = RedisConfig::new(&self.redis.url).with_prefix(&self.redis.prefix);
        let deps = Deps {
            drain: Default::default(),
            metrics: Metrics::new(TaskQueue::NAME),
            wake: Default::default(),
            redis: Redis::connect(&config).await.expect("the test's own Redis"),
            database: self.database.connect(&TaskQueue::schema()),
            clock,
            ..self.deps.clone()
        };
        let service = self.build(deps.clone()).await;
        (serve(service, &deps).await, deps)
    }

    async fn build(&self, deps: Deps) -> reeve_runtime::Service {
        let authenticator = Arc::clone(&self.authenticator);
        TaskQueue::build_with(self.config(), deps, authenticator)
            .await
            .expect("it builds")
    }

    fn config(&self) -> Config {
        let url = self.database.url(&TaskQueue::schema());
        let mut sources = Sources::none()
            .set("database.url", url)
            .set("auth.service_token_secret", SERVICE_SECRET)
            .set("queue.sweep_period", "20ms")
            .set("queue.reconcile_period", "100ms")
            .set("queue.poll_period", "200ms")
            .set("queue.agent_memory", "50ms")
            .set("queue.outage_grace", "1ms")
            .set("queue.lapse_grace", "1ms")
            .set("queue.budget_period", "50ms");
        for (key, value) in &self.settings {
            sources = sources.set(*key, value);
        }
        load(DEFAULTS, &sources).expect("the test's configuration is right")
    }

    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    pub fn known(&self) -> &Known {
        &self.peers.known
    }

    /// An ACTIVE agent of the tenant.
    pub fn agent(&self, capabilities: &[&str]) -> AgentId {
        self.known().add_agent(self.tenant, capabilities)
    }

    pub fn channel(&self) -> Channel {
        self.running.as_ref().expect("the service runs").channel()
    }

    pub fn tasks(&self) -> TaskServiceClient<Channel> {
        TaskServiceClient::new(self.channel())
    }

    pub fn work(&self) -> WorkServiceClient<Channel> {
        WorkServiceClient::new(self.channel())
    }

    /// A message from one of Reeve's services for the tenant.
    pub fn ask_as_service<T>(&self, message: T) -> tonic::Request<T> {
        let token = ServiceTokens::new(SERVICE_SECRET).mint("workflow-engine", self.tenant);
        authorize(&token, message)
    }

    /// How often a loop has looked without an error.
    pub fn ticks(&self, name: &str) -> u64 {
        let line = format!("reeve_loop_ticks_total{{loop=\"{name}\",outcome=\"ok\"");
        let rendered = self.deps.metrics.render();
        let found = rendered.lines().find(|rest| rest.starts_with(&line));
        found
            .and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or_default()
    }

    /// Waits until a loop has begun and ended once more.
    pub async fn next_tick(&self, name: &str) {
        let before = self.ticks(name);
        eventually(|| async { self.ticks(name) >= before + 2 }).await;
    }

    /// A message from the tenant's administrator.
    pub fn ask<T>(&self, message: T) -> tonic::Request<T> {
        authorize(&self.admin, message)
    }

    pub async fn create(&self, spec: TaskSpec) -> Task {
        let request = proto::CreateTaskRequest {
            spec: Some(spec),
            ..Default::default()
        };
        let answer = self
            .tasks()
            .create_task(self.ask(request))
            .await
            .expect("it is created");
        answer.into_inner().task.expect("the answer holds it")
    }

    pub async fn create_as_service(&self, spec: TaskSpec) -> Task {
        let request = proto::CreateTaskRequest {
            spec: Some(spec),
            ..Default::default()
        };
        let request = self.ask_as_service(request);
        let answer = self.tasks().create_task(request).await;
        let created = answer.expect("it is created").into_inner();
        created.task.expect("the answer holds it")
    }

    pub async fn create_many(&self, spec: TaskSpec, count: usize) -> Vec<String> {
        let request = proto::CreateTaskRequest {
            spec: Some(spec),
            ..Default::default()
        };
        let requests = proto::BatchCreateTasksRequest {
            requests: vec![request; count],
        };
        let answer = self.tasks().batch_create_tasks(self.ask(requests)).await;
        answer.expect("they are created").into_inner().task_ids
    }

    pub async fn get(&self, id: &str) -> Task {
        let request = proto::GetTaskRequest {
            task_id: id.to_owned(),
        };
        let answer = self
            .tasks()
            .get_task(self.ask(request))
            .await
            .expect("the task is there");
        answer.into_inner().task.expect("the answer holds it")
    }

    /// Leases up to `count`, waiting for a first one.
    pub async fn lease(&self, agent: AgentId, count: i32) -> Vec<Lease> {
        self.lease_as(lease_of(agent, count)).await
    }

    pub async fn lease_as(&self, request: proto::LeaseTasksRequest) -> Vec<Lease> {
        let answer = self
            .work()
            .lease_tasks(self.ask(request))
            .await
            .expect("it may lease");
        answer.into_inner().leases
    }

    /// Leases one task.
    pub async fn lease_one(&self, agent: AgentId) -> Lease {
        let leases = self.lease(agent, 1).await;
        assert_eq!(leases.len(), 1, "one task should be ready");
        leases.into_iter().next().expect("just counted")
    }

    pub async fn complete(
        &self,
        token: &str,
    ) -> Result<Response<proto::CompleteTaskResponse>, Status> {
        let request = proto::CompleteTaskRequest {
            lease_token: token.to_owned(),
            ..Default::default()
        };
        self.work().complete_task(self.ask(request)).await
    }

    pub async fn fail(
        &self,
        token: &str,
        retryable: bool,
    ) -> Result<proto::FailTaskResponse, Status> {
        let request = failure(token, "BROKEN", retryable);
        self.work()
            .fail_task(self.ask(request))
            .await
            .map(Response::into_inner)
    }

    pub async fn cancel(&self, id: &str) -> Result<Task, Status> {
        let request = proto::CancelTaskRequest {
            task_id: id.to_owned(),
            reason: "not needed".to_owned(),
            ..Default::default()
        };
        let answer = self.tasks().cancel_task(self.ask(request)).await?;
        Ok(answer.into_inner().task.expect("the answer holds it"))
    }

    /// How many tasks a lane in Redis holds that have no fairness key.
    pub async fn ready_in_redis(&self, queue: &str, capability: &str) -> usize {
        let lane = format!("{}/{queue}/{capability}", self.tenant);
        let lines = [format!("{lane}!"), lane];
        let ready = self.deps.redis.ready_queues(0);
        let found = ready.lens(&lines).await.unwrap_or_default();
        found.into_iter().sum()
    }

    /// Waits for the end of the first refill. While it lasts, what a test does to the queues behind
    /// the service's back may be undone.
    pub async fn ready_queues_are_whole(&self) {
        let ready = self.deps.redis.ready_queues(0);
        eventually(|| async { ready.verify().await }).await;
    }

    /// Whether a call to lease is being served.
    pub async fn waits_for_lease(&self) -> bool {
        self.deps.metrics.render().contains("reeve_rpc_in_flight 1")
    }

    /// A connection to the test's Redis, behind the service's back.
    pub async fn raw_redis(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.redis.url.as_str()).expect("a well formed address");
        client
            .get_multiplexed_async_connection()
            .await
            .expect("the test's Redis answers")
    }

    /// Takes every key of this test away: what FLUSHALL would do to it.
    pub async fn flush_redis(&self) {
        let mut connection = self.raw_redis().await;
        let pattern = format!("{}*", self.redis.prefix);
        let keys: Vec<String> = redis::cmd("KEYS")
            .arg(pattern)
            .query_async(&mut connection)
            .await
            .expect("keys");
        for key in keys {
            let () = redis::cmd("DEL")
                .arg(key)
                .query_async(&mut connection)
                .await
                .expect("del");
        }
    }

    /// Waits until a task is in a state.
    pub async fn reaches(&self, id: &str, state: proto::TaskState) -> Task {
        eventually(|| async {
            let task = self.get(id).await;
            if task.state() == state {
                Ok(task)
            } else {
                Err(format!("it is {:?}", task.state()))
            }
        })
        .await
    }

    /// Every event so far, once `enough` says that all are there.
    pub async fn events(&self, enough: impl Fn(&[Event]) -> bool) -> Vec<Event> {
        let nobody = TenantId::from_uuid(Uuid::nil());
        let token = ServiceTokens::new(SERVICE_SECRET).mint("incident", nobody);
        eventually(|| async {
            let request = ReadEventsRequest {
                after_sequence: 0,
                page_size: 1_000,
            };
            let mut feed = EventFeedServiceClient::new(self.channel());
            let events = feed.read_events(authorize(&token, request)).await;
            let events = events.expect("the feed answers").into_inner().events;
            let kinds: Vec<_> = events.iter().map(|event| event.r#type.clone()).collect();
            if enough(&events) {
                Ok(events)
            } else {
                Err(format!("{kinds:?}"))
            }
        })
        .await
    }

    /// The types of the events of a task, once the last is of this type.
    pub async fn story(&self, id: &str, last: &str) -> Vec<String> {
        let of = |events: &[Event]| -> Vec<String> {
            let ours = events.iter().filter(|event| event.resource_id == id);
            ours.map(|event| event.r#type.clone()).collect()
        };
        let ended = |events: &[Event]| of(events).last().is_some_and(|kind| kind == last);
        of(&self.events(ended).await)
    }
}

fn all_at(url: &str) -> Peers {
    let at = || url.to_owned();
    let config = PeersConfig {
        agent_registry: at(),
        task_queue: at(),
        workflow_engine: at(),
        finance: at(),
        incident: at(),
    };
    let tokens = ServiceTokens::new(SERVICE_SECRET);
    Peers::new(&config, TaskQueue::NAME, &tokens).expect("a well formed address")
}

#[track_caller]
pub fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, reason: Reason) -> Fault {
    let status = answer.expect_err("it should be refused");
    let fault = Fault::from(&status);
    assert_eq!((fault.code(), fault.reason()), (code, reason), "{fault}");
    fault
}

/// The fields that a fault names, sorted.
pub fn fields(fault: &Fault) -> Vec<&str> {
    let mut fields: Vec<_> = fault
        .violations()
        .iter()
        .map(|v| v.field.as_str())
        .collect();
    fields.sort_unstable();
    fields
}

/// The data of an event as JSON.
pub fn data(event: &Event) -> serde_json::Value {
    event
        .data
        .clone()
        .map(reeve_wellknown::json_from_struct)
        .unwrap_or_default()
}

/// Longer than any wait of a test that succeeds.
pub const LONG: Duration = Duration::from_secs(30);
