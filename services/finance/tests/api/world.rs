//! What every test starts from.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reeve_auth::ServiceTokens;
use reeve_clock::{Clock as _, SystemClock, TestClock};
use reeve_contracts::finance::v1::budget_service_client::BudgetServiceClient;
use reeve_contracts::finance::v1::invoice_service_client::InvoiceServiceClient;
use reeve_contracts::finance::v1::ledger_service_client::LedgerServiceClient;
use reeve_contracts::finance::v1::payment_service_client::PaymentServiceClient;
use reeve_contracts::finance::v1::rate_card_service_client::RateCardServiceClient;
use reeve_contracts::finance::v1::usage_service_client::UsageServiceClient;
use reeve_contracts::finance::v1::*;
use reeve_contracts::r#type::v1::Money;
use reeve_events::{Actor, Event, FeedService, Log, NewEvent, Relay, Wake};
use reeve_finance::{Finance, LoopsConfig};
use reeve_ids::{BudgetId, TenantId};
use reeve_postgres::{Database, Schema};
use reeve_runtime::config::PeersConfig;
use reeve_runtime::{Loop, Peers, ReadyProbe, Service};
use reeve_status::Fault;
use reeve_testkit::{
    Running, SERVICE_SECRET, StaticAuthenticator, TestDatabase, authorize, deps, serve,
};
use serde_json::Value as Json;
use sqlx::PgConnection;
use tonic::transport::Channel;

/// A finance service of one test's own, and a log that plays the task queue's.
pub struct World {
    pub database: TestDatabase,
    pub clock: Arc<TestClock>,
    pub tenant: TenantId,
    pub key: String,
    pub keys: Arc<StaticAuthenticator>,
    channel: Channel,
    tasks: Database,
    tasks_wake: Wake,
    _running: (Running, Running),
}

fn tasks_schema() -> Schema {
    Schema::new("task_queue").with("events", &reeve_events::MIGRATIONS)
}

impl World {
    pub async fn new() -> Self {
        let (finance, tasks) = (Finance::schema(), tasks_schema());
        let database = TestDatabase::new(&[&finance, &tasks]).await;
        let tokens = ServiceTokens::new(SERVICE_SECRET);
        let keys = StaticAuthenticator::with_tokens(tokens.clone());
        let tasks_deps = deps("task-queue", &tasks, &database).await;
        let owner = serve(owner(&tasks_deps, &keys), &tasks_deps).await;
        let mut finance_deps = deps("finance", &finance, &database).await;
        finance_deps.redis = tasks_deps.redis.clone();
        let clock = Arc::new(TestClock::at(SystemClock.now()));
        finance_deps.clock = Arc::clone(&clock) as _;
        let nobody = || "http://127.0.0.1:1".to_owned();
        let peers = PeersConfig {
            agent_registry: nobody(),
            task_queue: format!("http://{}", owner.address()),
            workflow_engine: nobody(),
            finance: nobody(),
            incident: nobody(),
        };
        finance_deps.peers = Peers::new(&peers, "finance", &tokens).unwrap();
        let loops = LoopsConfig {
            hold_expiry_period: Duration::from_millis(50),
            overdue_period: Duration::from_millis(50),
            late_pricing_period: Duration::from_millis(50),
        };
        let service =
            Finance::assemble(&loops, finance_deps.clone(), Arc::clone(&keys) as _, tokens);
        let running = serve(service, &finance_deps).await;
        let tenant = TenantId::new();
        Self {
            database,
            clock,
            tenant,
            key: keys.admin(tenant),
            keys,
            channel: running.channel(),
            tasks: tasks_deps.database.clone(),
            tasks_wake: tasks_deps.wake.clone(),
            _running: (owner, running),
        }
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub fn ask<M>(&self, message: M) -> tonic::Request<M> {
        authorize(&self.key, message)
    }

    pub fn rate_cards(&self) -> RateCardServiceClient<Channel> {
        RateCardServiceClient::new(self.channel.clone())
    }

    pub fn usage(&self) -> UsageServiceClient<Channel> {
        UsageServiceClient::new(self.channel.clone())
    }

    pub fn budgets(&self) -> BudgetServiceClient<Channel> {
        BudgetServiceClient::new(self.channel.clone())
    }

    pub fn ledger(&self) -> LedgerServiceClient<Channel> {
        LedgerServiceClient::new(self.channel.clone())
    }

    pub fn invoices(&self) -> InvoiceServiceClient<Channel> {
        InvoiceServiceClient::new(self.channel.clone())
    }

    pub fn payments(&self) -> PaymentServiceClient<Channel> {
        PaymentServiceClient::new(self.channel.clone())
    }

    /// An administrator in finance's schema, past row-level security.
    pub async fn sql(&self) -> PgConnection {
        let mut admin = self.database.admin().await;
        sqlx::query("set search_path = finance")
            .execute(&mut admin)
            .await
            .unwrap();
        admin
    }

    /// Writes an event of the task queue.
    pub async fn task_event(&self, kind: &'static str, task: &str, data: Json) {
        self.task_events(vec![(self.tenant, kind, task, data)])
            .await;
    }

    /// Writes events of the task queue that finance reads together.
    pub async fn task_events(&self, events: Vec<(TenantId, &'static str, &str, Json)>) {
        let event = |(tenant, kind, task, data)| {
            let actor = Actor::service("task-queue");
            NewEvent::new(tenant, actor, self.now(), kind, ("task", task)).with(data)
        };
        let events = events.into_iter().map(event).collect();
        let mut tx = self.tasks.internal().await.unwrap();
        reeve_events::append(&mut tx, "task-queue", events)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        self.tasks_wake.notify();
    }

    /// 3 USD a million input tokens, 0.3 cached, 15 output, 0.01 an agent's second.
    pub async fn price_list(&self) -> RateCard {
        let request = price_list("list", "acme", "m1");
        let answer = self
            .rate_cards()
            .create_rate_card(self.ask(request))
            .await
            .unwrap();
        answer.into_inner().rate_card.unwrap()
    }

    pub async fn budget(&self, name: &str, limit: &str, parent: &str) -> Budget {
        let request = CreateBudgetRequest {
            name: name.into(),
            limit: Some(usd(limit)),
            parent_id: parent.into(),
            scope: BudgetScope::Team.into(),
            ..Default::default()
        };
        let answer = self
            .budgets()
            .create_budget(self.ask(request))
            .await
            .unwrap();
        answer.into_inner().budget.unwrap()
    }

    pub async fn budget_now(&self, id: &str) -> Budget {
        let request = GetBudgetRequest {
            budget_id: id.into(),
        };
        let answer = self.budgets().get_budget(self.ask(request)).await.unwrap();
        answer.into_inner().budget.unwrap()
    }

    pub async fn hold(&self, request_id: &str, budget: &str, amount: &str) -> Hold {
        let request = reserve(request_id, budget, amount);
        let answer = self
            .budgets()
            .reserve_budget(self.ask(request))
            .await
            .unwrap();
        answer.into_inner().hold.unwrap()
    }

    /// The books are sound, and hold something.
    pub async fn assert_sound(&self) -> VerifyLedgerResponse {
        let answer = self
            .ledger()
            .verify_ledger(self.ask(VerifyLedgerRequest {}))
            .await
            .unwrap();
        let result = answer.into_inner();
        assert!(result.balanced, "{:?}", result.faults);
        result
    }

    /// How many events of a kind finance wrote.
    pub async fn events(&self, kind: &str) -> usize {
        self.told(kind).await.len()
    }

    /// The events of a kind that finance wrote, from its log and what waits for the relay.
    pub async fn told(&self, kind: &str) -> Vec<Event> {
        let mut sql = self.sql().await;
        let batches: Vec<Vec<u8>> =
            sqlx::query_scalar("select events from event_log union all select events from outbox")
                .fetch_all(&mut sql)
                .await
                .unwrap();
        let events = batches.iter().flat_map(|batch| decode(batch));
        events.filter(|event| event.r#type == kind).collect()
    }

    /// What a statement of an administrator's counts in finance's schema.
    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(&mut self.sql().await)
            .await
            .unwrap()
    }
}

fn decode(batch: &[u8]) -> Vec<Event> {
    use prost::Message as _;
    let mut rest = batch;
    let mut events = Vec::new();
    while !rest.is_empty() {
        events.push(Event::decode_length_delimited(&mut rest).unwrap());
    }
    events
}

/// A fact that an event tells, as text.
pub fn fact(event: &Event, name: &str) -> String {
    let data = event.data.clone().map(reeve_wellknown::json_from_struct);
    match &data.unwrap_or_default()[name] {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn owner(deps: &reeve_runtime::Deps, keys: &Arc<StaticAuthenticator>) -> Service {
    let log = Log::new(deps.database.clone());
    let relay = Relay::new(
        deps.database.clone(),
        &deps.redis,
        "task-queue",
        deps.wake.clone(),
    );
    let relaying = Loop::new("relay", Duration::from_millis(200), move || {
        let relay = relay.clone();
        async move { relay.tick().await }
    });
    Service {
        name: "task-queue",
        routes: tonic::service::Routes::default().add_service(FeedService::server(log)),
        grpc_services: vec![FeedService::NAME],
        loops: vec![relaying.woken_by(deps.wake.relay())],
        authenticator: Arc::clone(keys) as _,
        ready: ReadyProbe::always(),
    }
}

pub fn money(amount: &str, currency: &str) -> Money {
    Money {
        amount: amount.into(),
        currency_code: currency.into(),
    }
}

pub fn usd(amount: &str) -> Money {
    money(amount, "USD")
}

pub fn unit(amount: &str, per_units: i64) -> Option<UnitPrice> {
    Some(UnitPrice {
        amount: amount.into(),
        per_units,
    })
}

pub fn price_list(name: &str, provider: &str, model: &str) -> CreateRateCardRequest {
    CreateRateCardRequest {
        name: name.into(),
        currency_code: "USD".into(),
        model_prices: vec![ModelPrice {
            provider: provider.into(),
            model: model.into(),
            input: unit("3", 1_000_000),
            cached_input: unit("0.3", 1_000_000),
            output: unit("15", 1_000_000),
        }],
        resource_prices: vec![ResourcePrice {
            resource: "agent_seconds".into(),
            unit_price: unit("0.01", 1),
        }],
        valid_from_time: Some(prost_types::Timestamp {
            seconds: 1_700_000_000,
            nanos: 0,
        }),
        ..Default::default()
    }
}

pub fn reserve(request_id: &str, budget: &str, amount: &str) -> ReserveBudgetRequest {
    ReserveBudgetRequest {
        request_id: request_id.into(),
        budget_id: budget.into(),
        amount: Some(usd(amount)),
        ..Default::default()
    }
}

/// The fault behind a refused call.
pub fn fault<T: std::fmt::Debug>(answer: Result<T, tonic::Status>) -> Fault {
    Fault::from(&answer.expect_err("it must be refused"))
}

pub fn fields(fault: &Fault) -> Vec<&str> {
    fault
        .violations()
        .iter()
        .map(|violation| violation.field.as_str())
        .collect()
}

pub fn absent_budget() -> String {
    BudgetId::new().to_string()
}
