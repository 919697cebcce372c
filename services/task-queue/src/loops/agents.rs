//! What agent-registry tells: agents that were lost give their leases back at once.

use chrono::{DateTime, Utc};
use reeve_events::{Actor, Event, Handler};
use reeve_ids::{AgentId, TenantId};
use serde_json::Value as Json;

use crate::core::Shared;
use crate::lanes::{End, Ender};
use crate::storage::delegations;
use crate::{NAME, Queue, storage};

/// States in which an agent cannot finish what it holds.
const GONE: [&str; 4] = ["ERROR", "OFFLINE", "STOPPING", "INACTIVE"];

/// Applies the events of agents.
pub struct AgentEvents {
    queue: Queue,
}

impl AgentEvents {
    /// Over the service.
    pub fn new(queue: Queue) -> Self {
        Self { queue }
    }

    async fn changed(&self, event: &Event) -> Result<(), crate::Error> {
        let (Ok(tenant), Ok(agent)) = (event.tenant_id.parse(), event.resource_id.parse()) else {
            return Ok(());
        };
        let shared = &self.queue.shared;
        shared.agents.forget(tenant, agent).await;
        // Wherever it waits for work, it may take other work now.
        shared.wakeups.publish(&Shared::change_topic(tenant, agent));
        let when = event
            .occur_time
            .as_ref()
            .and_then(reeve_wellknown::datetime);
        if let Some(when) = when.filter(|_| is_gone(event)) {
            self.give_back(tenant, agent, when).await?;
        } else if is_idled(event) {
            self.withdraw(tenant, agent).await?;
        }
        // Its streams see whether it may still be given work.
        let topic = Shared::agent_topic(tenant, agent);
        self.queue.shared.wakeups.publish(&topic);
        Ok(())
    }

    /// Takes back what was handed to an agent that gets nothing any more and has not fetched it.
    async fn withdraw(&self, tenant: TenantId, agent: AgentId) -> Result<(), crate::Error> {
        let pool = self.queue.shared.database.internal_pool();
        let offered = delegations::offered_to(pool, tenant, agent).await?;
        let end = |token| End {
            tenant_id: tenant,
            token,
            ender: Ender::Withdraw,
            actor: Actor::service(NAME),
        };
        let ends = offered.into_iter().map(end).collect();
        for answer in self.queue.lanes.settle.submit_all(ends).await? {
            if let Err(fault) = answer {
                tracing::warn!(%fault, "an offer lapses by itself");
            }
        }
        Ok(())
    }

    async fn give_back(
        &self,
        tenant: TenantId,
        agent: AgentId,
        lost: DateTime<Utc>,
    ) -> Result<(), crate::Error> {
        let pool = self.queue.shared.database.internal_pool();
        let held = storage::held_by(pool, tenant, agent).await?;
        let ends: Vec<_> = held
            .into_iter()
            .map(|token| End {
                tenant_id: tenant,
                token,
                ender: Ender::LoseAgent(lost),
                actor: Actor::service(NAME),
            })
            .collect();
        if !ends.is_empty() {
            tracing::info!(%agent, leases = ends.len(), "an agent was lost; its leases of before return");
        }
        for answer in self.queue.lanes.settle.submit_all(ends).await? {
            if let Err(fault) = answer {
                tracing::warn!(%fault, "a lost agent's lease lapses by itself");
            }
        }
        Ok(())
    }
}

fn is_gone(event: &Event) -> bool {
    event.r#type == "agent.heartbeat_lost" || turned_to(event, |state| GONE.contains(&state))
}

/// Whether it finishes what it holds and gets nothing new.
fn is_idled(event: &Event) -> bool {
    turned_to(event, |state| state != "ACTIVE")
}

fn turned_to(event: &Event, wanted: impl Fn(&str) -> bool) -> bool {
    let data = event.data.clone().map(reeve_wellknown::json_from_struct);
    let to = data
        .as_ref()
        .and_then(|data| data.get("to"))
        .and_then(Json::as_str);
    event.r#type == "agent.transitioned" && to.is_some_and(wanted)
}

#[tonic::async_trait]
impl Handler for AgentEvents {
    /// Giving leases back is checked under each row's lock, so a repetition changes nothing. Nor does
    /// an event that comes late, or that another replica has applied: an agent that works again
    /// holds leases that are newer than the event.
    async fn prepare(&self, events: &[Event]) -> Result<(), reeve_events::Error> {
        for event in events.iter().filter(|event| event.resource_type == "agent") {
            self.changed(event)
                .await
                .map_err(|error| reeve_events::Error::Handler(Box::new(error)))?;
        }
        Ok(())
    }
}
