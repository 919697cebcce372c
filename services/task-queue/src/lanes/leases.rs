//! Leases on their way to their agent.

use reeve_events::Actor;
use reeve_ids::TenantId;
use serde_json::Value as Json;

use super::{End, Ender, Lane, SettleFlush};
use crate::domain::{Gate, LeaseToken, Task};

/// One lease.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The task as it is now.
    pub task: Task,
    /// The lease.
    pub token: LeaseToken,
    /// What an earlier attempt left.
    pub checkpoint: Option<Json>,
    /// What people answered, oldest first.
    pub answers: Vec<Gate>,
}

/// Leases that their agent has not heard of. Those that are still in here when it is dropped go back
/// to their queue at once: the agent could not name them, and they would have to lapse.
#[derive(Debug, Default)]
pub struct Leases {
    grants: Vec<Grant>,
    untold: Vec<(TenantId, LeaseToken)>,
    back: Option<(Lane<SettleFlush>, Actor)>,
}

impl Leases {
    /// Leases that were just granted to `actor`.
    pub fn new(grants: Vec<Grant>, settle: &Lane<SettleFlush>, actor: &Actor) -> Self {
        let untold = grants
            .iter()
            .map(|grant| (grant.task.tenant_id, grant.token))
            .collect();
        Self {
            grants,
            untold,
            back: Some((settle.clone(), actor.clone())),
        }
    }

    /// Leases of which nothing is left but their tokens.
    pub fn of_tokens(
        untold: Vec<(TenantId, LeaseToken)>,
        settle: &Lane<SettleFlush>,
        actor: &Actor,
    ) -> Self {
        Self {
            grants: Vec::new(),
            untold,
            back: Some((settle.clone(), actor.clone())),
        }
    }

    /// Adds leases of the same agent that were granted after these.
    pub fn join(&mut self, mut other: Self) {
        self.grants.append(&mut other.grants);
        self.untold.append(&mut other.untold);
        self.back = self.back.take().or(other.back.take());
    }

    /// How many the agent has not heard of.
    pub fn len(&self) -> usize {
        self.untold.len()
    }

    /// Whether the agent has heard of all.
    pub fn is_empty(&self) -> bool {
        self.untold.is_empty()
    }

    /// The leases, while they have not been taken out.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Takes the leases out, to be told in their order.
    pub fn open(&mut self) -> Vec<Grant> {
        std::mem::take(&mut self.grants)
    }

    /// Notes that the agent hears of the next `count`.
    pub fn told(&mut self, count: usize) {
        self.untold.drain(..count.min(self.untold.len()));
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        let untold = std::mem::take(&mut self.untold);
        let Some((settle, actor)) = self.back.take().filter(|_| !untold.is_empty()) else {
            return;
        };
        let ends = untold.into_iter().map(|(tenant_id, token)| End {
            tenant_id,
            token,
            ender: Ender::Return,
            actor: actor.clone(),
        });
        let ends: Vec<_> = ends.collect();
        reeve_runtime::spawn("give back", async move {
            tracing::debug!(leases = ends.len(), "an agent did not hear of its leases");
            if let Err(fault) = settle.submit_all(ends).await {
                tracing::debug!(%fault, "the leases lapse by themselves");
            }
        });
    }
}
