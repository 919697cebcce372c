//! The lane of grants.

use std::collections::{HashMap, HashSet};

use reeve_events::Actor;
use reeve_ids::{AgentId, TaskId, TenantId};

use super::{Flush, Grant, Lane, Leases, SettleFlush};
use crate::Error;
use crate::core::Shared;
use crate::operations::events;
use crate::storage::{self, GrantAsk, PassedRow};

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

/// What an agent got.
#[derive(Debug, Default)]
pub struct Granted {
    /// Its leases, in order of priority and age.
    pub leases: Leases,
    /// Tasks that still wait: for another agent, because this one has rejected them, or for their
    /// time. All others that were popped are not to be had any more.
    pub passed: Vec<PassedRow>,
}

/// Writes grants.
pub struct GrantFlush {
    /// What the service shares.
    pub shared: Shared,
    /// Where leases go back that their agent does not hear of.
    pub settle: Lane<SettleFlush>,
}

impl Flush for GrantFlush {
    type Item = GrantItem;
    type Output = Granted;
    const NAME: &'static str = "grant";

    fn weight(item: &GrantItem) -> usize {
        item.task_ids.len()
    }

    async fn flush(&self, items: &[GrantItem]) -> Result<Vec<Result<Granted, Error>>, Error> {
        let mut asks = asks(items);
        loop {
            match self.write(items, &asks).await? {
                Written::Done(answers) => return Ok(answers),
                // The rest of what was popped with them must not wait behind them.
                Written::Unreadable(tasks) => {
                    for task in tasks {
                        self.shared.metrics.unreadable.inc();
                        asks.remove(&task);
                    }
                }
            }
        }
    }
}

/// One ask for each task with the index of its item.
type Asks = HashMap<TaskId, (usize, GrantAsk)>;

enum Written {
    Done(Vec<Result<Granted, Error>>),
    /// Nothing was written: these cannot be leased by this version.
    Unreadable(Vec<TaskId>),
}

impl GrantFlush {
    async fn write(&self, items: &[GrantItem], asks: &Asks) -> Result<Written, Error> {
        let now = self.shared.clock.now();
        let mut sorted: Vec<_> = asks.values().map(|(_, ask)| ask).collect();
        sorted.sort_by_key(|ask| ask.task_id);
        let tenants = sorted.iter().map(|ask| ask.tenant_id);
        let mut tx = self.shared.grant_transaction(tenants).await?;
        let leased = storage::grant(&mut tx, &sorted, now).await?;
        if !leased.unreadable.is_empty() {
            return Ok(Written::Unreadable(leased.unreadable));
        }
        let granted = leased.tasks;
        let taken: HashSet<_> = granted.iter().map(|(task, ..)| task.id).collect();
        sorted.retain(|ask| !taken.contains(&ask.task_id));
        let passed = if sorted.is_empty() {
            Vec::new()
        } else {
            storage::passed_over(&mut tx, &sorted, now).await?
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
        let mut grants: Vec<Vec<Grant>> = items.iter().map(|_| Vec::new()).collect();
        for (task, token, checkpoint) in granted {
            grants[of(task.id)].push(Grant {
                task,
                token,
                checkpoint,
            });
        }
        let each = grants.into_iter().zip(items);
        let mut answers: Vec<_> = each
            .map(|(grants, item)| Granted {
                leases: Leases::new(grants, &self.settle, &item.actor),
                passed: Vec::new(),
            })
            .collect();
        for row in passed {
            answers[of(TaskId::from_uuid(row.ready.task_id))]
                .passed
                .push(row);
        }
        Ok(Written::Done(answers.into_iter().map(Ok).collect()))
    }
}

/// A task that two agents popped (which a rebuild of the ready queues can cause) goes to the first.
fn asks(items: &[GrantItem]) -> Asks {
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
