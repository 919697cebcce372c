//! LeaseTasks, and the pull that it shares with the work stream.

use std::collections::HashMap;
use std::time::Duration;

use reeve_events::Actor;
use reeve_ids::{AgentId, TaskId, TenantId};
use reeve_redis::Popped;
use reeve_runtime::CallContext;
use reeve_status::Fault;
use tokio::time::{Instant, sleep};

use crate::dispatch::{LaneKey, Place, ReadyTask, Unsuited};
use crate::lanes::{Grant, GrantItem, Granted, Leases, Wanted};
use crate::storage::PassedRow;
use crate::{Error, Queue, storage};

use super::{News, Post, set_aside, take};

/// The most tasks that one pull takes.
const MOST: usize = reeve_redis::POP_LIMIT;
/// Tasks that a brake or a full limit holds which one pull may meet before it leaves their lanes to be cleared.
const PATIENCE: usize = 3;
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

/// Leases up to `most` tasks, waiting up to `patience` for a first one.
///
/// # Errors
/// NOT_FOUND and FAILED_PRECONDITION for the agent, UNAVAILABLE.
pub async fn lease(
    queue: &Queue,
    ask: &LeaseAsk,
    most: usize,
    patience: Duration,
) -> Result<Leases, Fault> {
    let agents = &queue.shared.agents;
    let agent = agents.active(ask.tenant_id, ask.agent_id).await?;
    if patience.is_zero() {
        let post = Post::of(queue, ask, agent).await;
        return pull(queue, ask, &post, most).await;
    }
    let mut news = News::of(queue, ask);
    let mut post = Post::of(queue, ask, agent).await;
    let left = CallContext::current().and_then(|call| call.remaining());
    let deadline = Instant::now() + wait_within(patience, left);
    let dispatch = &queue.shared.dispatch;
    let mut waiter = dispatch.wait(ask.agent_id, post.lanes());
    loop {
        waiter.arm(most);
        let leases = pull(queue, ask, &post, most).await?;
        waiter.looked();
        if !leases.is_empty() {
            hand_on(queue, &leases, most);
            return Ok(leases);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || queue.shared.drain.is_cancelled() {
            return Ok(leases);
        }
        tokio::select! {
            () = waiter.woken() => {}
            () = news.come() => {}
            () = sleep(left.min(queue.shared.config.poll_period)) => {}
            () = queue.shared.drain.cancelled() => {}
        }
        let now = agents.active(ask.tenant_id, ask.agent_id).await?;
        if let Some(next) = post.next(queue, ask, now).await {
            post = next;
            waiter = dispatch.wait(ask.agent_id, post.lanes());
        }
    }
}

/// How long a call may wait of which the caller waits for so long, and still answer.
pub fn wait_within(patience: Duration, left: Option<Duration>) -> Duration {
    left.map_or(patience, |left| patience.min(left.saturating_sub(ANSWER)))
}

/// Who got all that it asked for may have left something for the next.
pub fn hand_on(queue: &Queue, leases: &Leases, most: usize) {
    if leases.len() < most {
        return;
    }
    if let Some(Grant { task, .. }) = leases.grants().last() {
        let lane = LaneKey::of(task.tenant_id, &task.spec);
        queue.shared.dispatch.ring(&lane, 1, &[]);
    }
}

/// Leases what was handed to the agent, and else what is ready now, at most `most` tasks.
///
/// # Errors
/// UNAVAILABLE when PostgreSQL is away; Redis may be.
pub async fn pull(
    queue: &Queue,
    ask: &LeaseAsk,
    post: &Post,
    most: usize,
) -> Result<Leases, Fault> {
    let most = most.min(MOST);
    let offered = take::take(queue, ask, post, most).await?;
    if !offered.is_empty() {
        return Ok(offered);
    }
    let mut lanes = post.lanes().to_vec();
    if lanes.is_empty() {
        return Ok(Leases::default());
    }
    // A pop empties the first lane first; turning them gives every lane its turn.
    let turn = rand::random_range(0..lanes.len());
    lanes.rotate_left(turn);
    let (mut unsuited, mut held_up) = (Vec::new(), Vec::new());
    let pulled = loop {
        let popped = match queue.shared.dispatch.pop(&lanes, most).await {
            Ok(popped) => popped,
            Err(error) => {
                tracing::debug!(%error, "picking from the table");
                break pick(queue, ask, post, most).await;
            }
        };
        if popped.is_empty() {
            break Ok(Leases::default());
        }
        match claim(queue, ask, post, popped, &mut unsuited, &mut held_up).await {
            // All of it was stale or not for this agent: there may be more behind. Behind many that
            // are held up others look.
            Ok(leases) if leases.is_empty() => {
                if held_up.len() >= PATIENCE {
                    lanes.retain(|lane| !held_up.contains(lane));
                    set_aside(&queue.shared, ask.tenant_id, std::mem::take(&mut held_up));
                }
            }
            other => break other,
        }
    };
    queue.shared.dispatch.pass_on(unsuited);
    pulled
}

/// Claims what was popped. Popped tasks that are not to be had are forgotten, those that a brake or a
/// full limit holds among them, whose lanes are noted: they come back by themselves. Those that are
/// for other
/// agents are put aside, and those whose time has not come wait for it: the clock of the replica that
/// put them into their lane is ahead of this one's.
async fn claim(
    queue: &Queue,
    ask: &LeaseAsk,
    post: &Post,
    popped: Vec<Popped>,
    unsuited: &mut Vec<Unsuited>,
    held_up: &mut Vec<LaneKey>,
) -> Result<Leases, Fault> {
    let dispatch = &queue.shared.dispatch;
    let tasks = popped.iter().filter_map(|one| {
        let version = post.version(&LaneKey::named(&one.lane));
        Some(Wanted::new(one.id.parse().ok()?, version))
    });
    let granted = match grant(queue, ask, post, tasks.collect()).await {
        Ok(granted) => granted,
        Err(fault) => {
            dispatch.give_back(popped);
            return Err(fault);
        }
    };
    let now = queue.shared.clock.now();
    let mut passed: HashMap<String, PassedRow> = granted
        .passed
        .into_iter()
        .map(|row| (TaskId::from_uuid(row.ready.task_id).to_string(), row))
        .collect();
    let (mut done, mut later) = (Vec::with_capacity(popped.len()), Vec::new());
    for popped in popped {
        match passed.remove(&popped.id) {
            Some(row) if row.braked => {
                held_up.push(LaneKey::named(&popped.lane));
                done.push(popped);
            }
            Some(row) if row.ready_time <= now => {
                let shunned = row.rejected_by.into_iter().chain(row.failed_at);
                let shunned = shunned.map(AgentId::from_uuid).collect();
                unsuited.push(Unsuited { popped, shunned });
            }
            Some(row) => {
                later.push(ReadyTask::from_row(&row.ready, row.ready_time));
                done.push(popped);
            }
            None => {
                let is_parked = |id| granted.parked.contains(&id);
                if popped.id.parse().is_ok_and(is_parked) {
                    held_up.push(LaneKey::named(&popped.lane));
                }
                done.push(popped);
            }
        }
    }
    dispatch.confirm(done);
    dispatch.announce(later);
    Ok(granted.leases)
}

/// Takes the first ready tasks from the table, one agent at a time: each look reads every task that
/// is not over.
async fn pick(queue: &Queue, ask: &LeaseAsk, post: &Post, most: usize) -> Result<Leases, Fault> {
    let _turn = queue.picking.lock().await;
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let now = queue.shared.clock.now();
    let who = (ask.tenant_id, ask.agent_id);
    let what = (ask.queues.as_slice(), post.offers());
    let pool = queue.shared.database.internal_pool();
    let picked = storage::pick(pool, who, what, now, limit)
        .await
        .map_err(|e: Error| Fault::from(e))?;
    if picked.is_empty() {
        return Ok(Leases::default());
    }
    let tasks = picked.iter().map(|row| {
        let place = Place::from(&row.place);
        Wanted::new(TaskId::from_uuid(row.task_id), post.version(&place.lane))
    });
    Ok(grant(queue, ask, post, tasks.collect()).await?.leases)
}

/// Has tasks leased. One that is not, because its agent has failed there, is asked for once more when
/// it is known that nobody else may be given it.
async fn grant(
    queue: &Queue,
    ask: &LeaseAsk,
    post: &Post,
    tasks: Vec<Wanted>,
) -> Result<Granted, Fault> {
    let versions: HashMap<_, _> = tasks
        .iter()
        .map(|task| (task.id, task.version.clone()))
        .collect();
    let mut granted = queue.lanes.grant.submit(ask.item(tasks)).await?;
    if !granted.passed.iter().any(|row| post.has_failed(row)) {
        return Ok(granted);
    }
    let fleet = queue.shared.agents.fleet_or_last(ask.tenant_id).await;
    let relieved = |row: &PassedRow| {
        let fleet = fleet.as_ref();
        fleet.is_none_or(|fleet| post.has_relief(row, fleet))
    };
    let (last, passed): (Vec<_>, Vec<_>) = granted
        .passed
        .into_iter()
        .partition(|row| post.has_failed(row) && !row.braked && !relieved(row));
    granted.passed = passed;
    if last.is_empty() {
        return Ok(granted);
    }
    let again = last.iter().map(|row| {
        let id = TaskId::from_uuid(row.ready.task_id);
        let version = versions.get(&id).cloned().flatten();
        Wanted {
            last_resort: true,
            ..Wanted::new(id, version)
        }
    });
    match queue.lanes.grant.submit(ask.item(again.collect())).await {
        Ok(more) => {
            granted.leases.join(more.leases);
            granted.passed.extend(more.passed);
            granted.parked.extend(more.parked);
        }
        Err(fault) => {
            tracing::debug!(%fault, "tasks that failed here before are left for later");
            granted.passed.extend(last);
        }
    }
    Ok(granted)
}

impl LeaseAsk {
    fn item(&self, tasks: Vec<Wanted>) -> GrantItem {
        GrantItem {
            tenant_id: self.tenant_id,
            agent_id: self.agent_id,
            actor: self.actor.clone(),
            lease_ms: self.lease_ms,
            start: self.start,
            tasks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_before_the_calls_deadline() {
        let seconds = Duration::from_secs;
        assert_eq!(wait_within(seconds(20), None), seconds(20));
        assert_eq!(wait_within(seconds(20), Some(seconds(60))), seconds(20));
        assert_eq!(
            wait_within(seconds(20), Some(seconds(10))),
            seconds(10) - ANSWER
        );
        assert_eq!(wait_within(seconds(20), Some(ANSWER / 2)), Duration::ZERO);
    }
}
