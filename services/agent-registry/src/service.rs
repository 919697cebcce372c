//! Where everything meets.

use std::sync::Arc;

use reeve_auth::{Pepper, ServiceTokens};
use reeve_contracts::agent::v1::agent_service_server::AgentServiceServer;
use reeve_contracts::identity::v1::identity_service_server::IdentityServiceServer;
use reeve_events::{FeedService, Log, Relay};
use reeve_postgres::Schema;
use reeve_runtime::config::{ConfigError, Validate as _};
use reeve_runtime::{BuildError, Deps, ReadyProbe, Service, limited};
use sqlx::migrate::Migrator;

use crate::config::Config;
use crate::credentials::{Credentials, LocalAuthenticator};
use crate::fleet::Fleet;
use crate::grpc::{AgentApi, IdentityApi};
use crate::loops;
use crate::metrics::Counters;
use crate::operations::{Context, SERVICE};
use crate::tail::Tail;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Shards of the heartbeat leases. A change of this number must come with an empty Redis.
const LEASE_SHARDS: u16 = 8;

/// The service agent-registry.
#[derive(Debug)]
pub struct AgentRegistry;

impl AgentRegistry {
    /// The name that logs, tokens and operators use.
    pub const NAME: &'static str = SERVICE;

    /// The service's schema, with its migrations.
    pub fn schema() -> Schema {
        Schema::new("agent_registry")
            .with("events", &reeve_events::MIGRATIONS)
            .with("agent_registry", &MIGRATIONS)
    }

    /// Builds the service. Neither PostgreSQL nor Redis needs to be there yet.
    ///
    /// # Errors
    /// When the configuration has faults.
    pub async fn build(config: Config, deps: Deps) -> Result<Service, BuildError> {
        let problems = config.validate();
        if !problems.is_empty() {
            return Err(ConfigError { problems }.into());
        }
        let admin_key = config.admin_key().ok().flatten();
        let database = deps.database.clone();
        let log = Log::new(database.clone());
        let pepper = Pepper::new(config.common.auth.api_key_pepper.expose());
        let credentials = Credentials::new(database.clone(), pepper, Arc::clone(&deps.clock));
        let tokens = ServiceTokens::new(config.common.auth.service_token_secret.expose());
        let context = Arc::new(Context {
            database: database.clone(),
            clock: deps.clock,
            wake: deps.wake.clone(),
            fleet: Fleet::new(),
            leases: deps.redis.leases("agents", LEASE_SHARDS),
            credentials: credentials.clone(),
            tail: Tail::new(log.clone(), deps.wake.clone()),
            heartbeat: config.heartbeat,
            counters: Counters::new(&deps.metrics),
        });
        let agents = AgentApi::new(
            Arc::clone(&context),
            deps.drain,
            config.watch.bookmark_period,
        );
        let identity = IdentityApi::new(Arc::clone(&context));
        let relay = Relay::new(database.clone(), &deps.redis, SERVICE, deps.wake);
        Ok(Service {
            name: SERVICE,
            routes: tonic::service::Routes::default()
                .add_service(limited!(AgentServiceServer::new(agents)))
                .add_service(limited!(IdentityServiceServer::new(identity)))
                .add_service(limited!(FeedService::server(log))),
            grpc_services: vec![AgentApi::NAME, IdentityApi::NAME, FeedService::NAME],
            loops: loops::all(&context, relay, config.bootstrap.tenant, admin_key),
            authenticator: Arc::new(LocalAuthenticator::new(credentials, tokens)),
            ready: ReadyProbe::new(move || {
                let database = database.clone();
                async move { database.check(&Self::schema()).await }
            }),
        })
    }
}
