//! What the tasks of a tenant ask of agents.

use std::collections::HashMap;

use reeve_ids::AgentId;

use super::fleet::AgentInfo;
use super::placement::{Requirement, pin};

/// Demands that a tenant may have.
pub const MOST_DEMANDS: i64 = 200;

/// What some tasks of one capability ask of an agent beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// Its name, which is part of that of their lane.
    pub id: String,
    /// The capability.
    pub capability: String,
    /// What the capability and the agent must be like.
    pub requirement: Requirement,
    /// The only agent that will do.
    pub pinned: Option<AgentId>,
}

/// The demands of a tenant.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Demands(HashMap<String, Vec<Demand>>);

impl Demands {
    /// Of these.
    pub fn new(demands: Vec<Demand>) -> Self {
        let mut by_capability = HashMap::<String, Vec<Demand>>::new();
        for demand in demands {
            let of = by_capability.entry(demand.capability.clone());
            of.or_default().push(demand);
        }
        Self(by_capability)
    }

    /// What an agent may take of a capability that it offers: what asks for nothing more, what is
    /// pinned to it, and the demands that it meets.
    pub fn met_by(&self, agent: &AgentInfo, capability: &str) -> Vec<String> {
        let demands = self.0.get(capability).into_iter().flatten();
        let met = demands.filter(|demand| {
            demand.pinned.is_none_or(|pinned| pinned == agent.id)
                && demand.requirement.takes(capability, &agent.offer)
        });
        let met = met.map(|demand| demand.id.clone());
        [String::new(), pin(agent.id)]
            .into_iter()
            .chain(met)
            .collect()
    }
}
