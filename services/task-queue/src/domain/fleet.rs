//! What agents offer, and which of them live.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use reeve_ids::AgentId;
use semver::Version;

/// Something that an agent can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// Its name.
    pub name: String,
    /// Its version; nothing when the agent gives none, which counts as 0.0.0.
    pub version: Option<Version>,
    /// Its attributes that tasks can ask for, each with the texts that it equals.
    pub attributes: BTreeMap<String, Vec<String>>,
}

/// What an agent is, as far as tasks ask. Two that are equal are given the same work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    capabilities: Vec<Capability>,
    labels: BTreeMap<String, String>,
}

impl Offer {
    /// Capabilities with unique names, and labels.
    pub fn new(mut capabilities: Vec<Capability>, labels: BTreeMap<String, String>) -> Self {
        capabilities.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        Self {
            capabilities,
            labels,
        }
    }

    /// What it can do, by name.
    pub fn capabilities(&self) -> &[Capability] {
        &self.capabilities
    }

    /// What it can do under a name.
    pub fn capability(&self, name: &str) -> Option<&Capability> {
        let found = self
            .capabilities
            .binary_search_by(|capability| capability.name.as_str().cmp(name));
        found.ok().map(|at| &self.capabilities[at])
    }

    /// The agent's labels.
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    /// About how many bytes it takes.
    pub fn weight(&self) -> usize {
        let pair = |(key, value): (&String, &String)| key.len() + value.len() + 64;
        let labels: usize = self.labels.iter().map(pair).sum();
        let of = |capability: &Capability| {
            let attributes = capability.attributes.iter().map(|(key, values)| {
                key.len() + values.iter().map(|value| value.len() + 32).sum::<usize>() + 64
            });
            capability.name.len() + attributes.sum::<usize>() + 128
        };
        labels + self.capabilities.iter().map(of).sum::<usize>() + 128
    }
}

/// How busy an agent said it is. It says so with its heartbeats, so it is some seconds old.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AgentLoad {
    /// Tasks that run.
    pub running: i32,
    /// Tasks that wait inside the agent.
    pub queued: i32,
    /// How many tasks it may run at once.
    pub capacity: i32,
}

impl AgentLoad {
    /// How many more tasks it could run; below zero when more wait than run.
    pub fn free(&self) -> i32 {
        let taken = self.running.saturating_add(self.queued);
        self.capacity.saturating_sub(taken)
    }
}

/// What is to be known of an agent.
#[derive(Debug, Clone)]
pub struct AgentInfo {
    /// The agent.
    pub id: AgentId,
    /// Whether it may be given work.
    pub active: bool,
    /// Its state, for people.
    pub state: &'static str,
    /// What it can do.
    pub offer: Arc<Offer>,
    /// How busy it is.
    pub load: AgentLoad,
}

impl AgentInfo {
    /// Whether it is given the same work as it was.
    pub fn works_as(&self, before: &Self) -> bool {
        self.active == before.active && self.offer == before.offer
    }

    /// Names of what it can do.
    pub fn capability_names(&self) -> Vec<String> {
        let capabilities = self.offer.capabilities().iter();
        capabilities.map(|one| one.name.clone()).collect()
    }
}

/// The agents of a tenant that live: neither OFFLINE nor in ERROR.
#[derive(Debug, Default)]
pub struct Fleet {
    agents: Vec<Arc<AgentInfo>>,
    offering: HashMap<String, Vec<usize>>,
    active: usize,
}

impl Fleet {
    /// Of these agents.
    pub fn new(agents: Vec<Arc<AgentInfo>>) -> Self {
        let mut offering: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, agent) in agents.iter().enumerate() {
            for capability in agent.offer.capabilities() {
                match offering.get_mut(&capability.name) {
                    Some(places) => places.push(at),
                    None => {
                        offering.insert(capability.name.clone(), vec![at]);
                    }
                }
            }
        }
        let active = agents.iter().filter(|agent| agent.active).count();
        Self {
            agents,
            offering,
            active,
        }
    }

    /// How many are ACTIVE.
    pub fn active(&self) -> usize {
        self.active
    }

    /// An agent.
    pub fn agent(&self, id: AgentId) -> Option<&Arc<AgentInfo>> {
        self.agents.iter().find(|agent| agent.id == id)
    }

    /// Those that offer a capability, in any state.
    pub fn offering(&self, capability: &str) -> impl Iterator<Item = &Arc<AgentInfo>> {
        let places = self.offering.get(capability).into_iter().flatten();
        places.map(|at| &self.agents[*at])
    }

    /// About how many bytes it takes.
    pub fn weight(&self) -> usize {
        self.agents
            .iter()
            .map(|agent| agent.offer.weight() + 128)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_overloaded_has_less_than_no_room() {
        let free = |running, queued, capacity| {
            AgentLoad {
                running,
                queued,
                capacity,
            }
            .free()
        };
        assert_eq!(free(1, 1, 4), 2);
        assert_eq!(free(3, 3, 4), -2);
        assert_eq!(free(i32::MAX, i32::MAX, 1), 1 - i32::MAX);
    }
}
