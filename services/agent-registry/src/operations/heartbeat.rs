//! Heartbeat: the hot path. It touches memory alone, except for an agent's first heartbeat in this
//! process and for the rare one that changes a state.

use chrono::{DateTime, Utc};
use reeve_auth::Caller;
use reeve_events::Actor;
use reeve_ids::AgentId;

use super::{Context, events};
use crate::domain::heartbeat::{self, Action, Known, Refusal};
use crate::domain::state::AgentState;
use crate::domain::workload::{HealthCheck, Workload};
use crate::error::Error;
use crate::fleet::{Beat, Standing};
use crate::storage::{self, agents};

/// Times that a heartbeat is judged anew when the agent changed meanwhile.
const TRIES: usize = 3;

/// A heartbeat as it arrived.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    /// The agent.
    pub agent_id: AgentId,
    /// The process.
    pub epoch: i64,
    /// When it arrived.
    pub time: DateTime<Utc>,
    /// Whether the process is ready for work.
    pub ready: bool,
    /// The load, if reported.
    pub workload: Option<Workload>,
    /// The checks, if reported.
    pub health_checks: Vec<HealthCheck>,
}

/// What an accepted heartbeat is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The agent's state after it.
    pub state: AgentState,
    /// What the agent should do.
    pub actions: Vec<Action>,
}

/// Takes a heartbeat in.
pub async fn beat(
    context: &Context,
    caller: &Caller,
    heartbeat: Heartbeat,
) -> Result<Reply, Error> {
    let (id, tenant) = (heartbeat.agent_id, caller.tenant());
    let mut refusal = None;
    for _ in 0..TRIES {
        // After a refusal the database alone is believed: another replica may have registered the
        // process, or changed the state.
        let known = context.fleet.standing(id).filter(|_| refusal.is_none());
        let is_fresh = known.is_none();
        let Standing { tenant_id, known } = match known {
            Some(standing) => standing,
            None => read(context, id).await?,
        };
        if tenant_id != tenant {
            return Err(Error::no_agent(id));
        }
        let workload = heartbeat.workload.as_ref();
        match heartbeat::receive(known, heartbeat.epoch, heartbeat.ready, workload) {
            Ok(None) => return Ok(accept(context, heartbeat, known.state)),
            Ok(Some(next)) => match move_on(context, caller, id, known, next).await? {
                Moved::There => return Ok(accept(context, heartbeat, next)),
                Moved::Later => return Ok(accept(context, heartbeat, known.state)),
                Moved::Elsewhere => {
                    refusal = Some(Error::NotRunning {
                        agent: id,
                        state: known.state,
                    });
                }
            },
            Err(refused) => {
                let certain = is_fresh || is_past(refused, heartbeat.epoch);
                let error = error(id, refused);
                if certain {
                    return Err(error);
                }
                refusal = Some(error);
            }
        }
    }
    Err(refusal.unwrap_or_else(|| Error::no_agent(id)))
}

/// Epochs only grow, so a process that is behind what is known needs no further look.
fn is_past(refusal: Refusal, epoch: i64) -> bool {
    matches!(refusal, Refusal::StaleEpoch { current } if epoch < current)
}

fn accept(context: &Context, heartbeat: Heartbeat, state: AgentState) -> Reply {
    let has_workload = context.fleet.record(Beat {
        agent_id: heartbeat.agent_id,
        epoch: heartbeat.epoch,
        time: heartbeat.time,
        workload: heartbeat.workload,
        health_checks: heartbeat.health_checks,
    });
    context.counters.heartbeats.inc();
    Reply {
        state,
        actions: heartbeat::actions(state, has_workload),
    }
}

fn error(agent: AgentId, refusal: Refusal) -> Error {
    match refusal {
        Refusal::StaleEpoch { current } => Error::StaleEpoch { agent, current },
        Refusal::NotRunning { state } => Error::NotRunning { agent, state },
    }
}

async fn read(context: &Context, id: AgentId) -> Result<Standing, Error> {
    let found = agents::members(context.database.internal_pool(), &[id]).await?;
    let Some(member) = found.into_iter().next() else {
        context.fleet.unseat(id);
        return Err(Error::no_agent(id));
    };
    let (tenant_id, epoch, state) = (member.tenant_id, member.epoch, member.state);
    context.fleet.install(member);
    let known = Known {
        epoch,
        state,
        told_to_drain: false,
    };
    Ok(context
        .fleet
        .standing(id)
        .unwrap_or(Standing { tenant_id, known }))
}

/// What became of the change of state that a heartbeat causes.
enum Moved {
    /// It is made.
    There,
    /// Somebody else is changing the agent: a later heartbeat makes it.
    Later,
    /// The agent is no longer what the heartbeat was judged by.
    Elsewhere,
}

/// Makes the change of state that a heartbeat causes. It does not wait long for others: what renews
/// leases must not stand in a queue.
async fn move_on(
    context: &Context,
    caller: &Caller,
    id: AgentId,
    known: Known,
    next: AgentState,
) -> Result<Moved, Error> {
    let (tenant, now) = (caller.tenant(), context.now());
    let mut tx = context.database.tenant(tenant).await?;
    let locked = match agents::lock_soon(&mut tx, tenant, id).await {
        Err(storage::Error::Database(reeve_postgres::Error::Timeout(_))) => {
            return Ok(Moved::Later);
        }
        answer => answer?,
    };
    let mut agent = locked.ok_or_else(|| Error::no_agent(id))?;
    if (agent.epoch, agent.state) != (known.epoch, known.state) {
        context.committed(&agent);
        // Of two heartbeats at once, the other one has done it.
        return Ok(if (agent.epoch, agent.state) == (known.epoch, next) {
            Moved::There
        } else {
            Moved::Elsewhere
        });
    }
    let reason = match next {
        AgentState::Active => "first heartbeat",
        _ => "no work left",
    };
    let made = agent
        .transition(next, reason, now)
        .map_err(|refused| Error::Forbidden {
            agent: id,
            from: refused.from,
            to: refused.to,
        })?;
    agents::save(&mut tx, &agent).await?;
    let event = events::transitioned(&agent, &Actor::from(caller), now, &made);
    context.commit(tx, vec![event]).await?;
    context.committed(&agent);
    Ok(Moved::There)
}
