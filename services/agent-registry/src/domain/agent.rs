//! An agent and the changes it may undergo.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use reeve_ids::{AgentId, TenantId};
use serde_json::Value;

use super::state::AgentState;

/// Something an agent can do.
#[derive(Debug, Clone, PartialEq)]
pub struct Capability {
    /// Name that tasks ask for.
    pub name: String,
    /// Semantic version, or empty.
    pub version: String,
    /// Free-form facts: a JSON object.
    pub attributes: Value,
}

/// What a registering process says about its agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Kind of agent.
    pub kind: String,
    /// The model it works with; empty for none.
    pub model_id: String,
    /// What it can do, by name.
    pub capabilities: Vec<Capability>,
    /// How many tasks it may run at once.
    pub max_concurrent_tasks: i32,
    /// Short facts to select by.
    pub labels: BTreeMap<String, String>,
    /// Free-form facts: a JSON object.
    pub metadata: Value,
}

/// A named program that does tasks, whichever process runs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// Its tenant.
    pub tenant_id: TenantId,
    /// Its name, unique in the tenant.
    pub name: String,
    /// What its last registration said.
    pub spec: Spec,
    /// Where it is in its life.
    pub state: AgentState,
    /// Why, for people.
    pub state_reason: String,
    /// Which of its processes is the current one.
    pub epoch: i64,
    /// Version for optimistic locking.
    pub version: i64,
    /// Subject of the principal that registered it last.
    pub registered_by: String,
    /// First registration.
    pub create_time: DateTime<Utc>,
    /// Last change.
    pub update_time: DateTime<Utc>,
    /// Last registration.
    pub register_time: DateTime<Utc>,
    /// Last change of state.
    pub transition_time: DateTime<Utc>,
}

/// A change of state that was made, for its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: AgentState,
    /// The state after.
    pub to: AgentState,
    /// Why, for people.
    pub reason: String,
}

/// The status machine has no such edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forbidden {
    /// The state that is.
    pub from: AgentState,
    /// The state that was wanted.
    pub to: AgentState,
}

impl Agent {
    /// An agent that nobody has started yet.
    pub fn new(
        id: AgentId,
        tenant_id: TenantId,
        name: String,
        spec: Spec,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            tenant_id,
            name,
            spec,
            state: AgentState::Offline,
            state_reason: String::new(),
            epoch: 0,
            version: 1,
            registered_by: String::new(),
            create_time: now,
            update_time: now,
            register_time: now,
            transition_time: now,
        }
    }

    /// Moves along one edge of the status machine.
    ///
    /// # Errors
    /// When there is no such edge; nothing has changed.
    pub fn transition(
        &mut self,
        to: AgentState,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<Transition, Forbidden> {
        let from = self.state;
        if !from.may_become(to) {
            return Err(Forbidden { from, to });
        }
        self.state = to;
        reason.clone_into(&mut self.state_reason);
        self.transition_time = now;
        self.touch(now);
        Ok(Transition {
            from,
            to,
            reason: reason.to_owned(),
        })
    }

    /// Takes note of a new process: the next epoch, what it said, and whose credential it used.
    /// The walk to STARTING is `AgentState::restart`, edge by edge.
    pub fn register(&mut self, spec: Spec, registered_by: String, now: DateTime<Utc>) {
        self.spec = spec;
        self.epoch += 1;
        self.registered_by = registered_by;
        self.register_time = now;
        self.touch(now);
    }

    /// Records that something changed.
    pub fn touch(&mut self, now: DateTime<Utc>) {
        self.version += 1;
        self.update_time = now;
    }

    /// What clients present to say which version they read.
    pub fn etag(&self) -> String {
        self.version.to_string()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn agent(state: AgentState) -> Agent {
        let spec = Spec {
            kind: "code".into(),
            model_id: String::new(),
            capabilities: Vec::new(),
            max_concurrent_tasks: 1,
            labels: BTreeMap::new(),
            metadata: serde_json::json!({}),
        };
        let now = DateTime::UNIX_EPOCH;
        Agent {
            state,
            ..Agent::new(AgentId::new(), TenantId::new(), "a".into(), spec, now)
        }
    }

    #[test]
    fn a_forbidden_transition_changes_nothing() {
        for from in AgentState::ALL {
            for to in AgentState::ALL {
                let mut subject = agent(from);
                let before = subject.clone();
                match subject.transition(to, "why", DateTime::UNIX_EPOCH) {
                    Ok(made) => {
                        assert!(from.may_become(to), "{from} -> {to}");
                        assert_eq!((made.from, made.to), (from, to));
                        assert_eq!((subject.state, subject.version), (to, before.version + 1));
                    }
                    Err(refused) => {
                        assert!(!from.may_become(to), "{from} -> {to}");
                        assert_eq!((refused.from, refused.to), (from, to));
                        assert_eq!(subject, before);
                    }
                }
            }
        }
    }
}
