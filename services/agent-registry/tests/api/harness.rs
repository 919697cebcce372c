//! A running registry, and the calls that most tests make.

use reeve_agent_registry::{AgentRegistry, Config, DEFAULTS};
use std::sync::Arc;
use std::time::Duration;

use reeve_auth::{ApiKey, ServiceTokens};
use reeve_clock::{Clock, SystemClock, TestClock};
use reeve_contracts::agent::v1::agent_service_client::AgentServiceClient;
use reeve_contracts::agent::v1::{self as agent, Agent, AgentState};
use reeve_contracts::event::v1::event_feed_service_client::EventFeedServiceClient;
use reeve_contracts::event::v1::{Event, ReadEventsRequest};
use reeve_contracts::identity::v1::identity_service_client::IdentityServiceClient;
use reeve_contracts::identity::v1::{self as identity};
use reeve_ids::{TenantId, Uuid};
use reeve_postgres::{Database, DatabaseConfig};
use reeve_redis::{Leases, Redis, RedisConfig};
use reeve_runtime::Deps;
use reeve_runtime::config::{Sources, load};
use reeve_status::{Code, Fault, Reason};
use reeve_testkit::{
    Running, SERVICE_SECRET, TestDatabase, TestRedis, authorize, deps, eventually, serve,
};
use tonic::transport::Channel;
use tonic::{Response, Status};

pub const PEPPER: &str = "the pepper of the registry's tests, long enough";

/// A registry of its own, with tenant "default" and a key that may do everything in it.
pub struct World {
    pub database: TestDatabase,
    pub deps: Deps,
    pub admin: String,
    pub redis: TestRedis,
    running: Option<Running>,
    settings: Vec<(&'static str, String)>,
}

impl World {
    /// Heartbeats that are due seldom: for tests that are not about silence.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With some keys of the configuration set.
    pub async fn with(settings: &[(&'static str, &str)]) -> Self {
        Self::at(settings, Arc::new(SystemClock)).await
    }

    /// With a clock that the test moves. Leases run out by that of Redis.
    pub async fn with_clock(settings: &[(&'static str, &str)]) -> (Self, Arc<TestClock>) {
        let clock = Arc::new(TestClock::at(SystemClock.now()));
        let time = Arc::<TestClock>::clone(&clock);
        (Self::at(settings, time).await, clock)
    }

    async fn at(settings: &[(&'static str, &str)], clock: Arc<dyn Clock>) -> Self {
        let schema = AgentRegistry::schema();
        let database = TestDatabase::new(&[&schema]).await;
        let mut deps = deps(AgentRegistry::NAME, &schema, &database).await;
        let redis = reeve_testkit::redis().await;
        let config = RedisConfig::new(&redis.url).with_prefix(&redis.prefix);
        deps.redis = Redis::connect(&config).await.expect("the test's own Redis");
        deps.clock = clock;
        let admin = ApiKey::generate().reveal();
        let settings = settings
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()))
            .collect();
        let mut world = Self {
            database,
            deps,
            admin,
            redis,
            running: None,
            settings,
        };
        world.run().await;
        world
    }

    /// Serves; after `stop`, the same registry once more.
    pub async fn run(&mut self) {
        self.deps.drain = Default::default();
        self.deps.metrics = reeve_runtime::Metrics::new(AgentRegistry::NAME);
        let config = self.config().expect("the test's configuration is right");
        let service = AgentRegistry::build(config, self.deps.clone())
            .await
            .expect("it builds");
        self.running = Some(serve(service, &self.deps).await);
        let world = &*self;
        eventually(|| async { world.caller(&world.admin).await }).await;
    }

    /// Serves once more, with other limits on the database.
    pub async fn run_with(&mut self, change: impl FnOnce(&mut DatabaseConfig)) {
        self.stop().await;
        let schema = AgentRegistry::schema();
        let mut config = self.database.config(&schema);
        change(&mut config);
        let database = Database::connect(&config, schema.name());
        self.deps.database = database.expect("the test's own URL");
        self.run().await;
    }

    pub fn config(&self) -> Result<Config, reeve_runtime::config::ConfigError> {
        let url = self.database.url(&AgentRegistry::schema());
        let mut sources = Sources::none()
            .set("database.url", url)
            .set("auth.service_token_secret", SERVICE_SECRET)
            .set("auth.api_key_pepper", PEPPER)
            .set("bootstrap.admin_key", &self.admin)
            .set("heartbeat.report_period", "50ms")
            .set("heartbeat.renew_period", "10ms")
            .set("heartbeat.sweep_period", "20ms");
        for (key, value) in &self.settings {
            sources = sources.set(*key, value);
        }
        load(DEFAULTS, &sources)
    }

    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    fn channel(&self) -> Channel {
        self.running.as_ref().expect("the registry runs").channel()
    }

    pub fn agents(&self) -> AgentServiceClient<Channel> {
        AgentServiceClient::new(self.channel())
    }

    pub fn identity(&self) -> IdentityServiceClient<Channel> {
        IdentityServiceClient::new(self.channel())
    }

    /// A message from the tenant's administrator.
    pub fn ask<T>(&self, message: T) -> tonic::Request<T> {
        authorize(&self.admin, message)
    }

    /// A message from another of Reeve's services.
    pub fn internal<T>(&self, message: T) -> tonic::Request<T> {
        let nobody = TenantId::from_uuid(Uuid::nil());
        authorize(
            &ServiceTokens::new(SERVICE_SECRET).mint("task-queue", nobody),
            message,
        )
    }

    pub async fn caller(&self, key: &str) -> Result<identity::Principal, Status> {
        let request = authorize(key, identity::GetCallerRequest {});
        let answer = self.identity().get_caller(request).await?;
        Ok(answer
            .into_inner()
            .principal
            .expect("a caller has a principal"))
    }

    /// A key of the tenant with these permissions.
    pub async fn key(&self, name: &str, permissions: &[&str]) -> String {
        let request = self.ask(identity::CreateApiKeyRequest {
            name: name.to_owned(),
            kind: identity::PrincipalKind::Agent.into(),
            permissions: permissions.iter().map(|p| (*p).to_owned()).collect(),
            ..Default::default()
        });
        self.identity()
            .create_api_key(request)
            .await
            .expect("the key is made")
            .into_inner()
            .secret
    }

    /// Another tenant and its administrator's key.
    pub async fn other_tenant(&self, name: &str) -> identity::CreateTenantResponse {
        let request = self.internal(identity::CreateTenantRequest {
            name: name.to_owned(),
            ..Default::default()
        });
        self.identity()
            .create_tenant(request)
            .await
            .expect("the tenant is made")
            .into_inner()
    }

    pub async fn register(&self, name: &str) -> agent::RegisterAgentResponse {
        let request = self.ask(registration(name));
        self.agents()
            .register_agent(request)
            .await
            .expect("it registers")
            .into_inner()
    }

    /// Registers, and heartbeats once.
    pub async fn active(&self, name: &str) -> agent::RegisterAgentResponse {
        let registered = self.register(name).await;
        let reply = self
            .beat(beat_of(&registered))
            .await
            .expect("the heartbeat is accepted");
        assert_eq!(reply.state(), AgentState::Active);
        registered
    }

    pub async fn beat(&self, heartbeat: agent::Heartbeat) -> Result<agent::HeartbeatReply, Status> {
        let request = self.ask(agent::HeartbeatRequest {
            heartbeat: Some(heartbeat),
        });
        let answer = self.agents().heartbeat(request).await?;
        Ok(answer
            .into_inner()
            .reply
            .expect("an accepted heartbeat has a reply"))
    }

    pub async fn get(&self, id: &str) -> Agent {
        let request = self.ask(agent::GetAgentRequest {
            agent_id: id.to_owned(),
        });
        let answer = self
            .agents()
            .get_agent(request)
            .await
            .expect("the agent is there");
        answer.into_inner().agent.expect("the answer holds it")
    }

    pub async fn transition(&self, id: &str, state: AgentState) -> Result<Agent, Status> {
        let request = self.ask(agent::TransitionAgentRequest {
            agent_id: id.to_owned(),
            state: state.into(),
            reason: "the test wants it".to_owned(),
            ..Default::default()
        });
        let answer = self.agents().transition_agent(request).await?;
        Ok(answer.into_inner().agent.expect("the answer holds it"))
    }

    /// The leases, as the registry has them.
    pub fn leases(&self) -> Leases {
        self.deps.redis.leases("agents", 8)
    }

    /// Makes the lease of a process run out now. A registry that runs may still have a heartbeat to
    /// renew it by.
    pub async fn lapse(&self, process: &agent::RegisterAgentResponse) {
        let lease = (lease_of(process), Duration::ZERO);
        self.leases().renew(&[lease]).await.expect("Redis is there");
    }

    /// Every event so far, once `enough` says that all are there.
    pub async fn events(&self, enough: impl Fn(&[Event]) -> bool) -> Vec<Event> {
        eventually(|| async {
            let request = self.internal(ReadEventsRequest {
                after_sequence: 0,
                page_size: 1_000,
            });
            let mut feed = EventFeedServiceClient::new(self.channel());
            let events = feed.read_events(request).await.expect("the feed answers");
            let events = events.into_inner().events;
            enough(&events).then_some(events)
        })
        .await
    }
}

pub fn registration(name: &str) -> agent::RegisterAgentRequest {
    agent::RegisterAgentRequest {
        name: name.to_owned(),
        r#type: "code".to_owned(),
        max_concurrent_tasks: 2,
        ..Default::default()
    }
}

pub fn id_of(registered: &agent::RegisterAgentResponse) -> String {
    registered
        .agent
        .as_ref()
        .expect("a registered agent")
        .id
        .clone()
}

/// The name of a process's lease.
pub fn lease_of(registered: &agent::RegisterAgentResponse) -> String {
    format!("{}/{}", id_of(registered), registered.epoch)
}

pub fn beat_of(registered: &agent::RegisterAgentResponse) -> agent::Heartbeat {
    agent::Heartbeat {
        agent_id: id_of(registered),
        epoch: registered.epoch,
        ..Default::default()
    }
}

/// A heartbeat with a load.
pub fn loaded(registered: &agent::RegisterAgentResponse, active: i32) -> agent::Heartbeat {
    let workload = agent::Workload {
        active_task_count: active,
        ..Default::default()
    };
    agent::Heartbeat {
        workload: Some(workload),
        ..beat_of(registered)
    }
}

#[track_caller]
pub fn refused<T: std::fmt::Debug>(
    answer: Result<Response<T>, Status>,
    code: Code,
    reason: Reason,
) -> Fault {
    refused_status(answer.map(Response::into_inner), code, reason)
}

#[track_caller]
pub fn refused_status<T: std::fmt::Debug>(
    answer: Result<T, Status>,
    code: Code,
    reason: Reason,
) -> Fault {
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

/// The text of a value in an event's data; empty when it is absent.
pub fn datum(event: &Event, key: &str) -> String {
    let value = event.data.as_ref().and_then(|data| data.fields.get(key));
    match value.and_then(|value| value.kind.as_ref()) {
        Some(prost_types::value::Kind::StringValue(text)) => text.clone(),
        _ => String::new(),
    }
}

/// The edges that an agent's events tell of, as "FROM>TO", in order.
pub fn edges(events: &[Event], id: &str) -> Vec<String> {
    let ours = events
        .iter()
        .filter(|e| e.resource_id == id && e.r#type == "agent.transitioned");
    ours.map(|event| format!("{}>{}", datum(event, "from"), datum(event, "to")))
        .collect()
}
