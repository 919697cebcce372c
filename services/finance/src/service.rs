//! Where everything meets.

use std::sync::Arc;

use reeve_auth::{Authenticator, RemoteAuthenticator, ServiceTokens};
use reeve_contracts::finance::v1::budget_service_server::BudgetServiceServer;
use reeve_contracts::finance::v1::invoice_service_server::InvoiceServiceServer;
use reeve_contracts::finance::v1::ledger_service_server::LedgerServiceServer;
use reeve_contracts::finance::v1::payment_service_server::PaymentServiceServer;
use reeve_contracts::finance::v1::rate_card_service_server::RateCardServiceServer;
use reeve_contracts::finance::v1::usage_service_server::UsageServiceServer;
use reeve_events::{Feed, FeedService, Log, Relay};
use reeve_postgres::Schema;
use reeve_runtime::config::{ConfigError, Validate as _};
use reeve_runtime::{BuildError, Deps, ReadyProbe, Service, limited};
use sqlx::migrate::Migrator;

use crate::config::{Config, LoopsConfig};
use crate::grpc::{BudgetApi, InvoiceApi, LedgerApi, PaymentApi, RateCardApi, UsageApi};
use crate::loops::{self, Source};
use crate::metrics::Counters;
use crate::operations::{Context, SERVICE};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The service finance.
#[derive(Debug)]
pub struct Finance;

impl Finance {
    /// The name that logs, tokens and operators use.
    pub const NAME: &'static str = SERVICE;

    /// The service's schema, with its migrations.
    pub fn schema() -> Schema {
        Schema::new("finance")
            .with("events", &reeve_events::MIGRATIONS)
            .with("finance", &MIGRATIONS)
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
        let tokens = ServiceTokens::new(config.common.auth.service_token_secret.expose());
        let registry = deps.peers.agent_registry.channel();
        let authenticator = Arc::new(RemoteAuthenticator::new(SERVICE, tokens.clone(), registry));
        Ok(Self::assemble(&config.loops, deps, authenticator, tokens))
    }

    /// Builds the service with an authenticator of the caller's, for tests without agent-registry.
    pub fn assemble(
        loops: &LoopsConfig,
        deps: Deps,
        authenticator: Arc<dyn Authenticator>,
        tokens: ServiceTokens,
    ) -> Service {
        let database = deps.database.clone();
        let log = Log::new(database.clone());
        let relay = Relay::new(database.clone(), &deps.redis, SERVICE, deps.wake.clone());
        let context = Arc::new(Context {
            database: database.clone(),
            clock: deps.clock,
            wake: deps.wake,
            counters: Counters::new(&deps.metrics),
        });
        let channel = deps.peers.task_queue.channel();
        let feed = Feed::Peer {
            channel,
            tokens,
            caller: SERVICE,
        };
        let source = Source {
            database: database.clone(),
            redis: deps.redis,
            feed,
        };
        let api = || Arc::clone(&context);
        Service {
            name: SERVICE,
            routes: tonic::service::Routes::default()
                .add_service(limited!(RateCardServiceServer::new(RateCardApi(api()))))
                .add_service(limited!(UsageServiceServer::new(UsageApi(api()))))
                .add_service(limited!(BudgetServiceServer::new(BudgetApi(api()))))
                .add_service(limited!(LedgerServiceServer::new(LedgerApi(api()))))
                .add_service(limited!(InvoiceServiceServer::new(InvoiceApi(api()))))
                .add_service(limited!(PaymentServiceServer::new(PaymentApi(api()))))
                .add_service(limited!(FeedService::server(log))),
            grpc_services: vec![
                RateCardApi::NAME,
                UsageApi::NAME,
                BudgetApi::NAME,
                LedgerApi::NAME,
                InvoiceApi::NAME,
                PaymentApi::NAME,
                FeedService::NAME,
            ],
            loops: loops::all(&context, relay, source, loops),
            authenticator,
            ready: ReadyProbe::new(move || {
                let database = database.clone();
                async move { database.check(&Self::schema()).await }
            }),
        }
    }
}
