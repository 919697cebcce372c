//! Which agents something may be offered to. The truth is in `task_delegation`; this is a hint, so
//! that a pull asks the database only when there may be something. An agent is noted when a
//! delegation is made or its topic wakes here, and by a loop for what was made elsewhere.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use reeve_ids::{AgentId, TenantId};

/// Agents that something may be offered to.
#[derive(Debug, Default)]
pub struct Offers {
    noted: Mutex<HashSet<(TenantId, AgentId)>>,
}

impl Offers {
    /// Something may be offered to an agent.
    pub fn note(&self, tenant: TenantId, agent: AgentId) {
        self.lock().insert((tenant, agent));
    }

    /// Whether something may be offered to an agent. Who asks looks then: it is not noted any more.
    pub fn look(&self, tenant: TenantId, agent: AgentId) -> bool {
        self.lock().remove(&(tenant, agent))
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<(TenantId, AgentId)>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
