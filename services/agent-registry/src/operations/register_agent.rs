//! RegisterAgent: a process of an agent has started.

use reeve_auth::Caller;
use reeve_events::{Actor, NewEvent};
use reeve_ids::AgentId;
use sqlx::PgConnection;

use super::{Context, View, events, read_back, repeat};
use crate::domain::agent::{Agent, Spec};
use crate::domain::state::AgentState;
use crate::error::Error;
use crate::storage::{agents, requests};

/// What a process says when it starts.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The agent's name.
    pub name: String,
    /// What it says about itself.
    pub spec: Spec,
    /// How a repetition is recognised.
    pub request: Option<requests::RequestKey>,
}

/// A registered process.
#[derive(Debug)]
pub struct Registered {
    /// The agent.
    pub view: View,
    /// The epoch of this process.
    pub epoch: i64,
}

/// Registers a process: finds or makes its agent, begins an epoch and walks the agent to STARTING.
pub async fn register(
    context: &Context,
    caller: &Caller,
    registration: Registration,
) -> Result<Registered, Error> {
    let (tenant, now) = (caller.tenant(), context.now());
    let actor = Actor::from(caller);
    let mut tx = context.database.tenant(tenant).await?;
    let request = registration.request.as_ref();
    if let Some(earlier) = repeat::earlier(&mut tx, tenant, request, now).await? {
        let id = AgentId::from_uuid(earlier.resource_id);
        let (agent, status) = read_back(&mut tx, tenant, id).await?;
        return Ok(Registered {
            view: context.view(agent, status),
            epoch: earlier.epoch,
        });
    }
    let fresh = Agent::new(
        AgentId::new(),
        tenant,
        registration.name.clone(),
        registration.spec.clone(),
        now,
    );
    let is_new = agents::insert_if_new(&mut tx, &fresh).await?;
    let found = agents::lock_by_name(&mut tx, tenant, &registration.name).await?;
    // Deleted between the two statements.
    let mut agent = found.ok_or(Error::Collided)?;

    let mut written = restart(&mut tx, &mut agent, &actor, now).await?;
    let subject = caller.principal.subject.clone();
    agent.register(registration.spec, subject, now);
    agents::save(&mut tx, &agent).await?;
    written.push(events::registered(&agent, &actor, now, is_new));
    if let Some(request) = request {
        requests::complete(&mut tx, tenant, request, agent.id.uuid(), agent.epoch).await?;
    }
    let (agent, status) = read_back(&mut tx, tenant, agent.id).await?;
    context.commit(tx, written).await?;

    context.registered(&agent, status.clone());
    Ok(Registered {
        epoch: agent.epoch,
        view: context.view(agent, status),
    })
}

/// Walks the agent to STARTING, edge by edge, so that the database and the readers of events see
/// legal transitions alone.
async fn restart(
    connection: &mut PgConnection,
    agent: &mut Agent,
    actor: &Actor,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<Vec<NewEvent>, Error> {
    let mut written = Vec::new();
    for &next in agent.state.restart() {
        let reason = match next {
            AgentState::Starting => "registered",
            _ => "a new process registered",
        };
        let made = agent
            .transition(next, reason, now)
            .map_err(|refused| Error::Forbidden {
                agent: agent.id,
                from: refused.from,
                to: refused.to,
            })?;
        agents::save(connection, agent).await?;
        written.push(events::transitioned(agent, actor, now, &made));
    }
    Ok(written)
}
