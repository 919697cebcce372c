//! Whether any agent of a fleet may be given a task, and where the others fall short.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use reeve_ids::AgentId;

use super::fleet::{AgentInfo, Fleet};
use super::placement::Placement;

/// Versions or states that one sentence names.
const NAMED: usize = 5;

/// What an agent falls short of. In this order an agent is looked at, and it falls at the first that
/// does not hold, so the greatest at which any falls is where the task was closest to being taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Term {
    /// It is not the one that the task is pinned to.
    PinnedAgent,
    /// It does not offer the capability.
    Capability,
    /// It offers another version.
    Version,
    /// It lacks an attribute.
    Attribute,
    /// It lacks a label.
    AgentLabel,
    /// The task is to avoid it.
    Avoided,
    /// It has rejected the task.
    Rejected,
    /// It would do, and is not ACTIVE.
    AgentState,
}

/// What a task wants of its agent, as it stands.
#[derive(Debug, Clone, Copy)]
pub struct Want<'a> {
    /// What the agent must offer.
    pub capability: &'a str,
    /// What it must be like.
    pub placement: &'a Placement,
    /// Who may not have it: those that rejected it, and those that it avoids.
    pub refused: &'a [AgentId],
}

/// Why nobody may be given a task now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ineligibility {
    /// The term that came closest.
    pub term: Term,
    /// The same for people.
    pub sentence: String,
    /// How many agents fall at each term: ACTIVE ones, and at the last those that are not.
    pub counts: BTreeMap<Term, usize>,
}

impl Want<'_> {
    /// Where an agent falls, whatever its state; nothing when it would do.
    pub fn falls_at(&self, agent: &AgentInfo) -> Option<Term> {
        let Placement {
            requirement,
            pinned,
            avoid,
            ..
        } = self.placement;
        if pinned.is_some_and(|pinned| pinned != agent.id) {
            return Some(Term::PinnedAgent);
        }
        let Some(capability) = agent.offer.capability(self.capability) else {
            return Some(Term::Capability);
        };
        if !requirement.takes_version(capability.version.as_ref()) {
            Some(Term::Version)
        } else if !requirement.takes_attributes(capability) {
            Some(Term::Attribute)
        } else if !requirement.takes_labels(&agent.offer) {
            Some(Term::AgentLabel)
        } else if avoid.contains(&agent.id) {
            Some(Term::Avoided)
        } else if self.refused.contains(&agent.id) {
            Some(Term::Rejected)
        } else {
            None
        }
    }

    /// Whether an agent may be given the task now.
    pub fn takes(&self, agent: &AgentInfo) -> bool {
        agent.active && self.falls_at(agent).is_none()
    }

    /// Whether some agent may be given the task now that is none of these.
    pub fn anyone_but(&self, fleet: &Fleet, others: &[AgentId]) -> bool {
        let mut offering = fleet.offering(self.capability);
        offering.any(|agent| !others.contains(&agent.id) && self.takes(agent))
    }

    /// Why nobody of a fleet may be given the task; nothing when somebody may.
    pub fn judge(&self, fleet: &Fleet) -> Option<Ineligibility> {
        if self.anyone_but(fleet, &[]) {
            return None;
        }
        let mut counts = BTreeMap::new();
        let mut offering_active = 0;
        for agent in fleet.offering(self.capability) {
            offering_active += usize::from(agent.active);
            match self.falls_at(agent) {
                Some(term) if agent.active => *counts.entry(term).or_insert(0) += 1,
                None => *counts.entry(Term::AgentState).or_insert(0) += 1,
                Some(_) => {}
            }
        }
        let pinned = self.placement.pinned;
        let mut others = fleet.active() - offering_active;
        if let Some(id) = pinned {
            let is_other = |agent: &&std::sync::Arc<AgentInfo>| {
                agent.active && agent.offer.capability(self.capability).is_none()
            };
            if fleet.agent(id).filter(is_other).is_some() {
                *counts.entry(Term::Capability).or_insert(0) += 1;
                others -= 1;
            }
        }
        if others > 0 {
            let term = pinned.map_or(Term::Capability, |_| Term::PinnedAgent);
            *counts.entry(term).or_insert(0) += others;
        }
        let none = pinned.map_or(Term::Capability, |_| Term::PinnedAgent);
        let term = counts.last_key_value().map_or(none, |(term, _)| *term);
        Some(Ineligibility {
            term,
            sentence: self.sentence(term, fleet),
            counts,
        })
    }

    /// The agents that fall at a term and count for it.
    fn fallen<'a>(&self, term: Term, fleet: &'a Fleet) -> impl Iterator<Item = &'a AgentInfo> {
        let at_state = term == Term::AgentState;
        let fallen = fleet.offering(self.capability).filter(move |agent| {
            let at = self.falls_at(agent);
            if at_state {
                at.is_none() && !agent.active
            } else {
                at == Some(term) && agent.active
            }
        });
        fallen.map(std::convert::AsRef::as_ref)
    }

    fn sentence(&self, term: Term, fleet: &Fleet) -> String {
        let Self {
            capability,
            placement,
            ..
        } = self;
        let requirement = &placement.requirement;
        match term {
            Term::PinnedAgent => {
                let pinned = placement.pinned.map(|id| id.to_string());
                let pinned = pinned.unwrap_or_default();
                match placement.pinned.and_then(|id| fleet.agent(id)) {
                    Some(agent) => format!(
                        "agent {pinned}, to which the task is pinned, is {} and does not do as it is",
                        agent.state
                    ),
                    None => format!("no agent {pinned} lives, to which the task is pinned"),
                }
            }
            Term::Capability => match placement.pinned {
                Some(id) => format!(
                    "agent {id}, to which the task is pinned, does not offer {capability:?}"
                ),
                None => format!("no active agent offers {capability:?}"),
            },
            Term::Version => {
                let range = requirement.versions.as_ref();
                let range = range.map(ToString::to_string).unwrap_or_default();
                let offered = self.fallen(term, fleet).filter_map(|agent| {
                    let version = agent.offer.capability(capability)?.version.as_ref();
                    Some(version.map_or_else(|| "0.0.0".to_owned(), ToString::to_string))
                });
                let offered = named(offered);
                format!(
                    "no active agent offers {capability:?} in a version of {range:?}; there is {offered}"
                )
            }
            Term::Attribute => {
                let wanted = pairs(&requirement.attributes);
                format!("no active agent offers {capability:?} with the attributes {wanted}")
            }
            Term::AgentLabel => {
                let wanted = pairs(&requirement.labels);
                format!(
                    "no active agent that offers {capability:?} as wanted has the labels {wanted}"
                )
            }
            Term::Avoided => "the task avoids every active agent that would do".to_owned(),
            Term::Rejected => "every active agent that would do has rejected the task".to_owned(),
            Term::AgentState => {
                let states = self.fallen(term, fleet);
                let states = states.map(|agent| format!("{} is {}", agent.id, agent.state));
                format!("no agent that would do is ACTIVE: {}", named(states))
            }
        }
    }
}

/// The first few of some texts, each once.
fn named(texts: impl Iterator<Item = String>) -> String {
    let mut texts: Vec<_> = texts.collect();
    texts.sort_unstable();
    texts.dedup();
    let mut shown = texts[..texts.len().min(NAMED)].join(", ");
    if texts.len() > NAMED {
        let _ = write!(shown, " and {} more", texts.len() - NAMED);
    }
    shown
}

fn pairs(pairs: &BTreeMap<String, String>) -> String {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(key, value)| format!("{key}={value:?}"))
        .collect();
    pairs.join(", ")
}

#[cfg(test)]
#[path = "matching_tests.rs"]
mod tests;
