//! The lane of grants.

use std::collections::{HashMap, HashSet};

use reeve_events::Actor;
use reeve_ids::{AgentId, TaskId, TenantId};
use serde_json::Value as Json;

use super::Flush;
use crate::Error;
use crate::core::Shared;
use crate::domain::{LeaseToken, Task};
use crate::operations::events;
use crate::storage::{self, GrantAsk};

/// Tasks that were popped for one agent.
#[derive(Debug)]
pub struct GrantItem {
    /// The agent's tenant.
    pub tenant_id: TenantId,
    /// The agent.
    pub agent_id: AgentId,
    /// Who asks.
    pub actor: Actor,
    /// How long the leases last.
    pub lease_ms: i64,
    /// Whether the tasks are IN_PROGRESS at once.
    pub start: bool,
    /// The tasks.
    pub task_ids: Vec<TaskId>,
}

/// One lease.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The task as it is now.
    pub task: Task,
    /// The lease.
    pub token: LeaseToken,
    /// What an earlier attempt left.
    pub checkpoint: Option<Json>,
}

/// What an agent got.
#[derive(Debug, Default)]
pub struct Granted {
    /// Its leases, in order of priority and age.
    pub grants: Vec<Grant>,
    /// Tasks that wait for another agent, because this one rejected them. All others that were
    /// popped are not to be had any more.
    pub unsuited: Vec<TaskId>,
}

/// Writes grants.
pub struct GrantFlush {
    /// What the service shares.
    pub shared: Shared,
}

impl Flush for GrantFlush {
    type Item = GrantItem;
    type Output = Granted;
    const NAME: &'static str = "grant";

    fn weight(item: &GrantItem) -> usize {
        item.task_ids.len()
    }

    async fn flush(&self, items: &[GrantItem]) -> Result<Vec<Result<Granted, Error>>, Error> {
        let now = self.shared.clock.now();
        let asks = asks(items);
        let mut sorted: Vec<_> = asks.values().map(|(_, ask)| ask).collect();
        sorted.sort_by_key(|ask| ask.task_id);
        let mut tx = self.shared.lane_transaction().await?;
        let granted = storage::grant(&mut tx, &sorted, now).await?;
        let taken: HashSet<_> = granted.iter().map(|(task, ..)| task.id).collect();
        sorted.retain(|ask| !taken.contains(&ask.task_id));
        let unsuited = if sorted.is_empty() {
            Vec::new()
        } else {
            storage::refused(&mut tx, &sorted).await?
        };
        let of = |task: TaskId| asks.get(&task).map_or(0, |(item, _)| *item);
        let events = granted
            .iter()
            .flat_map(|(task, ..)| {
                let item = &items[of(task.id)];
                events::assigned(task, &item.actor, now, item.start)
            })
            .collect();
        self.shared.append(&mut tx, events).await?;
        tx.commit().await?;
        if !taken.is_empty() {
            self.shared.wake.notify();
        }
        let mut answers: Vec<_> = items.iter().map(|_| Granted::default()).collect();
        for (task, token, checkpoint) in granted {
            answers[of(task.id)].grants.push(Grant {
                task,
                token,
                checkpoint,
            });
        }
        for task in unsuited {
            answers[of(task)].unsuited.push(task);
        }
        Ok(answers.into_iter().map(Ok).collect())
    }
}

/// One ask for each task with the index of its item. A task that two agents popped (which a rebuild
/// of the ready queues can cause) goes to the first.
fn asks(items: &[GrantItem]) -> HashMap<TaskId, (usize, GrantAsk)> {
    let mut asks = HashMap::new();
    for (index, item) in items.iter().enumerate() {
        for task_id in &item.task_ids {
            asks.entry(*task_id).or_insert_with(|| {
                let ask = GrantAsk {
                    task_id: *task_id,
                    tenant_id: item.tenant_id,
                    agent_id: item.agent_id,
                    lease_ms: item.lease_ms,
                    start: item.start,
                    fence_step: rand::random_range(1..1_i64 << 31),
                };
                (index, ask)
            });
        }
    }
    asks
}
