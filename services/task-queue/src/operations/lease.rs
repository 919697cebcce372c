//! LeaseTasks, and the pull that it shares with the work stream.

use std::sync::Arc;
use std::time::Duration;

use reeve_events::Actor;
use reeve_ids::{AgentId, TaskId, TenantId};
use reeve_redis::Popped;
use reeve_runtime::CallContext;
use reeve_status::Fault;
use tokio::time::{Instant, sleep};

use crate::clients::AgentInfo;
use crate::dispatch::LaneKey;
use crate::lanes::{Grant, GrantItem, Granted};
use crate::{Error, Queue, storage};

/// The most tasks that one pull takes.
const MOST: usize = reeve_redis::POP_LIMIT;
/// Kept back from a caller's deadline for a last look and the answer.
const ANSWER: Duration = Duration::from_millis(500);

/// Who asks for work, and how.
#[derive(Debug, Clone)]
pub struct LeaseAsk {
    /// The agent's tenant.
    pub tenant_id: TenantId,
    /// The agent.
    pub agent_id: AgentId,
    /// The caller.
    pub actor: Actor,
    /// Queues to take from.
    pub queues: Vec<String>,
    /// How long leases last.
    pub lease_ms: i64,
    /// Whether tasks are IN_PROGRESS at once.
    pub start: bool,
}

impl LeaseAsk {
    /// The lanes that an agent with these capabilities takes from.
    pub fn lanes(&self, agent: &AgentInfo) -> Vec<LaneKey> {
        let queues = self.queues.iter();
        queues
            .flat_map(|queue| {
                let key = |capability| LaneKey::new(self.tenant_id, queue, capability);
                agent
                    .capabilities
                    .iter()
                    .map(move |capability| key(capability))
            })
            .collect()
    }
}

/// Leases up to `most` tasks, waiting up to `patience` for a first one.
///
/// # Errors
/// NOT_FOUND and FAILED_PRECONDITION for the agent, UNAVAILABLE.
pub async fn lease(
    queue: &Queue,
    ask: &LeaseAsk,
    most: usize,
    patience: Duration,
) -> Result<Vec<Grant>, Fault> {
    let agents = &queue.shared.agents;
    let mut agent = agents.active(ask.tenant_id, ask.agent_id).await?;
    if patience.is_zero() {
        return pull(queue, ask, &agent, most).await;
    }
    let deadline = Instant::now() + patience.min(time_to_answer());
    let mut waiter = queue.shared.dispatch.wait(&ask.lanes(&agent));
    loop {
        waiter.arm();
        let grants = pull(queue, ask, &agent, most).await?;
        if !grants.is_empty() {
            waiter.disarm();
            hand_on(queue, &grants, most);
            return Ok(grants);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || queue.shared.drain.is_cancelled() {
            return Ok(grants);
        }
        tokio::select! {
            () = waiter.woken() => {}
            () = sleep(left.min(queue.shared.config.poll_period)) => {}
            () = queue.shared.drain.cancelled() => {}
        }
        let now = agents.active(ask.tenant_id, ask.agent_id).await?;
        if now != agent {
            agent = now;
            waiter = queue.shared.dispatch.wait(&ask.lanes(&agent));
        }
    }
}

/// How long the call may wait and still answer before its deadline.
fn time_to_answer() -> Duration {
    let left = CallContext::current().and_then(|call| call.remaining());
    left.map_or(Duration::from_secs(3_600), |left| {
        left.saturating_sub(ANSWER)
    })
}

/// Who got all that it asked for may have left something for the next.
pub fn hand_on(queue: &Queue, grants: &[Grant], most: usize) {
    if grants.len() < most {
        return;
    }
    if let Some(Grant { task, .. }) = grants.last() {
        let lane = LaneKey::new(task.tenant_id, &task.spec.queue, &task.spec.capability);
        queue.shared.dispatch.ring(&lane, 1);
    }
}

/// Leases what is ready now, at most `most` tasks.
///
/// # Errors
/// UNAVAILABLE when PostgreSQL is away; Redis may be.
pub async fn pull(
    queue: &Queue,
    ask: &LeaseAsk,
    agent: &Arc<AgentInfo>,
    most: usize,
) -> Result<Vec<Grant>, Fault> {
    let mut lanes = ask.lanes(agent);
    if lanes.is_empty() {
        return Ok(Vec::new());
    }
    // A pop empties the first lane first; turning them gives every lane its turn.
    let turn = rand::random_range(0..lanes.len());
    lanes.rotate_left(turn);
    let most = most.min(MOST);
    let mut unsuited = Vec::new();
    let pulled = loop {
        let popped = match queue.shared.dispatch.pop(&lanes, most).await {
            Ok(popped) => popped,
            Err(error) => {
                tracing::debug!(%error, "picking from the table");
                break pick(queue, ask, agent, most).await;
            }
        };
        if popped.is_empty() {
            break Ok(Vec::new());
        }
        match claim(queue, ask, popped, &mut unsuited).await {
            // All of it was stale or not for this agent: there may be more behind.
            Ok(grants) if grants.is_empty() => {}
            other => break other,
        }
    };
    if !unsuited.is_empty() {
        queue.shared.dispatch.settle(Vec::new(), unsuited);
    }
    pulled
}

/// Claims what was popped. Popped tasks that are not to be had are forgotten; those that are for
/// other agents are put aside.
async fn claim(
    queue: &Queue,
    ask: &LeaseAsk,
    popped: Vec<Popped>,
    unsuited: &mut Vec<Popped>,
) -> Result<Vec<Grant>, Fault> {
    let ids = popped
        .iter()
        .filter_map(|one| one.id.parse().ok())
        .collect();
    let granted = match queue.lanes.grant.submit(ask.item(ids)).await {
        Ok(granted) => granted,
        Err(fault) => {
            queue.shared.dispatch.settle(Vec::new(), popped);
            return Err(fault);
        }
    };
    let Granted {
        grants,
        unsuited: others,
    } = granted;
    let (aside, done): (Vec<_>, Vec<_>) = popped
        .into_iter()
        .partition(|one| one.id.parse().is_ok_and(|id| others.contains(&id)));
    unsuited.extend(aside);
    queue.shared.dispatch.settle(done, Vec::new());
    Ok(grants)
}

/// Takes the first ready tasks from the table, one agent at a time: each look reads every task that
/// is not over.
async fn pick(
    queue: &Queue,
    ask: &LeaseAsk,
    agent: &AgentInfo,
    most: usize,
) -> Result<Vec<Grant>, Fault> {
    let _turn = queue.picking.lock().await;
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let now = queue.shared.clock.now();
    let who = (ask.tenant_id, ask.agent_id);
    let what = (ask.queues.as_slice(), agent.capabilities.as_slice());
    let pool = queue.shared.database.internal_pool();
    let ids = storage::pick(pool, who, what, now, limit)
        .await
        .map_err(|e: Error| Fault::from(e))?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Ok(queue.lanes.grant.submit(ask.item(ids)).await?.grants)
}

impl LeaseAsk {
    fn item(&self, task_ids: Vec<TaskId>) -> GrantItem {
        GrantItem {
            tenant_id: self.tenant_id,
            agent_id: self.agent_id,
            actor: self.actor.clone(),
            lease_ms: self.lease_ms,
            start: self.start,
            task_ids,
        }
    }
}
