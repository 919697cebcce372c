//! WatchTasks: tasks as the service's own log says that they change.

use std::collections::BTreeMap;
use std::time::Duration;

use reeve_events::{Event, Log};
use reeve_ids::{TaskId, TenantId};
use reeve_status::{Code, Fault, Reason};
use tokio::sync::watch;

use crate::domain::Task;
use crate::storage::{self, Filter};
use crate::{Error, Queue};

/// Events that one look reads, across all tenants.
const BATCH: usize = 500;
/// How often the log is looked at without a wake-up: a relay of another replica may have grown it.
const POLL: Duration = Duration::from_millis(500);
/// How long a watch may send nothing before it moves the client's cursor.
const BOOKMARK: Duration = Duration::from_secs(10);
/// Tasks of the present that a watch begins with.
pub const SNAPSHOT: i64 = 1_000;

/// One thing to tell the client.
#[derive(Debug)]
pub struct Change {
    /// Where to resume.
    pub cursor: i64,
    /// The task; nothing when only the cursor moves.
    pub task: Option<Task>,
    /// What happened to it; empty in the snapshot.
    pub event_type: String,
    /// Whether it belongs to the snapshot.
    pub snapshot: bool,
}

/// One watch.
pub struct Watch {
    queue: Queue,
    log: Log,
    head: watch::Receiver<i64>,
    tenant: TenantId,
    filter: Filter,
    full: bool,
    cursor: i64,
    /// Whether the client resumes, so that a gap means that events are gone.
    resumes: bool,
    told: tokio::time::Instant,
}

impl Watch {
    /// A watch from a cursor, or from the present; then also the snapshot.
    ///
    /// # Errors
    /// UNAVAILABLE.
    pub async fn begin(
        queue: &Queue,
        tenant: TenantId,
        filter: Filter,
        full: bool,
        cursor: Option<i64>,
    ) -> Result<(Self, Vec<Change>), Fault> {
        let log = Log::new(queue.shared.database.clone());
        // Subscribed before the log is read, so that no growth is missed.
        let head = queue.shared.wake.head();
        let start = match cursor {
            Some(cursor) => cursor,
            None => log.last_sequence().await.map_err(Error::from)?,
        };
        let mut snapshot = Vec::new();
        if cursor.is_none() {
            let tasks = super::list(queue, tenant, &filter, None, full, SNAPSHOT).await?;
            let change = |task| Change {
                cursor: start,
                task,
                event_type: String::new(),
                snapshot: true,
            };
            snapshot.extend(tasks.into_iter().map(Some).map(change));
            snapshot.push(change(None));
        }
        let watch = Self {
            queue: queue.clone(),
            log,
            head,
            tenant,
            filter,
            full,
            cursor: start,
            resumes: cursor.is_some(),
            told: tokio::time::Instant::now(),
        };
        Ok((watch, snapshot))
    }

    /// Waits for changes.
    ///
    /// # Errors
    /// UNAVAILABLE; OUT_OF_RANGE when the cursor's events are not kept any more.
    pub async fn next(&mut self) -> Result<Vec<Change>, Fault> {
        loop {
            let events = self
                .log
                .read_after(self.cursor, BATCH)
                .await
                .map_err(Error::from)?;
            if let Some(last) = events.last().map(|event| event.sequence) {
                self.check_gap(&events)?;
                let changes = self.changes(&events).await?;
                self.cursor = last;
                if !changes.is_empty() {
                    self.told = tokio::time::Instant::now();
                    return Ok(changes);
                }
            } else {
                // Whether woken or not, the log is looked at.
                let _ = tokio::time::timeout(POLL, self.head.changed()).await;
            }
            if self.told.elapsed() >= BOOKMARK {
                self.told = tokio::time::Instant::now();
                let (cursor, event_type) = (self.cursor, String::new());
                return Ok(vec![Change {
                    cursor,
                    task: None,
                    event_type,
                    snapshot: false,
                }]);
            }
        }
    }

    /// Numbers have no gaps, so one right after the cursor means that the log was cut.
    fn check_gap(&mut self, events: &[Event]) -> Result<(), Fault> {
        let first = events.first().map_or(0, |event| event.sequence);
        if self.resumes && first > self.cursor + 1 {
            return Err(Fault::new(
                Code::OutOfRange,
                Reason::CursorExpired,
                "the events after this cursor are not kept any more; watch without a cursor",
            ));
        }
        self.resumes = true;
        Ok(())
    }

    /// The tasks that some events are about, as they are now, each once, in order of its last event.
    async fn changes(&self, events: &[Event]) -> Result<Vec<Change>, Fault> {
        let tenant = self.tenant.to_string();
        let mut last = BTreeMap::<TaskId, &Event>::new();
        for event in events {
            let ours = event.tenant_id == tenant && event.resource_type == "task";
            if let Some(id) = ours.then(|| event.resource_id.parse().ok()).flatten() {
                last.insert(id, event);
            }
        }
        if last.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<_> = last.keys().copied().collect();
        let mut changes = Vec::new();
        for task in self.read(&ids).await? {
            let Some(event) = last.get(&task.id).filter(|_| self.filter.chooses(&task)) else {
                continue;
            };
            changes.push(Change {
                cursor: event.sequence,
                task: Some(task),
                event_type: event.r#type.clone(),
                snapshot: false,
            });
        }
        changes.sort_by_key(|change| change.cursor);
        Ok(changes)
    }

    async fn read(&self, ids: &[TaskId]) -> Result<Vec<Task>, Error> {
        let mut tx = self.queue.shared.database.tenant(self.tenant).await?;
        let tasks = storage::get(&mut tx, self.tenant, ids, self.full).await?;
        tx.commit().await?;
        Ok(tasks)
    }
}
