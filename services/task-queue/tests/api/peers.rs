//! agent-registry and finance as this service sees them: real servers with their contracts, whose
//! answers a test decides.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use futures::stream::BoxStream;
use reeve_auth::{Caller, ServiceTokens};
use reeve_contracts::agent::v1::agent_service_server::{AgentService, AgentServiceServer};
use reeve_contracts::agent::v1::{self as agent, Agent, AgentState, Capability};
use reeve_contracts::event::v1::event_feed_service_server::{
    EventFeedService, EventFeedServiceServer,
};
use reeve_contracts::event::v1::{Event, ReadEventsRequest, ReadEventsResponse};
use reeve_contracts::finance::v1 as finance;
use reeve_contracts::finance::v1::budget_service_server::{BudgetService, BudgetServiceServer};
use reeve_ids::{AgentId, HoldId, TenantId};
use reeve_runtime::{Deps, ReadyProbe, Service};
use reeve_status::{Code, Fault, Reason};
use reeve_testkit::{Running, SERVICE_SECRET, StaticAuthenticator, serve};
use tonic::{Request, Response, Status};

type Answer<T> = Result<Response<T>, Status>;

/// What the peers know.
#[derive(Default)]
pub struct Known {
    agents: Mutex<HashMap<(TenantId, AgentId), Agent>>,
    events: Mutex<Vec<Event>>,
    /// Whether budgets refuse.
    pub exhausted: AtomicBool,
    /// Whether budgets do not exist.
    pub unknown: AtomicBool,
    /// Budgets of which finance cannot say anything.
    pub unanswerable: Mutex<HashSet<String>>,
    /// Holds, in the order in which they were reserved.
    pub holds: Mutex<Vec<Reserved>>,
    pub asked: AtomicI64,
    /// Whether agent-registry hangs.
    pub hangs: AtomicBool,
}

/// A hold as finance keeps it.
#[derive(Debug, Clone)]
pub struct Reserved {
    pub request_id: String,
    pub task_id: String,
    pub attempt: i32,
    pub id: HoldId,
    pub state: finance::HoldState,
}

/// The peers, served.
pub struct PeerServer {
    pub known: Arc<Known>,
    running: Running,
}

#[derive(Clone)]
struct Stage(Arc<Known>);

impl PeerServer {
    pub async fn start(deps: &Deps) -> Self {
        let known = Arc::new(Known::default());
        let stage = Stage(Arc::clone(&known));
        let service = Service {
            name: "peers",
            routes: tonic::service::Routes::default()
                .add_service(AgentServiceServer::new(stage.clone()))
                .add_service(EventFeedServiceServer::new(stage.clone()))
                .add_service(BudgetServiceServer::new(stage)),
            grpc_services: vec![
                "reeve.agent.v1.AgentService",
                "reeve.event.v1.EventFeedService",
                "reeve.finance.v1.BudgetService",
            ],
            loops: Vec::new(),
            authenticator: StaticAuthenticator::with_tokens(ServiceTokens::new(SERVICE_SECRET)),
            ready: ReadyProbe::always(),
        };
        Self {
            known,
            running: serve(service, deps).await,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.running.address())
    }
}

impl Known {
    async fn answer(&self) {
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }

    /// An ACTIVE agent with these capabilities.
    pub fn add_agent(&self, tenant: TenantId, capabilities: &[&str]) -> AgentId {
        let id = AgentId::new();
        let capability = |name: &&str| Capability {
            name: (*name).to_owned(),
            ..Default::default()
        };
        let agent = Agent {
            id: id.to_string(),
            state: AgentState::Active.into(),
            capabilities: capabilities.iter().map(capability).collect(),
            ..Default::default()
        };
        self.agents.lock().unwrap().insert((tenant, id), agent);
        id
    }

    /// Changes an agent and tells of it.
    pub fn change(&self, tenant: TenantId, id: AgentId, change: impl FnOnce(&mut Agent)) {
        let mut agents = self.agents.lock().unwrap();
        change(agents.get_mut(&(tenant, id)).expect("it is there"));
        drop(agents);
        self.tell(tenant, id, "agent.updated", serde_json::json!({}));
    }

    /// Says how many tasks an agent may run, and how many it runs.
    pub fn load(&self, tenant: TenantId, id: AgentId, slots: i32, active: i32) {
        let mut agents = self.agents.lock().unwrap();
        let agent = agents.get_mut(&(tenant, id)).expect("it is there");
        agent.max_concurrent_tasks = slots;
        agent.workload = Some(agent::Workload {
            active_task_count: active,
            ..Default::default()
        });
    }

    /// Changes an agent's state and tells of it.
    pub fn transition(&self, tenant: TenantId, id: AgentId, to: AgentState) {
        self.agents
            .lock()
            .unwrap()
            .get_mut(&(tenant, id))
            .expect("it is there")
            .set_state(to);
        let word = to.as_str_name().trim_start_matches("AGENT_STATE_");
        self.tell(
            tenant,
            id,
            "agent.transitioned",
            serde_json::json!({ "to": word }),
        );
    }

    /// The holds of a task, oldest first.
    pub fn holds_of(&self, task: &str) -> Vec<Reserved> {
        let holds = self.holds.lock().unwrap();
        holds
            .iter()
            .filter(|hold| hold.task_id == task)
            .cloned()
            .collect()
    }

    /// Ends every hold.
    pub fn release_holds(&self) {
        for hold in self.holds.lock().unwrap().iter_mut() {
            hold.state = finance::HoldState::Released;
        }
    }

    /// Writes an event of an agent, of this moment.
    pub fn tell(&self, tenant: TenantId, id: AgentId, kind: &str, data: serde_json::Value) {
        self.tell_of(chrono::Utc::now(), (tenant, id), kind, data);
    }

    /// Writes an event of an agent that happened at a time.
    pub fn tell_of(
        &self,
        time: chrono::DateTime<chrono::Utc>,
        (tenant, id): (TenantId, AgentId),
        kind: &str,
        data: serde_json::Value,
    ) {
        let mut events = self.events.lock().unwrap();
        let sequence = i64::try_from(events.len()).unwrap() + 1;
        events.push(Event {
            sequence,
            source: "agent-registry".to_owned(),
            tenant_id: tenant.to_string(),
            r#type: kind.to_owned(),
            resource_type: "agent".to_owned(),
            resource_id: id.to_string(),
            data: reeve_wellknown::struct_from_json(data),
            occur_time: Some(reeve_wellknown::timestamp(time)),
            ..Default::default()
        });
    }
}

fn not_played<T>() -> Answer<T> {
    Err(Status::unimplemented("the test's peers do not play this"))
}

type Stream<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl AgentService for Stage {
    type StreamHeartbeatsStream = Stream<agent::StreamHeartbeatsResponse>;
    type WatchAgentsStream = Stream<agent::WatchAgentsResponse>;

    async fn get_agent(
        &self,
        request: Request<agent::GetAgentRequest>,
    ) -> Answer<agent::GetAgentResponse> {
        self.0.answer().await;
        let tenant = Caller::from_request(&request)?.tenant();
        let id = request
            .get_ref()
            .agent_id
            .parse()
            .expect("this service sends ids");
        let agent = self.0.agents.lock().unwrap().get(&(tenant, id)).cloned();
        let agent = agent.ok_or_else(|| Fault::not_found("agent", id))?;
        Ok(Response::new(agent::GetAgentResponse {
            agent: Some(agent),
        }))
    }

    async fn list_agents(
        &self,
        request: Request<agent::ListAgentsRequest>,
    ) -> Answer<agent::ListAgentsResponse> {
        self.0.answer().await;
        let tenant = Caller::from_request(&request)?.tenant();
        let filter = request.into_inner().filter.unwrap_or_default();
        let agents = self.0.agents.lock().unwrap();
        let agents = agents.iter().filter(|((owner, _), agent)| {
            *owner == tenant
                && (filter.states.is_empty() || filter.states.contains(&agent.state))
                && (filter.capability.is_empty()
                    || agent
                        .capabilities
                        .iter()
                        .any(|one| one.name == filter.capability))
        });
        let agents = agents.map(|(_, agent)| agent.clone()).collect();
        Ok(Response::new(agent::ListAgentsResponse {
            agents,
            ..Default::default()
        }))
    }

    async fn register_agent(
        &self,
        _: Request<agent::RegisterAgentRequest>,
    ) -> Answer<agent::RegisterAgentResponse> {
        not_played()
    }

    async fn heartbeat(
        &self,
        _: Request<agent::HeartbeatRequest>,
    ) -> Answer<agent::HeartbeatResponse> {
        not_played()
    }

    async fn stream_heartbeats(
        &self,
        _: Request<tonic::Streaming<agent::StreamHeartbeatsRequest>>,
    ) -> Answer<Self::StreamHeartbeatsStream> {
        not_played()
    }

    async fn transition_agent(
        &self,
        _: Request<agent::TransitionAgentRequest>,
    ) -> Answer<agent::TransitionAgentResponse> {
        not_played()
    }

    async fn drain_agent(
        &self,
        _: Request<agent::DrainAgentRequest>,
    ) -> Answer<agent::DrainAgentResponse> {
        not_played()
    }

    async fn watch_agents(
        &self,
        _: Request<agent::WatchAgentsRequest>,
    ) -> Answer<Self::WatchAgentsStream> {
        not_played()
    }

    async fn update_agent(
        &self,
        _: Request<agent::UpdateAgentRequest>,
    ) -> Answer<agent::UpdateAgentResponse> {
        not_played()
    }

    async fn delete_agent(
        &self,
        _: Request<agent::DeleteAgentRequest>,
    ) -> Answer<agent::DeleteAgentResponse> {
        not_played()
    }
}

#[tonic::async_trait]
impl EventFeedService for Stage {
    async fn read_events(&self, request: Request<ReadEventsRequest>) -> Answer<ReadEventsResponse> {
        let events = self.0.events.lock().unwrap().clone();
        let last_sequence = i64::try_from(events.len()).unwrap();
        let after = request.get_ref().after_sequence;
        let events = events
            .into_iter()
            .filter(|event| event.sequence > after)
            .collect();
        Ok(Response::new(ReadEventsResponse {
            events,
            last_sequence,
        }))
    }
}

#[tonic::async_trait]
impl BudgetService for Stage {
    async fn reserve_budget(
        &self,
        request: Request<finance::ReserveBudgetRequest>,
    ) -> Answer<finance::ReserveBudgetResponse> {
        let request = request.into_inner();
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        if self.0.unknown.load(Ordering::SeqCst) {
            return Err(Fault::not_found("budget", &request.budget_id).into());
        }
        if self
            .0
            .unanswerable
            .lock()
            .unwrap()
            .contains(&request.budget_id)
        {
            return Err(Fault::internal().into());
        }
        if self.0.exhausted.load(Ordering::SeqCst) {
            let message = "the budget has too little left";
            let fault = Fault::new(Code::ResourceExhausted, Reason::BudgetExhausted, message);
            return Err(fault.into());
        }
        let mut holds = self.0.holds.lock().unwrap();
        let before = holds
            .iter()
            .find(|hold| hold.request_id == request.request_id);
        let reserved = before.cloned().unwrap_or_else(|| Reserved {
            request_id: request.request_id,
            task_id: request.task_id,
            attempt: request.attempt,
            id: HoldId::new(),
            state: finance::HoldState::Held,
        });
        if before.is_none() {
            holds.push(reserved.clone());
        }
        let hold = finance::Hold {
            id: reserved.id.to_string(),
            state: reserved.state.into(),
            ..Default::default()
        };
        Ok(Response::new(finance::ReserveBudgetResponse {
            hold: Some(hold),
        }))
    }

    async fn release_hold(
        &self,
        _: Request<finance::ReleaseHoldRequest>,
    ) -> Answer<finance::ReleaseHoldResponse> {
        Ok(Response::new(finance::ReleaseHoldResponse::default()))
    }

    async fn create_budget(
        &self,
        _: Request<finance::CreateBudgetRequest>,
    ) -> Answer<finance::CreateBudgetResponse> {
        not_played()
    }

    async fn get_budget(
        &self,
        _: Request<finance::GetBudgetRequest>,
    ) -> Answer<finance::GetBudgetResponse> {
        not_played()
    }

    async fn list_budgets(
        &self,
        _: Request<finance::ListBudgetsRequest>,
    ) -> Answer<finance::ListBudgetsResponse> {
        not_played()
    }

    async fn commit_hold(
        &self,
        _: Request<finance::CommitHoldRequest>,
    ) -> Answer<finance::CommitHoldResponse> {
        not_played()
    }

    async fn list_holds(
        &self,
        _: Request<finance::ListHoldsRequest>,
    ) -> Answer<finance::ListHoldsResponse> {
        not_played()
    }
}
