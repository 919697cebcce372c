//! agent-registry: who is there and who can do what. What is known is believed for a moment, and
//! for longer while agent-registry is away, so that its restart does not stop the work.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::future::Cache;
use reeve_contracts::agent::v1::agent_service_client::AgentServiceClient;
use reeve_contracts::agent::v1::{AgentFilter, AgentState, GetAgentRequest, ListAgentsRequest};
use reeve_ids::{AgentId, TenantId};
use reeve_runtime::Peer;
use reeve_status::{Fault, Reason};

/// How long the last known is good enough while agent-registry is away.
const STALE: Duration = Duration::from_secs(600);
/// How long an answer is waited for where one can do without.
const PATIENCE: Duration = Duration::from_secs(1);
const MOST_AGENTS: u64 = 200_000;

/// What is to be known of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentInfo {
    /// Whether it may be given work.
    pub active: bool,
    /// Its state, for people.
    pub state: &'static str,
    /// Names of what it can do.
    pub capabilities: Vec<String>,
}

/// Asks agent-registry.
#[derive(Clone)]
pub struct Agents {
    peer: Peer,
    fresh: Cache<(TenantId, AgentId), Arc<AgentInfo>>,
    last: Cache<(TenantId, AgentId), Arc<AgentInfo>>,
    eligible: Cache<(TenantId, String), Arc<Vec<AgentId>>>,
    memory: Duration,
    /// Until when agent-registry, which did not answer, is left alone by whoever can do without.
    silent: Arc<Mutex<Option<Instant>>>,
}

impl Agents {
    /// Believes answers for `memory`.
    pub fn new(peer: Peer, memory: Duration) -> Self {
        let cache = |life| {
            Cache::builder()
                .max_capacity(MOST_AGENTS)
                .time_to_live(life)
        };
        Self {
            peer,
            fresh: cache(memory).build(),
            last: cache(STALE).build(),
            eligible: Cache::builder()
                .max_capacity(10_000)
                .time_to_live(memory)
                .build(),
            memory,
            silent: Arc::default(),
        }
    }

    fn is_silent(&self) -> bool {
        let until = *self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Notes whether agent-registry answers. Were it asked for each agent anew while it hangs, each
    /// would wait for it.
    fn note(&self, fault: &Fault) {
        if fault.is_retryable() {
            let until = Instant::now() + self.memory;
            *self.silent.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        }
    }

    /// An agent that may be given work now.
    ///
    /// # Errors
    /// NOT_FOUND when there is no such agent, FAILED_PRECONDITION when it is not ACTIVE,
    /// UNAVAILABLE when nobody knows.
    pub async fn active(&self, tenant: TenantId, agent: AgentId) -> Result<Arc<AgentInfo>, Fault> {
        let info = self.get(tenant, agent).await?;
        if info.active {
            return Ok(info);
        }
        let description = format!("agent {agent} is {} and must be ACTIVE", info.state);
        let subject = format!("agent/{agent}");
        Err(
            Fault::precondition(Reason::AgentNotActive, "STATE", subject, description)
                .with("state", info.state),
        )
    }

    async fn get(&self, tenant: TenantId, agent: AgentId) -> Result<Arc<AgentInfo>, Fault> {
        let key = (tenant, agent);
        let last = self.last.get(&key).await;
        let believed = match self.fresh.get(&key).await {
            Some(fresh) => Some(fresh),
            None => last.clone().filter(|_| self.is_silent()),
        };
        if let Some(believed) = believed {
            return Ok(believed);
        }
        let fetched = self
            .fresh
            .try_get_with(key, self.fetch(tenant, agent, last.is_some()))
            .await;
        fetched.or_else(|fault| {
            self.note(&fault);
            last.filter(|_| fault.is_retryable())
                .ok_or_else(|| Fault::clone(&fault))
        })
    }

    async fn fetch(
        &self,
        tenant: TenantId,
        agent: AgentId,
        is_known: bool,
    ) -> Result<Arc<AgentInfo>, Fault> {
        let message = GetAgentRequest {
            agent_id: agent.to_string(),
        };
        let mut request = self.peer.request(tenant, message);
        if is_known {
            request.set_timeout(PATIENCE);
        }
        let answer = AgentServiceClient::new(self.peer.channel())
            .get_agent(request)
            .await;
        let found = answer.map_err(|status| away(&status))?.into_inner().agent;
        let found = found.ok_or_else(|| Fault::not_found("agent", agent))?;
        let state = found.state();
        let info = Arc::new(AgentInfo {
            active: state == AgentState::Active,
            state: state.as_str_name().trim_start_matches("AGENT_STATE_"),
            capabilities: found.capabilities.into_iter().map(|one| one.name).collect(),
        });
        self.last.insert((tenant, agent), Arc::clone(&info)).await;
        Ok(info)
    }

    /// The active agents that offer a capability; nothing when that cannot be known now.
    pub async fn eligible(&self, tenant: TenantId, capability: &str) -> Option<Arc<Vec<AgentId>>> {
        let key = (tenant, capability.to_owned());
        if self.is_silent() {
            return self.eligible.get(&key).await;
        }
        let listed = self
            .eligible
            .try_get_with(key, self.list(tenant, capability))
            .await;
        listed
            .inspect_err(|fault| {
                self.note(fault);
                tracing::debug!(%fault, "eligible agents are unknown");
            })
            .ok()
    }

    async fn list(&self, tenant: TenantId, capability: &str) -> Result<Arc<Vec<AgentId>>, Fault> {
        let filter = AgentFilter {
            states: vec![AgentState::Active.into()],
            capability: capability.to_owned(),
            ..AgentFilter::default()
        };
        let mut message = ListAgentsRequest {
            filter: Some(filter),
            page_size: 1_000,
            ..Default::default()
        };
        let mut agents = Vec::new();
        // A page ends where it would outgrow a message, so even a small fleet may have several.
        loop {
            let mut request = self.peer.request(tenant, message.clone());
            request.set_timeout(PATIENCE);
            let answer = AgentServiceClient::new(self.peer.channel())
                .list_agents(request)
                .await;
            let page = answer.map_err(|status| away(&status))?.into_inner();
            let ids = page.agents.iter().map(|agent| agent.id.parse::<AgentId>());
            agents.extend(ids.flatten());
            if page.next_page_token.is_empty() {
                return Ok(Arc::new(agents));
            }
            message.page_token = page.next_page_token;
        }
    }

    /// Forgets an agent of which something has changed.
    pub async fn forget(&self, tenant: TenantId, agent: AgentId) {
        self.fresh.invalidate(&(tenant, agent)).await;
        // Rare enough to ask anew for every capability.
        self.eligible.invalidate_all();
    }
}

impl std::fmt::Debug for Agents {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Agents")
    }
}

/// What the peer answered; without one of Reeve's answers it is away.
fn away(status: &tonic::Status) -> Fault {
    let transient = matches!(
        status.code(),
        tonic::Code::Unknown
            | tonic::Code::Cancelled
            | tonic::Code::DeadlineExceeded
            | tonic::Code::Unavailable
    );
    if !transient {
        return Fault::from(status);
    }
    tracing::debug!(status = status.message(), "agent-registry does not answer");
    let message = "agent-registry cannot be reached";
    Fault::unavailable(Reason::PeerUnavailable, message, Duration::from_secs(1))
        .with("peer", "agent-registry")
}
