//! The lane of grants.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use reeve_events::Actor;
use reeve_ids::{AgentId, TaskId, TenantId};
use sqlx::PgConnection;

use super::{Flush, Grant, Lane, Leases, SettleFlush};
use crate::Error;
use crate::core::Shared;
use crate::domain::{Gate, Task, order_score};
use crate::operations::{events, limit};
use crate::storage::{self, GrantAsk, Leased, PassedRow};

/// Answers of people that a lease carries.
const ANSWERS: i64 = 16;

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
    pub tasks: Vec<Wanted>,
}

/// A task that an agent may be given.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The task.
    pub id: TaskId,
    /// In which version the agent offers its capability.
    pub version: Option<Arc<str>>,
    /// Whether it is given the task even if it failed there.
    pub last_resort: bool,
}

impl Wanted {
    /// A task for an agent that offers its capability in a version.
    pub const fn new(id: TaskId, version: Option<Arc<str>>) -> Self {
        Self {
            id,
            version,
            last_resort: false,
        }
    }
}

/// What an agent got.
#[derive(Debug, Default)]
pub struct Granted {
    /// Its leases, in order of priority and age.
    pub leases: Leases,
    /// Tasks that still wait: for another agent, because this one has rejected them or failed there, or for their
    /// time. All others that were popped are not to be had any more.
    pub passed: Vec<PassedRow>,
    /// Tasks that wait for room within a limit: they come back when there is some.
    pub parked: HashSet<TaskId>,
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

    fn tenant(item: &GrantItem) -> TenantId {
        item.tenant_id
    }

    fn weight(item: &GrantItem) -> usize {
        item.tasks.len()
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
        let mut leased = storage::grant(&mut tx, &sorted, now, false).await?;
        let taken: HashSet<_> = leased.tasks.iter().map(|(task, ..)| task.id).collect();
        sorted.retain(|ask| !taken.contains(&ask.task_id));
        let mut passed = if sorted.is_empty() || !leased.unreadable.is_empty() {
            Vec::new()
        } else {
            storage::passed_over(&mut tx, &sorted, now).await?
        };
        let limited: Vec<_> = sorted
            .into_iter()
            .filter(|ask| passed.iter().any(|row| wants_room(row, ask, now)))
            .collect();
        let parked = lease_limited(&mut tx, &limited, &mut leased, now).await?;
        if !leased.unreadable.is_empty() {
            return Ok(Written::Unreadable(leased.unreadable));
        }
        let mut answers = answers_of(&mut tx, &leased).await?;
        let granted = leased.tasks;
        let taken: HashSet<_> = granted.iter().map(|(task, ..)| task.id).collect();
        passed.retain(|row| {
            let task = TaskId::from_uuid(row.ready.task_id);
            !taken.contains(&task) && !parked.contains(&task)
        });
        let of = |task: TaskId| asks.get(&task).map_or(0, |(item, _)| *item);
        let events = granted
            .iter()
            .flat_map(|(task, ..)| {
                let item = &items[of(task.id)];
                let version = asks
                    .get(&task.id)
                    .and_then(|(_, ask)| ask.version.as_deref());
                events::assigned(task, version, &item.actor, now, item.start)
            })
            .collect();
        self.shared.append(&mut tx, events).await?;
        tx.commit().await?;
        if !taken.is_empty() {
            self.shared.wake.notify();
        }
        if !parked.is_empty() {
            self.shared.limits.wait();
        }
        let mut grants: Vec<Vec<Grant>> = items.iter().map(|_| Vec::new()).collect();
        for (task, token, checkpoint) in granted {
            grants[of(task.id)].push(Grant {
                answers: answers.remove(&task.id).unwrap_or_default(),
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
                parked: HashSet::new(),
            })
            .collect();
        for task in parked {
            answers[of(task)].parked.insert(task);
        }
        for row in passed {
            answers[of(TaskId::from_uuid(row.ready.task_id))]
                .passed
                .push(row);
        }
        Ok(Written::Done(answers.into_iter().map(Ok).collect()))
    }
}

/// What people answered, of those tasks that they did.
pub async fn answers_of(
    connection: &mut PgConnection,
    leased: &Leased,
) -> Result<HashMap<TaskId, Vec<Gate>>, Error> {
    let mut answers = HashMap::<TaskId, Vec<Gate>>::new();
    for gate in storage::answers(connection, &leased.answered, ANSWERS).await? {
        answers.entry(gate.task_id).or_default().push(gate);
    }
    Ok(answers)
}

/// Whether a task was passed over for no other reason than that a limit may choose it.
fn wants_room(row: &PassedRow, ask: &GrantAsk, now: DateTime<Utc>) -> bool {
    row.ready.task_id == ask.task_id.uuid()
        && row.limited
        && !row.braked
        && row.ready_time <= now
        && !row.rejected_by.contains(&ask.agent_id.uuid())
        && (ask.last_resort || !row.failed_at.contains(&ask.agent_id.uuid()))
}

/// Leases those that find room, in their order, and answers those that do not.
async fn lease_limited(
    connection: &mut PgConnection,
    asks: &[&GrantAsk],
    leased: &mut Leased,
    now: DateTime<Utc>,
) -> Result<HashSet<TaskId>, Error> {
    if asks.is_empty() {
        return Ok(HashSet::new());
    }
    let tasks: Vec<_> = asks
        .iter()
        .map(|ask| (ask.tenant_id, ask.task_id))
        .collect();
    let admitted = limit::make_room(connection, &tasks, now).await?;
    let with_room: HashSet<_> = admitted.leased.into_iter().collect();
    let asks: Vec<_> = asks
        .iter()
        .copied()
        .filter(|ask| with_room.contains(&ask.task_id))
        .collect();
    if !asks.is_empty() {
        let more = storage::grant(connection, &asks, now, true).await?;
        leased.tasks.extend(more.tasks);
        leased.unreadable.extend(more.unreadable);
        // Two statements, one order.
        let place = |task: &Task| (order_score(task.ready_time, task.spec.priority), task.id);
        leased.tasks.sort_by_key(|(task, ..)| place(task));
    }
    Ok(admitted.parked.into_iter().map(|(task, _)| task).collect())
}

/// A task that two agents popped (which a rebuild of the ready queues can cause) goes to the first.
fn asks(items: &[GrantItem]) -> Asks {
    let mut asks = HashMap::new();
    for (index, item) in items.iter().enumerate() {
        for task in &item.tasks {
            asks.entry(task.id).or_insert_with(|| {
                let ask = GrantAsk {
                    task_id: task.id,
                    version: task.version.clone(),
                    last_resort: task.last_resort,
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
