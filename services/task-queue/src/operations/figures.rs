//! What waits and runs in every queue, counted once for everybody who asks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reeve_ids::{TenantId, Uuid};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::Error;
use crate::core::Shared;
use crate::storage::{self, FiguresRow};

/// How many times as long as it took a count is believed, at least.
const REST: u32 = 9;

/// The counts of one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// When they were taken.
    pub time: DateTime<Utc>,
    queues: BTreeMap<(Uuid, String), Vec<FiguresRow>>,
}

/// The latest counts.
#[derive(Debug)]
pub struct Figures {
    period: Duration,
    latest: Mutex<Option<(Instant, Arc<Snapshot>)>>,
}

impl Figures {
    /// Nothing counted yet.
    pub fn new(period: Duration) -> Self {
        let latest = Mutex::default();
        Self { period, latest }
    }
}

/// The counts as they were a moment ago. Whoever asks while they are taken waits for them: however
/// many ask, one count runs.
///
/// # Errors
/// When the database refuses.
pub async fn snapshot(shared: &Shared) -> Result<Arc<Snapshot>, Error> {
    let mut latest = shared.figures.latest.lock().await;
    if let Some((until, snapshot)) = latest.as_ref()
        && Instant::now() < *until
    {
        return Ok(Arc::clone(snapshot));
    }
    let (began, time) = (Instant::now(), shared.clock.now());
    let rows = storage::figures(shared.database.internal_pool(), time).await?;
    let snapshot = Arc::new(Snapshot::of(rows, time));
    let rest = shared.figures.period.max(began.elapsed() * REST);
    *latest = Some((Instant::now() + rest, Arc::clone(&snapshot)));
    Ok(snapshot)
}

impl Snapshot {
    fn of(rows: Vec<FiguresRow>, time: DateTime<Utc>) -> Self {
        let mut queues = BTreeMap::<_, Vec<_>>::new();
        for row in rows {
            let key = (row.tenant_id, row.queue.clone());
            queues.entry(key).or_default().push(row);
        }
        Self { time, queues }
    }

    /// The counts of a queue, one row for each capability.
    pub fn queue(&self, tenant: TenantId, queue: &str) -> &[FiguresRow] {
        let key = (tenant.uuid(), queue.to_owned());
        self.queues.get(&key).map_or(&[], Vec::as_slice)
    }

    /// The queues of a tenant by name, after one.
    pub fn queues(&self, tenant: TenantId, after: &str) -> impl Iterator<Item = &str> {
        let from = (tenant.uuid(), after.to_owned());
        let later = self
            .queues
            .range(from..)
            .map(|((owner, name), _)| (owner, name));
        later
            .take_while(move |(owner, _)| **owner == tenant.uuid())
            .map(|(_, name)| name.as_str())
            .filter(move |name| *name > after)
    }
}
