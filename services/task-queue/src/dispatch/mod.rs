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
use reeve_ids::{TaskId, TenantId};
use reeve_redis::{Popped, Ready, ReadyQueues, Wakeups};

use crate::domain::NewTask;
use crate::storage::ReadyRow;

pub use hall::{Hall, Waiter};
pub use ripener::Ripener;

/// How long a popped task may stay unclaimed before it returns to its lane.
const CLAIM_DEADLINE: Duration = Duration::from_secs(10);

/// Where ready tasks of one kind wait.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneKey(Arc<str>);

impl LaneKey {
    /// The lane of a tenant's queue and capability. None of the three holds a slash but the last.
    pub fn new(tenant: TenantId, queue: &str, capability: &str) -> Self {
        Self(format!("{tenant}/{queue}/{capability}").into())
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

/// A task that may be leased from a time on.
#[derive(Debug, Clone)]
pub struct ReadyTask {
    /// Where it waits.
    pub lane: LaneKey,
    /// The task.
    pub id: TaskId,
    /// Its place.
    pub score: i64,
    /// From when.
    pub ready_time: DateTime<Utc>,
}

impl From<&NewTask> for ReadyTask {
    fn from(task: &NewTask) -> Self {
        Self {
            lane: LaneKey::new(task.tenant_id, &task.spec.queue, &task.spec.capability),
            id: task.id,
            score: task.order_score(),
            ready_time: task.ready_time(),
        }
    }
}

impl ReadyTask {
    /// A task as it was read.
    pub fn from_row(row: &ReadyRow, ready_time: DateTime<Utc>) -> Self {
        Self {
            lane: LaneKey::new(
                TenantId::from_uuid(row.tenant_id),
                &row.queue,
                &row.capability,
            ),
            id: TaskId::from_uuid(row.task_id),
            score: row.order_score,
            ready_time,
        }
    }

    /// As Redis takes it. Milliseconds since 1970 are far below where a double loses integers.
    #[allow(clippy::cast_precision_loss)]
    pub fn to_redis(&self) -> Ready {
        Ready::new(
            Arc::clone(&self.lane.0),
            self.id.to_string(),
            self.score as f64,
        )
    }
}

/// Order and wake-ups.
#[derive(Clone)]
pub struct Dispatch {
    ready: ReadyQueues,
    wakeups: Wakeups,
    hall: Arc<Hall>,
    ripener: Arc<Ripener>,
    clock: Arc<dyn Clock>,
}

impl Dispatch {
    /// Over one shard of ready queues.
    pub fn new(ready: ReadyQueues, wakeups: Wakeups, clock: Arc<dyn Clock>) -> Self {
        let (hall, ripener) = (Arc::new(Hall::new()), Arc::new(Ripener::new()));
        Self {
            ready,
            wakeups,
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
        let mut lanes: Vec<_> = tasks.iter().map(|task| &task.lane).collect();
        lanes.sort_unstable();
        for lane in lanes.chunk_by(|left, right| left == right) {
            self.ring(lane[0], lane.len());
        }
    }

    /// Wakes as many waiters of a lane as there are tasks: here if there are enough, else also on
    /// the other replicas.
    pub fn ring(&self, lane: &LaneKey, tasks: usize) {
        if self.hall.ring(lane, tasks) < tasks {
            self.wakeups.publish(lane.as_str());
        }
    }

    /// Begins to wait in some lanes.
    pub fn wait(&self, lanes: &[LaneKey]) -> Waiter {
        Hall::enter(&self.hall, lanes, self.wakeups.subscribe_all(lanes))
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
        self.ready.pop(lanes, limit, CLAIM_DEADLINE).await
    }

    /// Forgets tasks that were popped and claimed, or are not to be had; returns those that others
    /// may have. Nobody waits for it.
    pub fn settle(&self, claimed: Vec<Popped>, returned: Vec<Popped>) {
        let ready = self.ready.clone();
        reeve_runtime::spawn("confirm", async move {
            let confirmed = ready.confirm(&claimed).await;
            let given_back = ready.give_back(&returned).await.map(drop);
            if let Err(error) = confirmed.and(given_back) {
                tracing::debug!(%error, "popped tasks return by themselves");
            }
        });
    }
}
