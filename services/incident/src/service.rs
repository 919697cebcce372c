//! Where everything meets.

use std::sync::Arc;

use reeve_auth::{Authenticator, RemoteAuthenticator, ServiceTokens};
use reeve_contracts::audit::v1::audit_service_server::AuditServiceServer;
use reeve_contracts::event::v1::event_service_server::EventServiceServer;
use reeve_contracts::incident::v1::incident_service_server::IncidentServiceServer;
use reeve_contracts::incident::v1::rule_service_server::RuleServiceServer;
use reeve_events::{FeedService, Log};
use reeve_postgres::Schema;
use reeve_runtime::config::{ConfigError, Validate as _};
use reeve_runtime::{BuildError, Deps, ReadyProbe, Service, limited};
use sqlx::migrate::Migrator;

use crate::config::Config;
use crate::grpc::{AuditApi, EventApi, IncidentApi, RuleApi, Streams};
use crate::loops;
use crate::metrics::Counters;
use crate::operations::Operations;
use crate::operations::change::SOURCE;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The service incident.
#[derive(Debug)]
pub struct Incident;

impl Incident {
    /// The name that logs, tokens and operators use.
    pub const NAME: &'static str = SOURCE;

    /// The service's schema, with its migrations.
    pub fn schema() -> Schema {
        Schema::new("incident")
            .with("events", &reeve_events::MIGRATIONS)
            .with("incident", &MIGRATIONS)
    }

    /// Builds the service. Neither PostgreSQL, nor Redis, nor another service needs to be there.
    ///
    /// # Errors
    /// When the configuration has faults.
    pub async fn build(config: Config, deps: Deps) -> Result<Service, BuildError> {
        let tokens = ServiceTokens::new(config.common.auth.service_token_secret.expose());
        let registry = deps.peers.agent_registry.channel();
        let authenticator = RemoteAuthenticator::new(SOURCE, tokens, registry);
        Self::build_with(config, deps, Arc::new(authenticator)).await
    }

    /// As [`Incident::build`], with credentials checked by another authenticator, for tests
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
        let database = deps.database.clone();
        let operations = Operations::new(
            database.clone(),
            Arc::clone(&deps.clock),
            deps.wake.clone(),
            config.policy(),
            Counters::new(&deps.metrics),
        );
        let streams = Streams {
            bookmark_period: config.stream.bookmark_period,
            drain: deps.drain.clone(),
        };
        let incidents = IncidentApi::new(operations.clone(), streams.clone());
        let events = EventApi::new(operations.clone(), streams);
        let log = Log::new(database.clone());
        Ok(Service {
            name: SOURCE,
            routes: tonic::service::Routes::default()
                .add_service(limited!(IncidentServiceServer::new(incidents)))
                .add_service(limited!(RuleServiceServer::new(RuleApi::new(
                    operations.clone()
                ))))
                .add_service(limited!(EventServiceServer::new(events)))
                .add_service(limited!(AuditServiceServer::new(AuditApi::new(
                    operations.clone()
                ))))
                .add_service(limited!(FeedService::server(log))),
            grpc_services: vec![
                IncidentApi::NAME,
                RuleApi::NAME,
                EventApi::NAME,
                AuditApi::NAME,
                FeedService::NAME,
            ],
            loops: loops::all(&config, &deps, &operations),
            authenticator,
            ready: ReadyProbe::new(move || {
                let database = database.clone();
                async move { database.check(&Self::schema()).await }
            }),
        })
    }
}
