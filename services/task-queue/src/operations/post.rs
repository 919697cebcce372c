//! What an agent may take.

use std::collections::HashMap;
use std::sync::Arc;

use reeve_ids::{AgentId, TenantId};
use reeve_redis::Wakeup;

use super::lease::LeaseAsk;
use crate::Queue;
use crate::core::Shared;
use crate::dispatch::LaneKey;
use crate::domain::{AgentInfo, Demands, Fleet};
use crate::storage::PassedRow;

/// What an agent may take, as long as neither the agent changes nor what tasks ask of agents.
#[derive(Debug)]
pub struct Post {
    agent: Arc<AgentInfo>,
    demands: Arc<Demands>,
    /// Each capability with a demand that the agent meets.
    offers: Vec<(String, String)>,
    lanes: Vec<LaneKey>,
    /// In which version the agent offers the capability of a lane.
    versions: HashMap<LaneKey, Arc<str>>,
}

impl Post {
    /// Of an agent that asks. While it cannot be known what tasks ask for, those that ask for nothing
    /// are taken.
    pub async fn of(queue: &Queue, ask: &LeaseAsk, agent: Arc<AgentInfo>) -> Self {
        let demands = queue.shared.demands.of(ask.tenant_id).await;
        let demands = demands.inspect_err(|fault| tracing::debug!(%fault, "demands are unknown"));
        Self::new(ask, agent, demands.unwrap_or_default())
    }

    fn new(ask: &LeaseAsk, agent: Arc<AgentInfo>, demands: Arc<Demands>) -> Self {
        let (mut offers, mut lanes, mut versions) = (Vec::new(), Vec::new(), HashMap::new());
        for capability in agent.offer.capabilities() {
            let name = capability.name.as_str();
            let version = capability.version.as_ref();
            let version = version.map(|version| Arc::<str>::from(version.to_string()));
            for demand in demands.met_by(&agent, name) {
                for queue in &ask.queues {
                    let lane = LaneKey::new(ask.tenant_id, queue, name, &demand);
                    if let Some(version) = &version {
                        versions.insert(lane.clone(), Arc::clone(version));
                    }
                    lanes.push(lane);
                }
                offers.push((name.to_owned(), demand));
            }
        }
        Self {
            agent,
            demands,
            offers,
            lanes,
            versions,
        }
    }

    /// What the agent may take instead, if that has changed.
    pub async fn next(&self, queue: &Queue, ask: &LeaseAsk, now: Arc<AgentInfo>) -> Option<Self> {
        let demands = queue.shared.demands.of(ask.tenant_id).await;
        let demands = demands.unwrap_or_else(|_| Arc::clone(&self.demands));
        let same = now.works_as(&self.agent)
            && (Arc::ptr_eq(&demands, &self.demands) || demands == self.demands);
        (!same).then(|| Self::new(ask, now, demands))
    }

    /// Where it takes from.
    pub fn lanes(&self) -> &[LaneKey] {
        &self.lanes
    }

    /// The same, as capabilities and demands.
    pub fn offers(&self) -> &[(String, String)] {
        &self.offers
    }

    /// What it offers, each capability with its version.
    pub fn capabilities(&self) -> (Vec<&str>, Vec<Option<String>>) {
        let all = self.agent.offer.capabilities().iter();
        all.map(|one| {
            let version = one.version.as_ref().map(ToString::to_string);
            (one.name.as_str(), version)
        })
        .unzip()
    }

    /// In which version the agent offers a capability.
    pub fn version_of(&self, capability: &str) -> Option<String> {
        let offered = self.agent.offer.capability(capability)?;
        offered.version.as_ref().map(ToString::to_string)
    }

    /// In which version the agent offers the capability of a lane.
    pub fn version(&self, lane: &LaneKey) -> Option<Arc<str>> {
        self.versions.get(lane).cloned()
    }

    /// Whether the agent is not given a task only because it failed there.
    pub fn has_failed(&self, task: &PassedRow) -> bool {
        let id = self.agent.id.uuid();
        task.failed_at.contains(&id) && !task.rejected_by.contains(&id)
    }

    /// Whether somebody else may be given a task at which this agent failed.
    pub fn has_relief(&self, task: &PassedRow, fleet: &Fleet) -> bool {
        let place = &task.ready.place;
        let shunned = |id: AgentId| {
            let id = id.uuid();
            task.failed_at.contains(&id) || task.rejected_by.contains(&id)
        };
        let mut offering = fleet.offering(&place.capability);
        offering.any(|agent| {
            let met = || self.demands.met_by(agent, &place.capability);
            agent.active && !shunned(agent.id) && met().contains(&place.demand)
        })
    }
}

/// Hears that an agent may have to take other work: it has changed, what tasks ask for has, or
/// something was handed to it.
#[derive(Debug)]
pub struct News {
    shared: Shared,
    who: (TenantId, AgentId),
    demands: Wakeup,
    agent: Wakeup,
    handed: Wakeup,
}

impl News {
    /// For whoever asks. To be had before its post, so that nothing is missed in between.
    pub fn of(queue: &Queue, ask: &LeaseAsk) -> Self {
        let shared = queue.shared.clone();
        let who = (ask.tenant_id, ask.agent_id);
        let topic = Shared::change_topic(who.0, who.1);
        Self {
            demands: shared.demands.listen(who.0),
            agent: shared.wakeups.subscribe(&topic),
            handed: shared.wakeups.subscribe(&Shared::agent_topic(who.0, who.1)),
            shared,
            who,
        }
    }

    /// Returns when there is some. May be dropped at any time.
    pub async fn come(&mut self) {
        tokio::select! {
            () = self.demands.woken() => {}
            // Another replica may have applied the event.
            () = self.agent.woken() => self.shared.agents.forget(self.who.0, self.who.1).await,
            // Something may have been handed to the agent.
            () = self.handed.woken() => self.shared.offers.note(self.who.0, self.who.1),
        }
    }
}
