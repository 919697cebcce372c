//! TransitionAgent and DrainAgent: one edge of the status machine.

use reeve_auth::Caller;
use reeve_events::Actor;
use reeve_ids::{AgentId, TenantId};

use super::{Context, View, check_etag, events};
use crate::domain::state::AgentState;
use crate::error::Error;
use crate::storage::agents;

/// A wish to change an agent's state.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The agent.
    pub agent_id: AgentId,
    /// The state wanted.
    pub state: AgentState,
    /// Why, for people.
    pub reason: String,
    /// The etag that was read, or empty.
    pub etag: String,
}

/// Moves an agent along one edge.
pub async fn transition(context: &Context, caller: &Caller, wish: Wish) -> Result<View, Error> {
    change(context, caller, wish, &[]).await
}

/// Moves an agent to DRAINING, unless it already is, or has drained.
pub async fn drain(
    context: &Context,
    caller: &Caller,
    agent_id: AgentId,
    reason: String,
    etag: String,
) -> Result<View, Error> {
    let wish = Wish {
        agent_id,
        state: AgentState::Draining,
        reason,
        etag,
    };
    change(
        context,
        caller,
        wish,
        &[AgentState::Draining, AgentState::Inactive],
    )
    .await
}

async fn change(
    context: &Context,
    caller: &Caller,
    wish: Wish,
    already: &[AgentState],
) -> Result<View, Error> {
    let (tenant, now, id) = (caller.tenant(), context.now(), wish.agent_id);
    let mut tx = context.database.tenant(tenant).await?;
    let mut agent = agents::lock(&mut tx, tenant, id)
        .await?
        .ok_or_else(|| Error::no_agent(id))?;
    check_etag(&agent, &wish.etag)?;
    if already.contains(&agent.state) {
        drop(tx);
        return shown(context, tenant, id).await;
    }
    if (agent.state, wish.state) == (AgentState::Offline, AgentState::Starting) {
        return Err(Error::StartsByRegistering { agent: id });
    }
    let made = agent
        .transition(wish.state, &wish.reason, now)
        .map_err(|refused| Error::Forbidden {
            agent: id,
            from: refused.from,
            to: refused.to,
        })?;
    agents::save(&mut tx, &agent).await?;
    let event = events::transitioned(&agent, &Actor::from(caller), now, &made);
    context.commit(tx, vec![event]).await?;

    context.committed(&agent);
    // From a state where silence means nothing into one where it does: silence counts from now.
    if agent.state.lapse().is_some() {
        context.fleet.grant(id, agent.epoch);
    }
    shown(context, tenant, id).await
}

async fn shown(context: &Context, tenant: TenantId, id: AgentId) -> Result<View, Error> {
    super::agents::get(context, tenant, id).await
}
