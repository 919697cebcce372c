//! DeleteAgent: an agent that is OFFLINE leaves for good.

use reeve_auth::Caller;
use reeve_events::Actor;
use reeve_ids::AgentId;

use super::{Context, check_etag, events};
use crate::domain::state::AgentState;
use crate::error::Error;
use crate::storage::agents;

/// Deletes an agent.
pub async fn delete(
    context: &Context,
    caller: &Caller,
    id: AgentId,
    etag: &str,
) -> Result<(), Error> {
    let tenant = caller.tenant();
    let mut tx = context.database.tenant(tenant).await?;
    let agent = agents::lock(&mut tx, tenant, id)
        .await?
        .ok_or_else(|| Error::no_agent(id))?;
    check_etag(&agent, etag)?;
    if agent.state != AgentState::Offline {
        return Err(Error::NotOffline {
            agent: id,
            state: agent.state,
        });
    }
    agents::delete(&mut tx, tenant, id).await?;
    let event = events::deleted(&agent, &Actor::from(caller), context.now());
    context.commit(tx, vec![event]).await?;
    context.fleet.forget(id);
    Ok(())
}
