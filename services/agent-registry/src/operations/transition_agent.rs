//! TransitionAgent and DrainAgent: one edge of the status machine.

use reeve_auth::Caller;
use reeve_events::Actor;
use reeve_ids::AgentId;

use super::{Context, View, check_etag, events, read_back};
use crate::domain::agent::Agent;
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
    /// The process that asks; nothing for anybody else.
    pub epoch: Option<i64>,
}

/// Moves an agent along one edge.
pub async fn transition(context: &Context, caller: &Caller, wish: Wish) -> Result<View, Error> {
    change(context, caller, wish, &[]).await
}

/// Moves an agent to DRAINING, unless it already is, or has drained.
pub async fn drain(context: &Context, caller: &Caller, wish: Wish) -> Result<View, Error> {
    let already = [AgentState::Draining, AgentState::Inactive];
    change(context, caller, wish, &already).await
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
    check_epoch(&agent, wish.epoch)?;
    check_etag(&agent, &wish.etag)?;
    if already.contains(&agent.state) {
        let (agent, status) = read_back(&mut tx, tenant, id).await?;
        return Ok(context.view(agent, status));
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
    let (agent, status) = read_back(&mut tx, tenant, id).await?;
    context.commit(tx, vec![event]).await?;

    context.committed(&agent);
    // From a state where silence means nothing into one where it does: silence counts from now.
    if agent.state.lapse().is_some() {
        context.fleet.grant(id, agent.epoch);
    }
    Ok(context.view(agent, status))
}

/// A process that was replaced speaks for nobody: its goodbye would stop its successor.
fn check_epoch(agent: &Agent, epoch: Option<i64>) -> Result<(), Error> {
    if epoch.is_none_or(|epoch| epoch == agent.epoch) {
        return Ok(());
    }
    Err(Error::StaleEpoch {
        agent: agent.id,
        current: agent.epoch,
    })
}
