//! agent-registry: who is there and who can do what. What is known is believed for a moment, and
//! for longer while agent-registry is away, so that its restart does not stop the work.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::future::Cache;
use reeve_contracts::agent::v1::agent_service_client::AgentServiceClient;
use reeve_contracts::agent::v1::{
    Agent, AgentFilter, AgentState, GetAgentRequest, ListAgentsRequest,
};
use reeve_ids::{AgentId, TenantId};
use reeve_runtime::Peer;
use reeve_status::{Fault, Reason};
use semver::Version;
use serde_json::Value as Json;

use crate::domain::{AgentInfo, AgentLoad, Capability, Fleet, Offer};

/// How long the last known is good enough while agent-registry is away.
const STALE: Duration = Duration::from_secs(600);
/// How long an answer is waited for where one can do without.
const PATIENCE: Duration = Duration::from_secs(1);
/// What all that is known of single agents may take, and of whole fleets.
const MOST_BYTES: u64 = 128 * 1_024 * 1_024;

/// States in which a process runs. Those in which none does gather agents of long ago.
const LIVE: [AgentState; 6] = [
    AgentState::Starting,
    AgentState::Active,
    AgentState::Draining,
    AgentState::Inactive,
    AgentState::Maintenance,
    AgentState::Stopping,
];

/// Asks agent-registry.
#[derive(Clone)]
pub struct Agents {
    peer: Peer,
    fresh: Cache<(TenantId, AgentId), Arc<AgentInfo>>,
    last: Cache<(TenantId, AgentId), Arc<AgentInfo>>,
    fleets: Cache<TenantId, Arc<Fleet>>,
    last_fleets: Cache<TenantId, Arc<Fleet>>,
    memory: Duration,
    /// Until when agent-registry, which did not answer, is left alone by whoever can do without.
    silent: Arc<Mutex<Option<Instant>>>,
}

impl Agents {
    /// Believes answers for `memory`.
    pub fn new(peer: Peer, memory: Duration) -> Self {
        let cache = |life| {
            Cache::builder()
                .weigher(|_, agent: &Arc<AgentInfo>| bytes(agent.offer.weight()))
                .max_capacity(MOST_BYTES)
                .time_to_live(life)
        };
        let of_fleets = |life| {
            Cache::builder()
                .weigher(|_, fleet: &Arc<Fleet>| bytes(fleet.weight()))
                .max_capacity(MOST_BYTES)
                .time_to_live(life)
        };
        Self {
            peer,
            fresh: cache(memory).build(),
            last: cache(STALE).build(),
            fleets: of_fleets(memory).build(),
            last_fleets: of_fleets(STALE).build(),
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
        let info = Arc::new(info(found).ok_or_else(Fault::internal)?);
        self.last.insert((tenant, agent), Arc::clone(&info)).await;
        Ok(info)
    }

    /// The agents of a tenant that live; nothing when that cannot be known now.
    pub async fn fleet(&self, tenant: TenantId) -> Option<Arc<Fleet>> {
        if self.is_silent() {
            return self.fleets.get(&tenant).await;
        }
        let listed = self.fleets.try_get_with(tenant, self.list(tenant)).await;
        listed
            .inspect_err(|fault| {
                self.note(fault);
                tracing::debug!(%fault, "the fleet is unknown");
            })
            .ok()
    }

    /// As [`Agents::fleet`]; while agent-registry is away, the last that was known.
    pub async fn fleet_or_last(&self, tenant: TenantId) -> Option<Arc<Fleet>> {
        match self.fleet(tenant).await {
            Some(fleet) => Some(fleet),
            None => self.last_fleets.get(&tenant).await,
        }
    }

    async fn list(&self, tenant: TenantId) -> Result<Arc<Fleet>, Fault> {
        let filter = AgentFilter {
            states: LIVE.map(i32::from).to_vec(),
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
            agents.extend(page.agents.into_iter().filter_map(info).map(Arc::new));
            if page.next_page_token.is_empty() {
                let fleet = Arc::new(Fleet::new(agents));
                self.last_fleets.insert(tenant, Arc::clone(&fleet)).await;
                return Ok(fleet);
            }
            message.page_token = page.next_page_token;
        }
    }

    /// The agents of a tenant that live, with the load that they last reported. Asked anew each time:
    /// yesterday's load is worth nothing.
    ///
    /// # Errors
    /// UNAVAILABLE when agent-registry does not answer.
    pub async fn fleet_now(&self, tenant: TenantId) -> Result<Arc<Fleet>, Fault> {
        self.list(tenant).await
    }

    /// Forgets an agent of which something has changed.
    pub async fn forget(&self, tenant: TenantId, agent: AgentId) {
        self.fresh.invalidate(&(tenant, agent)).await;
        self.fleets.invalidate(&tenant).await;
    }
}

impl std::fmt::Debug for Agents {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Agents")
    }
}

fn bytes(weight: usize) -> u32 {
    u32::try_from(weight).unwrap_or(u32::MAX)
}

/// What matters of an agent; nothing when its id is none.
fn info(agent: Agent) -> Option<AgentInfo> {
    let state = agent.state();
    let load = agent.workload.as_ref();
    let capabilities = agent.capabilities.into_iter().map(|one| Capability {
        version: Version::parse(&one.version).ok(),
        attributes: one
            .attributes
            .map(reeve_wellknown::json_from_struct)
            .map(texts)
            .unwrap_or_default(),
        name: one.name,
    });
    let offer = Offer::new(capabilities.collect(), agent.labels.into_iter().collect());
    Some(AgentInfo {
        id: agent.id.parse().ok()?,
        active: state == AgentState::Active,
        state: state.as_str_name().trim_start_matches("AGENT_STATE_"),
        offer: Arc::new(offer),
        load: AgentLoad {
            running: load.map_or(0, |load| load.active_task_count),
            queued: load.map_or(0, |load| load.queue_length),
            capacity: agent.max_concurrent_tasks,
        },
    })
}

/// The attributes that a text can equal: texts, numbers and truth values as JSON writes them, and
/// lists of such, each of whose items counts.
fn texts(attributes: Json) -> BTreeMap<String, Vec<String>> {
    let Json::Object(attributes) = attributes else {
        return BTreeMap::new();
    };
    let attributes = attributes.into_iter().map(|(key, value)| {
        let values = match value {
            Json::Array(items) => items.iter().filter_map(text).collect(),
            other => text(&other).into_iter().collect(),
        };
        (key, values)
    });
    attributes.collect()
}

fn text(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(truth) => Some(truth.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn attributes_equal_what_json_writes() {
        let attributes = json!({
            "region": "eu", "gpus": 2, "share": 0.5, "fast": true, "languages": ["rust", "go", {}],
            "none": null, "nested": {"a": 1},
        });
        let found = texts(attributes);
        let is = |key: &str, values: &[&str]| assert_eq!(found[key], values, "{key}");
        is("region", &["eu"]);
        is("gpus", &["2"]);
        is("share", &["0.5"]);
        is("fast", &["true"]);
        is("languages", &["rust", "go"]);
        is("none", &[]);
        is("nested", &[]);
    }
}
