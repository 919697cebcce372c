//! WatchTasks: tasks as the service's own log says that they change.

use std::collections::{BTreeMap, VecDeque};
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
/// Tasks that are in memory at a time: with their bodies they are large.
const AT_ONCE: usize = 100;
/// How often the log is looked at without a wake-up: a relay of another replica may have grown it.
const POLL: Duration = Duration::from_millis(500);
/// How long a watch may send nothing before it moves the client's cursor.
const BOOKMARK: Duration = Duration::from_secs(10);
/// Tasks of the present that a watch begins with.
const SNAPSHOT: usize = 1_000;

/// One thing to tell the client.
#[derive(Debug)]
pub struct Change {
    /// Where to resume; nothing inside the snapshot, which can only be begun again.
    pub cursor: Option<i64>,
    /// The task; nothing when only the cursor moves.
    pub task: Option<Task>,
    /// What happened to it; empty in the snapshot.
    pub event_type: String,
    /// Whether it belongs to the snapshot.
    pub snapshot: bool,
}

impl Change {
    /// Moves the cursor and says nothing else.
    fn mark(cursor: i64, snapshot: bool) -> Self {
        Self {
            cursor: Some(cursor),
            task: None,
            event_type: String::new(),
            snapshot,
        }
    }
}

/// What of the snapshot is to be told.
#[derive(Debug)]
struct Beginning {
    after: Option<TaskId>,
    left: usize,
}

/// A change that was read from the log.
#[derive(Debug)]
struct Noted {
    task: TaskId,
    sequence: i64,
    event_type: String,
}

/// One watch.
pub struct Watch {
    queue: Queue,
    log: Log,
    head: watch::Receiver<i64>,
    tenant: TenantId,
    filter: Filter,
    full: bool,
    beginning: Option<Beginning>,
    noted: VecDeque<Noted>,
    cursor: i64,
    /// Whether the client resumes, so that a gap means that events are gone.
    resumes: bool,
    told: tokio::time::Instant,
}

impl Watch {
    /// A watch from a cursor, or from the present.
    ///
    /// # Errors
    /// UNAVAILABLE.
    pub async fn begin(
        queue: &Queue,
        tenant: TenantId,
        filter: Filter,
        full: bool,
        cursor: Option<i64>,
    ) -> Result<Self, Fault> {
        let log = Log::new(queue.shared.database.clone());
        // Subscribed before the log is read, so that no growth is missed.
        let head = queue.shared.wake.head();
        let start = match cursor {
            // A cursor ahead of the log is of a log that a restored backup has not got any more.
            Some(cursor) if cursor > log.last_sequence().await.map_err(Error::from)? => {
                return Err(expired());
            }
            Some(cursor) => cursor,
            None => log.last_sequence().await.map_err(Error::from)?,
        };
        let beginning = cursor.is_none().then_some(Beginning {
            after: None,
            left: SNAPSHOT,
        });
        Ok(Self {
            queue: queue.clone(),
            log,
            head,
            tenant,
            filter,
            full,
            beginning,
            noted: VecDeque::new(),
            cursor: start,
            resumes: cursor.is_some(),
            told: tokio::time::Instant::now(),
        })
    }

    /// Waits for changes.
    ///
    /// # Errors
    /// UNAVAILABLE; OUT_OF_RANGE when the cursor's events are not kept any more.
    pub async fn next(&mut self) -> Result<Vec<Change>, Fault> {
        loop {
            let changes = match self.beginning.take() {
                Some(beginning) => self.begin_with(beginning).await?,
                None if self.noted.is_empty() => self.look().await?,
                None => self.changes().await?,
            };
            if !changes.is_empty() {
                self.told = tokio::time::Instant::now();
                return Ok(changes);
            }
        }
    }

    /// The next part of the snapshot.
    async fn begin_with(&mut self, beginning: Beginning) -> Result<Vec<Change>, Fault> {
        let Beginning { after, left } = beginning;
        let (queue, size) = (&self.queue, left.min(AT_ONCE));
        let limit = i64::try_from(size).unwrap_or(i64::MAX);
        let tasks = super::list(queue, self.tenant, &self.filter, after, self.full, limit).await?;
        let left = left - tasks.len();
        if tasks.len() == size && left > 0 {
            let after = tasks.last().map(|task| task.id);
            self.beginning = Some(Beginning { after, left });
        }
        let change = |task| Change {
            cursor: None,
            task: Some(task),
            event_type: String::new(),
            snapshot: true,
        };
        let mut changes: Vec<_> = tasks.into_iter().map(change).collect();
        if self.beginning.is_none() {
            changes.push(Change::mark(self.cursor, true));
        }
        Ok(changes)
    }

    /// Reads the log, or waits until it may have grown.
    async fn look(&mut self) -> Result<Vec<Change>, Fault> {
        let events = self.read_log().await?;
        if let Some(last) = events.last().map(|event| event.sequence) {
            self.check_gap(&events)?;
            self.note(events);
            self.cursor = last;
        } else {
            // Whether woken or not, the log is looked at.
            let _ = tokio::time::timeout(POLL, self.head.changed()).await;
        }
        if self.noted.is_empty() && self.told.elapsed() >= BOOKMARK {
            return Ok(vec![Change::mark(self.cursor, false)]);
        }
        Ok(Vec::new())
    }

    /// However many watch, the connections are there for the lanes first.
    async fn read_log(&self) -> Result<Vec<Event>, Fault> {
        let _turn = self.queue.shared.log_readers.acquire().await;
        let events = self.log.read_after(self.cursor, BATCH).await;
        Ok(events.map_err(Error::from)?)
    }

    /// Numbers have no gaps, so one right after the cursor means that the log was cut.
    fn check_gap(&mut self, events: &[Event]) -> Result<(), Fault> {
        let first = events.first().map_or(0, |event| event.sequence);
        if self.resumes && first > self.cursor + 1 {
            return Err(expired());
        }
        self.resumes = true;
        Ok(())
    }

    /// Notes the tasks that some events are about, each once, in order of its last event.
    fn note(&mut self, events: Vec<Event>) {
        let tenant = self.tenant.to_string();
        let mut last = BTreeMap::<TaskId, Noted>::new();
        for event in events {
            let ours = event.tenant_id == tenant && event.resource_type == "task";
            if let Some(task) = ours.then(|| event.resource_id.parse().ok()).flatten() {
                let noted = Noted {
                    task,
                    sequence: event.sequence,
                    event_type: event.r#type,
                };
                last.insert(task, noted);
            }
        }
        let mut noted: Vec<_> = last.into_values().collect();
        noted.sort_by_key(|noted| noted.sequence);
        self.noted.extend(noted);
    }

    /// The next tasks that were noted, as they are now.
    async fn changes(&mut self) -> Result<Vec<Change>, Fault> {
        let count = self.noted.len().min(AT_ONCE);
        let noted: Vec<_> = self.noted.drain(..count).collect();
        let ids: Vec<_> = noted.iter().map(|noted| noted.task).collect();
        let tasks = self.read(&ids).await?.into_iter();
        let mut tasks: BTreeMap<_, _> = tasks.map(|task| (task.id, task)).collect();
        let changes = noted.into_iter().filter_map(|noted| {
            let task = tasks.remove(&noted.task)?;
            self.filter.chooses(&task).then_some(Change {
                cursor: Some(noted.sequence),
                task: Some(task),
                event_type: noted.event_type,
                snapshot: false,
            })
        });
        Ok(changes.collect())
    }

    async fn read(&self, ids: &[TaskId]) -> Result<Vec<Task>, Error> {
        let mut tx = self.queue.shared.database.tenant(self.tenant).await?;
        let tasks = storage::get_readable(&mut tx, self.tenant, ids, self.full).await?;
        tx.commit().await?;
        Ok(tasks)
    }
}

fn expired() -> Fault {
    Fault::new(
        Code::OutOfRange,
        Reason::CursorExpired,
        "the events after this cursor are not there; watch without a cursor",
    )
}
