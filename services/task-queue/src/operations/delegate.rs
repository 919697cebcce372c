//! DelegateTask and ReassignTask: a task that an agent holds goes to another.

use std::sync::Arc;

use reeve_auth::{Caller, PrincipalKind};
use reeve_events::Actor;
use reeve_ids::{AgentId, DelegationId, TaskId, TenantId};
use reeve_status::Fault;
use serde_json::Value as Json;
use sqlx::PgConnection;

use super::{create, events, settling};
use crate::config::span;
use crate::core::Shared;
use crate::dispatch::charge;
use crate::domain::{
    AgentInfo, Candidate, Cause, Delegation, DelegationType, Demands, Effect, Hands, LeaseToken,
    Refusal, State, Usage,
};
use crate::storage::delegations::{self, NewDelegation};
use crate::storage::{self, LockedRow};
use crate::{Error, Queue};

/// How often a transaction is tried again that collided.
const TRIES: u32 = 5;

/// Who hands the task on.
#[derive(Debug)]
pub enum By {
    /// Whoever holds this lease.
    Holder(LeaseToken),
    /// An operator.
    Operator {
        /// The task.
        task_id: TaskId,
        /// The version that it must have.
        etag: Option<i32>,
        /// The client's request id with the digest of the body.
        request: Option<(String, Vec<u8>)>,
    },
}

/// What is asked for.
#[derive(Debug)]
pub struct DelegationAsk {
    /// Who hands the task on.
    pub by: By,
    /// How the agent is found.
    pub kind: DelegationType,
    /// The agent, if it is named.
    pub to: Option<AgentId>,
    /// Why.
    pub reason: String,
    /// Free-form facts.
    pub metadata: Option<Json>,
    /// What the other agent needs to go on; nothing: what was reported.
    pub checkpoint: Option<Json>,
    /// What the attempt consumed; nothing: what progress said.
    pub usage: Option<Vec<Usage>>,
}

/// What the task asks of its agent.
struct Need {
    capability: String,
    demand: String,
}

impl Need {
    fn check(&self, agent: &AgentInfo, demands: &Demands) -> Result<(), Refusal> {
        if agent.offer.capability(&self.capability).is_none() {
            return Err(Refusal::CapabilityMissing);
        }
        let met = demands.met_by(agent, &self.capability);
        match met.contains(&self.demand) {
            true => Ok(()),
            false => Err(Refusal::RequirementUnmet),
        }
    }
}

/// Who could have the task, as agent-registry says; asked before anything is locked.
enum Found {
    Named(AgentId),
    Candidates(Vec<Candidate>),
}

/// Hands a task to another agent.
///
/// # Errors
/// NOT_FOUND, FAILED_PRECONDITION for whatever stands in the way, ABORTED, UNAVAILABLE.
pub async fn delegate(
    queue: &Queue,
    caller: &Caller,
    ask: &DelegationAsk,
) -> Result<Delegation, Fault> {
    let tenant = caller.tenant();
    let (need, before) = look(&queue.shared, tenant, ask).await?;
    if let Some(before) = before {
        return Ok(before);
    }
    let found = find(queue, tenant, ask, &need).await?;
    let mut tries = 0;
    loop {
        tries += 1;
        match attempt(&queue.shared, caller, ask, &found).await {
            Err(error) if error.is_conflict() && tries < TRIES => {}
            other => return Ok(other?),
        }
    }
}

impl By {
    /// The lease of the holder who hands the task on.
    pub fn lease(&self) -> Option<LeaseToken> {
        match self {
            Self::Holder(token) => Some(*token),
            Self::Operator { .. } => None,
        }
    }

    /// Whoever takes a task from its holder decides that it may run twice: the holder may still be at
    /// it. With what must not, a person decides that, as at a gate.
    fn check_effect(&self, row: &LockedRow, caller: &Caller) -> Result<(), Refusal> {
        let taken = matches!(self, Self::Operator { .. });
        let begun = row.state == State::InProgress.number();
        let effectful = row.facts.details.effect() == Effect::Effectful;
        let person = caller.principal.kind == PrincipalKind::User;
        match taken && begun && effectful && !person {
            true => Err(Refusal::Effectful),
            false => Ok(()),
        }
    }

    fn task_id(&self) -> TaskId {
        match self {
            Self::Holder(token) => token.task_id,
            Self::Operator { task_id, .. } => *task_id,
        }
    }

    /// What to say when there is no such task.
    fn absent(&self) -> Error {
        match self {
            Self::Holder(token) => Error::LeaseLost(token.task_id),
            Self::Operator { task_id, .. } => Error::NoTask(*task_id),
        }
    }
}

/// What the task needs; or what the same call had done before.
async fn look(
    shared: &Shared,
    tenant: TenantId,
    ask: &DelegationAsk,
) -> Result<(Need, Option<Delegation>), Error> {
    let mut tx = shared.database.tenant(tenant).await?;
    let before = repeat(&mut tx, tenant, &ask.by).await?;
    let tasks = storage::get(&mut tx, tenant, &[ask.by.task_id()], false).await?;
    tx.commit().await?;
    let task = tasks.into_iter().next().ok_or_else(|| ask.by.absent())?;
    let need = Need {
        demand: task.spec.placement.demand(&task.spec.capability),
        capability: task.spec.capability,
    };
    Ok((need, before))
}

/// The delegation that the same call made before.
async fn repeat(
    connection: &mut PgConnection,
    tenant: TenantId,
    by: &By,
) -> Result<Option<Delegation>, Error> {
    match by {
        By::Holder(token) => delegations::by_lease(connection, tenant, *token).await,
        By::Operator { request: None, .. } => Ok(None),
        By::Operator {
            request: Some((request_id, digest)),
            ..
        } => match delegations::by_request(connection, tenant, request_id).await? {
            Some((_, other)) if other != *digest => Err(Error::RequestIdReused {
                request_id: request_id.clone(),
            }),
            before => Ok(before.map(|(delegation, _)| delegation)),
        },
    }
}

async fn find(
    queue: &Queue,
    tenant: TenantId,
    ask: &DelegationAsk,
    need: &Need,
) -> Result<Found, Fault> {
    let agents = &queue.shared.agents;
    let demands = queue.shared.demands.of(tenant).await?;
    let Some(to) = ask.to else {
        let fleet = agents.fleet_now(tenant).await?;
        let offering = fleet.offering(&need.capability);
        let able = offering.filter(|agent| agent.active && need.check(agent, &demands).is_ok());
        let candidate = |agent: &Arc<AgentInfo>| Candidate {
            id: agent.id,
            free: agent.load.free(),
        };
        return Ok(Found::Candidates(able.map(candidate).collect()));
    };
    let agent = agents.active(tenant, to).await?;
    let task_id = ask.by.task_id();
    let refused = |refusal| Error::NotDelegated { task_id, refusal };
    need.check(&agent, &demands).map_err(refused)?;
    Ok(Found::Named(to))
}

/// Everything in one transaction: the end of the delivery, the offer, the link of the chain, the
/// event. After a crash before its commit the holder still holds; after it the offer stands, and
/// lapses if its agent hears of it too late.
async fn attempt(
    shared: &Shared,
    caller: &Caller,
    ask: &DelegationAsk,
    found: &Found,
) -> Result<Delegation, Error> {
    let (tenant, task_id) = (caller.tenant(), ask.by.task_id());
    let mut tx = shared.database.tenant(tenant).await?;
    let rows = storage::lock(&mut tx, &[(tenant, task_id)]).await?;
    // Asked anew: the same call may have been at work until the lock was free.
    if let Some(before) = repeat(&mut tx, tenant, &ask.by).await? {
        return Ok(before);
    }
    let Some(row) = rows.into_iter().next() else {
        return Err(over(&mut tx, tenant, &ask.by).await?);
    };
    let from = check_holder(&row, &ask.by)?;
    let refused = |refusal| Error::NotDelegated { task_id, refusal };
    if row.cancel_requested {
        return Err(refused(Refusal::CancelRequested));
    }
    ask.by.check_effect(&row, caller).map_err(refused)?;
    if storage::is_braked(&mut tx, &row).await? {
        return Err(refused(Refusal::Braked));
    }
    let chain = delegations::chain(&mut tx, &row).await?;
    let to = choose(&row, from, &chain, ask.kind, found).map_err(refused)?;
    let (made, event) = write(&mut tx, shared, caller, ask, &row, (from, to)).await?;
    shared.append(&mut tx, vec![event]).await?;
    tx.commit().await?;
    shared.wake.notify();
    let work = charge(&row.place, row.assign_time, made.time);
    shared.dispatch.charge(work.into_iter().collect());
    // Who waits under the lease that is void has lost it.
    shared.ends.ring([task_id]);
    shared.offers.note(tenant, to);
    shared.wakeups.publish(&Shared::agent_topic(tenant, to));
    shared.wakeups.publish(&Shared::agent_topic(tenant, from));
    Ok(made)
}

/// Why a task that has no run cannot be handed on.
async fn over(connection: &mut PgConnection, tenant: TenantId, by: &By) -> Result<Error, Error> {
    if let By::Holder(token) = by {
        return Ok(Error::LeaseLost(token.task_id));
    }
    let task_id = by.task_id();
    let found = storage::get(connection, tenant, &[task_id], false).await?;
    Ok(found
        .first()
        .map_or(Error::NoTask(task_id), |task| Error::Forbidden {
            task_id,
            from: task.state,
            to: State::Assigned,
        }))
}

/// Who has the task that the caller may hand on.
fn check_holder(row: &LockedRow, by: &By) -> Result<AgentId, Error> {
    let task_id = by.task_id();
    let holder = row.agent_id.map(AgentId::from_uuid);
    let holder = holder.filter(|_| row.lease_until.is_some() && !row.offered);
    match by {
        By::Holder(token) => holder
            .filter(|_| row.fence == token.fence)
            .ok_or(Error::LeaseLost(task_id)),
        By::Operator { etag, .. } => {
            if etag.is_some_and(|version| version != row.version) {
                let version = row.version;
                return Err(Error::EtagMismatch { task_id, version });
            }
            let refusal = Refusal::NotHeld;
            holder.ok_or(Error::NotDelegated { task_id, refusal })
        }
    }
}

fn choose(
    row: &LockedRow,
    holder: AgentId,
    chain: &[Delegation],
    kind: DelegationType,
    found: &Found,
) -> Result<AgentId, Refusal> {
    let agents = |ids: &[uuid::Uuid]| -> Vec<_> {
        let ids = ids.iter().copied();
        ids.map(AgentId::from_uuid).collect()
    };
    let (rejected_by, failed_at) = (agents(&row.rejected_by), agents(&row.failed_at));
    let hands = Hands {
        holder,
        rejected_by: &rejected_by,
        failed_at: &failed_at,
        chain,
    };
    hands.check_depth()?;
    match found {
        Found::Named(to) => hands.check(*to).map(|()| *to),
        Found::Candidates(candidates) => {
            let seeds = [rand::random_range(0.0..1.0), rand::random_range(0.0..1.0)];
            hands.choose(kind, candidates, seeds)
        }
    }
}

/// Writes the hand-over of a locked task.
async fn write(
    connection: &mut PgConnection,
    shared: &Shared,
    caller: &Caller,
    ask: &DelegationAsk,
    row: &LockedRow,
    (from, to): (AgentId, AgentId),
) -> Result<(Delegation, reeve_events::NewEvent), Error> {
    let now = shared.clock.now();
    settling::decide(row, Cause::Delegate, now)?;
    let reported = match &ask.usage {
        Some(usage) => Some(usage.clone()),
        None => {
            let mut reported = storage::progress_usage(connection, &[row]).await?;
            reported.remove(&row.task_id)
        }
    };
    let usage = reported.as_ref().filter(|usage| !usage.is_empty());
    if let Some(checkpoint) = &ask.checkpoint {
        delegations::put_checkpoint(connection, row, checkpoint, now).await?;
    }
    let request = match &ask.by {
        By::Holder(_) => None,
        By::Operator { request, .. } => request.as_ref(),
    };
    let new = NewDelegation {
        id: DelegationId::new(),
        row,
        from,
        to,
        kind: ask.kind,
        reason: &ask.reason,
        metadata: ask.metadata.as_ref(),
        actor: &create::creator(caller),
        by_operator: ask.by.lease().is_none(),
        request,
        time: now,
        offer_until: now + span(shared.config.hand_over),
    };
    let made = delegations::insert(connection, &new).await?;
    let made = made.ok_or_else(|| Error::Moved(ask.by.task_id()))?;
    let step = rand::random_range(1..1_i64 << 31);
    delegations::hand_over(connection, row, &made, step, usage).await?;
    let event = events::delegated(row, &made, usage, &Actor::from(caller));
    Ok((made, event))
}
