//! What is known of the demands of each tenant, in memory, so that neither who creates tasks nor who
//! takes them reads any.
//!
//! Known like task types (`catalogues.rs`): whoever adds a demand wakes `demands/<tenant>` after the
//! commit, for which agents that wait for work listen, too: what they may take has changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use moka::future::Cache;
use reeve_clock::Clock;
use reeve_ids::TenantId;
use reeve_postgres::Database;
use reeve_redis::{Wakeup, Wakeups};
use reeve_status::Fault;
use tokio::sync::watch;

use crate::domain::Demands;
use crate::{Error, storage};

/// How long it is remembered that a demand is written down. Far less than it stays there unused.
const REMEMBERED: Duration = Duration::from_secs(3_600);
/// How long a demand stays that no task has.
pub const KEPT: TimeDelta = TimeDelta::hours(24);
const MOST_TENANTS: u64 = 10_000;
const MOST_REMEMBERED: usize = 100_000;
/// How often what was read is read again because it changed meanwhile.
const TRIES: usize = 3;

/// Knows the demands of tenants.
pub struct KnownDemands {
    database: Database,
    wakeups: Wakeups,
    clock: Arc<dyn Clock>,
    memory: TimeDelta,
    known: Cache<TenantId, Arc<Known>>,
    written: Mutex<Written>,
}

/// Until when it is remembered that a demand is written down.
type Written = HashMap<(TenantId, String), Instant>;

/// What was read of one tenant.
struct Known {
    demands: Arc<Demands>,
    read_time: DateTime<Utc>,
    news: watch::Receiver<()>,
    /// Keeps the topic, and goes after what listens to it.
    _wakeup: Wakeup,
}

impl KnownDemands {
    /// That knows nothing yet, and believes what it reads for `memory` while nobody says otherwise.
    pub fn new(
        database: Database,
        wakeups: Wakeups,
        clock: Arc<dyn Clock>,
        memory: TimeDelta,
    ) -> Self {
        Self {
            database,
            wakeups,
            clock,
            memory,
            known: Cache::builder().max_capacity(MOST_TENANTS).build(),
            written: Mutex::default(),
        }
    }

    /// The demands of a tenant as they are now.
    ///
    /// # Errors
    /// UNAVAILABLE when they are not known and cannot be read.
    pub async fn of(&self, tenant: TenantId) -> Result<Arc<Demands>, Fault> {
        for _ in 0..TRIES {
            let known = match self.known.get(&tenant).await {
                Some(known) => known,
                None => self.read(tenant).await?,
            };
            if self.is_fresh(&known) {
                return Ok(Arc::clone(&known.demands));
            }
            let now = self.known.get(&tenant).await;
            if now.is_some_and(|now| Arc::ptr_eq(&now, &known)) {
                self.known.invalidate(&tenant).await;
            }
        }
        Ok(Arc::clone(&self.read(tenant).await?.demands))
    }

    /// Hears when the demands of a tenant change.
    pub fn listen(&self, tenant: TenantId) -> Wakeup {
        self.wakeups.subscribe(&topic(tenant))
    }

    /// Tells every replica that a tenant's demands have changed; after the commit.
    pub fn tell(&self, tenant: TenantId) {
        self.wakeups.publish(&topic(tenant));
    }

    /// Whether a demand is known to be written down.
    pub fn is_written(&self, tenant: TenantId, demand: &str) -> bool {
        let until = self.written().get(&(tenant, demand.to_owned())).copied();
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Notes that a demand was written down, and tells of it when that is news here; after the commit.
    pub fn note(&self, tenant: TenantId, demand: &str) {
        if self.is_written(tenant, demand) {
            return;
        }
        let mut written = self.written();
        if written.len() >= MOST_REMEMBERED {
            written.clear();
        }
        let until = Instant::now() + REMEMBERED;
        written.insert((tenant, demand.to_owned()), until);
        drop(written);
        self.tell(tenant);
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_fresh(&self, known: &Known) -> bool {
        let has_news = known.news.has_changed().unwrap_or(true);
        !has_news && self.clock.now() - known.read_time < self.memory
    }

    /// Reads a tenant's demands; all who ask meanwhile wait for the same answer.
    async fn read(&self, tenant: TenantId) -> Result<Arc<Known>, Fault> {
        let read = async {
            let wakeup = self.wakeups.subscribe(&topic(tenant));
            let (news, read_time) = (wakeup.watch(), self.clock.now());
            let mut tx = self.database.tenant(tenant).await?;
            let demands = storage::all_demands(&mut tx, tenant).await?;
            tx.commit().await?;
            Ok::<_, Error>(Arc::new(Known {
                demands: Arc::new(Demands::new(demands)),
                read_time,
                news,
                _wakeup: wakeup,
            }))
        };
        let read = async { read.await.map_err(Fault::from) };
        let known = self.known.try_get_with(tenant, read).await;
        known.map_err(|fault| Fault::clone(&fault))
    }
}

fn topic(tenant: TenantId) -> String {
    format!("demands/{tenant}")
}
