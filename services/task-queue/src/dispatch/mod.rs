//! The order of ready tasks and the waking of those who wait for them.
//!
//! The order lives in Redis: a lane for each tenant, queue and capability, with the order score.
//! Everything here may be lost: the claim in PostgreSQL decides, a sweep finds what Redis forgot,
//! and while Redis is away or being refilled tasks are picked from the table.

mod hall;
mod ripener;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reeve_clock::Clock;
use reeve_ids::{AgentId, TaskId, TenantId};
use reeve_redis::{Charge, Line, Popped, Ready, ReadyQueues, Wakeups};

use crate::domain::{NewTask, Spec};
use crate::storage::{PlaceRow, ReadyRow};

pub use hall::{Hall, Waiter};
pub use ripener::Ripener;

/// Lanes that one script looks into: a longer one would hold up everybody else on the server.
const LANES_AT_ONCE: usize = 1_000;
/// How long a popped task may stay unclaimed before it returns to its lane.
const CLAIM_DEADLINE: Duration = Duration::from_secs(10);

/// Where ready tasks of one kind wait.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneKey(Arc<str>);

impl LaneKey {
    /// The lane of a tenant's queue, a capability, and what more is demanded. Of the parts only the
    /// capability holds slashes, and only the demand `#` or `@`, which it begins with.
    pub fn new(tenant: TenantId, queue: &str, capability: &str, demand: &str) -> Self {
        Self(format!("{tenant}/{queue}/{capability}{demand}").into())
    }

    /// The lane of a task.
    pub fn of(tenant: TenantId, spec: &Spec) -> Self {
        Self::new(tenant, &spec.queue, &spec.capability, &spec.demand)
    }

    /// The lane that has this name in Redis.
    pub fn named(name: &Arc<str>) -> Self {
        Self(Arc::clone(name))
    }

    /// The name in Redis.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for LaneKey {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Where a ready task waits.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// The lane.
    pub lane: LaneKey,
    /// The line of it.
    pub line: Line,
}

impl Place {
    /// The line's name in Redis.
    pub fn name(&self) -> String {
        reeve_redis::place(self.lane.as_str(), &self.line)
    }
}

impl From<&PlaceRow> for Place {
    fn from(row: &PlaceRow) -> Self {
        let tenant = TenantId::from_uuid(row.tenant_id);
        Self {
            lane: LaneKey::new(tenant, &row.queue, &row.capability, &row.demand),
            line: Line::parse(&row.line, row.line_weight).unwrap_or_default(),
        }
    }
}

/// What Redis is told of a task that has kept an agent busy from one time to another; nothing where
/// nobody takes turns.
pub fn charge(row: &PlaceRow, from: Option<DateTime<Utc>>, to: DateTime<Utc>) -> Option<Charge> {
    let from = from.filter(|_| row.line.starts_with('='))?;
    let place = Place::from(row);
    Some(Charge {
        lane: place.lane.0,
        line: place.line,
        work: (to - from).to_std().unwrap_or_default(),
    })
}

/// A task that may be leased from a time on.
#[derive(Debug, Clone)]
pub struct ReadyTask {
    /// Where it waits.
    pub place: Place,
    /// The task.
    pub id: TaskId,
    /// Its place.
    pub score: i64,
    /// From when.
    pub ready_time: DateTime<Utc>,
    /// Agents that need not be woken for it: they have rejected it.
    pub shunned: Vec<AgentId>,
}

/// A task that was popped and is for another agent.
#[derive(Debug)]
pub struct Unsuited {
    /// The task.
    pub popped: Popped,
    /// Agents that have rejected it.
    pub shunned: Vec<AgentId>,
}

impl From<&NewTask> for ReadyTask {
    fn from(task: &NewTask) -> Self {
        Self {
            place: Place {
                lane: LaneKey::of(task.tenant_id, &task.spec),
                line: Line::parse(&task.spec.line(), task.spec.line_weight()).unwrap_or_default(),
            },
            id: task.id,
            score: task.order_score(),
            ready_time: task.ready_time(),
            shunned: task.spec.placement.avoid.clone(),
        }
    }
}

impl ReadyTask {
    /// A task as it was read.
    pub fn from_row(row: &ReadyRow, ready_time: DateTime<Utc>) -> Self {
        Self {
            place: Place::from(&row.place),
            id: TaskId::from_uuid(row.task_id),
            score: row.order_score,
            ready_time,
            shunned: Vec::new(),
        }
    }

    /// As Redis takes it. Milliseconds since 1970 are far below where a double loses integers.
    #[allow(clippy::cast_precision_loss)]
    pub fn to_redis(&self) -> Ready {
        Ready::new(
            Arc::clone(&self.place.lane.0),
            self.id.to_string(),
            self.score as f64,
        )
        .in_line(self.place.line.clone())
    }
}

/// Order and wake-ups.
#[derive(Clone)]
pub struct Dispatch {
    ready: ReadyQueues,
    hall: Arc<Hall>,
    ripener: Arc<Ripener>,
    clock: Arc<dyn Clock>,
}

impl Dispatch {
    /// Over one shard of ready queues.
    pub fn new(ready: ReadyQueues, wakeups: Wakeups, clock: Arc<dyn Clock>) -> Self {
        let (hall, ripener) = (Arc::new(Hall::new(wakeups)), Arc::new(Ripener::new()));
        Self {
            ready,
            hall,
            ripener,
            clock,
        }
    }

    /// The ready queues.
    pub fn ready(&self) -> &ReadyQueues {
        &self.ready
    }

    /// Tasks whose time is near.
    pub fn ripener(&self) -> &Arc<Ripener> {
        &self.ripener
    }

    /// Makes tasks known after their commit: those that may run go into their lanes and wake who
    /// waits, the others when their time comes. Never waits and never fails.
    pub fn announce(&self, tasks: Vec<ReadyTask>) {
        if tasks.is_empty() {
            return;
        }
        let now = self.clock.now();
        let (ready, later): (Vec<_>, Vec<_>) =
            tasks.into_iter().partition(|task| task.ready_time <= now);
        self.ripener.add(later, now);
        if !ready.is_empty() {
            let this = self.clone();
            reeve_runtime::spawn("announce", async move { this.admit(&ready).await });
        }
    }

    /// Puts ready tasks into their lanes and wakes who waits for them.
    pub async fn admit(&self, tasks: &[ReadyTask]) {
        let batch: Vec<_> = tasks.iter().map(ReadyTask::to_redis).collect();
        if let Err(error) = self.ready.push(&batch).await {
            // The sweep finds them; and who is woken now picks them from the table.
            tracing::debug!(%error, tasks = tasks.len(), "ready tasks are not in Redis");
        }
        let (shunned, plain): (Vec<_>, Vec<_>) =
            tasks.iter().partition(|task| !task.shunned.is_empty());
        let mut lanes: Vec<_> = plain.iter().map(|task| &task.place.lane).collect();
        lanes.sort_unstable();
        for lane in lanes.chunk_by(|left, right| left == right) {
            self.ring(lane[0], lane.len(), &[]);
        }
        for task in shunned {
            self.ring(&task.place.lane, 1, &task.shunned);
        }
    }

    /// Wakes as many waiters of a lane as there are tasks: here if there are enough, else also on
    /// the other replicas. Passes over agents that have rejected them.
    pub fn ring(&self, lane: &LaneKey, tasks: usize, shunned: &[AgentId]) {
        self.hall.ring_everywhere(lane, tasks, shunned);
    }

    /// Begins to wait in some lanes, for an agent.
    pub fn wait(&self, agent: AgentId, lanes: &[LaneKey]) -> Waiter {
        Hall::enter(&self.hall, agent, lanes)
    }

    /// Takes tasks from lanes until they are confirmed or their deadline passes.
    ///
    /// # Errors
    /// When Redis is away or has to be refilled: pick from the table.
    pub async fn pop(
        &self,
        lanes: &[LaneKey],
        limit: usize,
    ) -> Result<Vec<Popped>, reeve_redis::Error> {
        let mut popped = Vec::new();
        for some in lanes.chunks(LANES_AT_ONCE) {
            let left = limit - popped.len();
            match self.ready.pop(some, left, CLAIM_DEADLINE).await {
                Ok(more) => popped.extend(more),
                // What was popped is to be claimed first.
                Err(_) if !popped.is_empty() => break,
                Err(error) => return Err(error),
            }
            if popped.len() >= limit {
                break;
            }
        }
        Ok(popped)
    }

    /// Forgets tasks that were popped and claimed, or are not to be had. Nobody waits for it.
    pub fn confirm(&self, claimed: Vec<Popped>) {
        let ready = self.ready.clone();
        reeve_runtime::spawn("confirm", async move {
            if let Err(error) = ready.confirm(&claimed).await {
                tracing::debug!(%error, "popped tasks return by themselves");
            }
        });
    }

    /// Returns popped tasks to their places. Nobody waits for it, and nobody is woken.
    pub fn give_back(&self, popped: Vec<Popped>) {
        let this = self.clone();
        reeve_runtime::spawn("give back", async move { this.put_back(&popped).await });
    }

    /// Returns tasks for others, and wakes those here that may have them. Replicas wake each other
    /// for a task when it becomes ready, not each time that it was popped in vain: they would never
    /// come to rest.
    pub fn pass_on(&self, unsuited: Vec<Unsuited>) {
        if unsuited.is_empty() {
            return;
        }
        let this = self.clone();
        reeve_runtime::spawn("pass on", async move {
            let (popped, shunned): (Vec<_>, Vec<_>) = unsuited
                .into_iter()
                .map(|one| (one.popped, one.shunned))
                .unzip();
            this.put_back(&popped).await;
            for (popped, shunned) in popped.iter().zip(shunned) {
                this.hall.ring(&LaneKey::named(&popped.lane), 1, &shunned);
            }
        });
    }

    /// Returns popped tasks to their places, and waits until they are there. Nobody is woken.
    pub async fn put_back(&self, popped: &[Popped]) {
        if let Err(error) = self.ready.give_back(popped).await {
            tracing::debug!(%error, "popped tasks return by themselves");
        }
    }

    /// Says how much work tasks have been that took turns. Nobody waits for it; what is not said
    /// counts as much as tasks of the lane usually take.
    pub fn charge(&self, charges: Vec<Charge>) {
        if charges.is_empty() {
            return;
        }
        let ready = self.ready.clone();
        reeve_runtime::spawn("charge", async move {
            if let Err(error) = ready.charge(&charges).await {
                tracing::debug!(%error, "work is not charged");
            }
        });
    }

    /// Takes tasks out of their lanes that nobody may have any more. Nobody waits for it; one that
    /// stays is dropped when it is popped.
    pub fn withdraw(&self, gone: &[(Place, TaskId)]) {
        if gone.is_empty() {
            return;
        }
        let ready = self.ready.clone();
        let named = gone.iter().map(|(place, id)| (place.name(), *id));
        let mut gone: Vec<_> = named.collect();
        gone.sort_unstable();
        reeve_runtime::spawn("withdraw", async move {
            for tasks in gone.chunk_by(|left, right| left.0 == right.0) {
                let ids: Vec<_> = tasks.iter().map(|(_, id)| id.to_string()).collect();
                if let Err(error) = ready.remove(&tasks[0].0, &ids).await {
                    tracing::debug!(%error, "tasks that are over are still in a ready queue");
                }
            }
        });
    }
}
