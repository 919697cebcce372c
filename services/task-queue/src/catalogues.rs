//! What is known of each tenant's task types, in memory, so that creating a task reads nothing.
//!
//! What was read is believed until somebody wakes it, which whoever changes a type does after the
//! commit: here at once, in other replicas through Redis. While Redis is away it is believed for
//! `queue.task_type_memory`. Its reader listens before it reads, so no change falls in between.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use moka::future::Cache;
use prometheus_client::metrics::counter::Counter;
use reeve_clock::Clock;
use reeve_ids::TenantId;
use reeve_postgres::Database;
use reeve_redis::{Wakeup, Wakeups};
use reeve_status::Fault;
use tokio::sync::watch;

use crate::domain::Catalogue;
use crate::{Error, storage};

/// What all tenants' types may take; those that were not asked for in a while give way.
const MOST_BYTES: u64 = 128 * 1_024 * 1_024;
/// How often what was read is read again because it changed meanwhile.
const TRIES: usize = 3;

/// Knows the types of tenants.
pub struct Catalogues {
    database: Database,
    wakeups: Wakeups,
    clock: Arc<dyn Clock>,
    memory: TimeDelta,
    loads: Counter,
    known: Cache<TenantId, Arc<Known>>,
}

/// What was read of one tenant.
struct Known {
    catalogue: Arc<Catalogue>,
    read_time: DateTime<Utc>,
    news: watch::Receiver<()>,
    /// Keeps the topic, and goes after what listens to it.
    _wakeup: Wakeup,
}

impl Catalogues {
    /// That knows nothing yet.
    pub fn new(
        database: Database,
        wakeups: Wakeups,
        clock: Arc<dyn Clock>,
        memory: TimeDelta,
        loads: Counter,
    ) -> Self {
        let weight = |_: &TenantId, known: &Arc<Known>| {
            u32::try_from(known.catalogue.weight()).unwrap_or(u32::MAX)
        };
        Self {
            database,
            wakeups,
            clock,
            memory,
            loads,
            known: Cache::builder()
                .max_capacity(MOST_BYTES)
                .weigher(weight)
                .build(),
        }
    }

    /// The types of a tenant.
    ///
    /// # Errors
    /// UNAVAILABLE when they have to be read and the database is away.
    pub async fn of(&self, tenant: TenantId) -> Result<Arc<Catalogue>, Fault> {
        let mut before = None;
        for _ in 0..TRIES {
            let known = match self.known.get(&tenant).await {
                Some(known) => known,
                None => self.read(tenant, before.take()).await?,
            };
            if self.is_fresh(&known) {
                return Ok(Arc::clone(&known.catalogue));
            }
            self.forget(tenant, &known).await;
            before = Some(Arc::clone(&known.catalogue));
        }
        Ok(self.read(tenant, before).await?.catalogue.clone())
    }

    /// Tells every replica that a tenant's types have changed; after the commit.
    pub fn tell(&self, tenant: TenantId) {
        self.wakeups.publish(&topic(tenant));
    }

    fn is_fresh(&self, known: &Known) -> bool {
        let has_news = known.news.has_changed().unwrap_or(true);
        !has_news && self.clock.now() - known.read_time < self.memory
    }

    /// Forgets what is stale, unless somebody else has done so and read it again.
    async fn forget(&self, tenant: TenantId, stale: &Arc<Known>) {
        let now = self.known.get(&tenant).await;
        if now.is_some_and(|now| Arc::ptr_eq(&now, stale)) {
            self.known.invalidate(&tenant).await;
        }
    }

    /// Reads a tenant's types; all who ask meanwhile wait for the same answer.
    async fn read(
        &self,
        tenant: TenantId,
        before: Option<Arc<Catalogue>>,
    ) -> Result<Arc<Known>, Fault> {
        let read = async {
            let wakeup = self.wakeups.subscribe(&topic(tenant));
            let (news, read_time) = (wakeup.watch(), self.clock.now());
            let mut tx = self.database.tenant(tenant).await?;
            let types = storage::all_types(&mut tx, tenant).await?;
            tx.commit().await?;
            self.loads.inc();
            Ok::<_, Error>(Arc::new(Known {
                catalogue: Arc::new(Catalogue::new(types, before.as_deref())),
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
    format!("types/{tenant}")
}
