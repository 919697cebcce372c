//! What every part of the service shares.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use reeve_clock::Clock;
use reeve_events::{NewEvent, Wake};
use reeve_ids::{AgentId, TenantId};
use reeve_postgres::{Database, Tx};
use reeve_redis::Wakeups;
use sqlx::{AssertSqlSafe, PgConnection};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::catalogues::Catalogues;
use crate::clients::{Agents, Budgets};
use crate::config::QueueConfig;
use crate::demands::KnownDemands;
use crate::dispatch::{Dispatch, ReadyTask};
use crate::domain::Admission;
use crate::ends::Ends;
use crate::metrics::TaskMetrics;
use crate::offers::Offers;
use crate::operations::limit::Throttle;
use crate::operations::settling::Effects;
use crate::operations::{Asides, Figures};
use crate::storage::{self, Unblocked};
use crate::{Error, NAME};

/// How the transaction of a lane begins.
const BEGIN_LANE: &str = "BEGIN; SET LOCAL enable_seqscan = off; \
     SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";

/// A handle to what is shared; clones share it.
#[derive(Clone)]
pub struct Shared(Arc<Parts>);

/// What is shared.
pub struct Parts {
    /// The schema.
    pub database: Database,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Wakes the relay of events, and watches.
    pub wake: Wake,
    /// Order and wake-ups.
    pub dispatch: Dispatch,
    /// Lanes from which tasks that a brake holds are being taken.
    pub asides: Asides,
    /// Who waits for the end of tasks.
    pub ends: Ends,
    /// Agents that something may be offered to.
    pub offers: Offers,
    /// What waits and runs in every queue.
    pub figures: Figures,
    /// Wakes an agent's streams on every replica.
    pub wakeups: Wakeups,
    /// Wakes the admission loop.
    pub admission: Arc<Notify>,
    /// Who waits for room within limits.
    pub limits: Throttle,
    /// Wakes the loop of schedules.
    pub schedules: Arc<Notify>,
    /// Which types tasks may have.
    pub catalogues: Catalogues,
    /// What tasks ask of agents.
    pub demands: KnownDemands,
    /// Who can do what.
    pub agents: Agents,
    /// What may be spent.
    pub budgets: Budgets,
    /// What is counted.
    pub metrics: TaskMetrics,
    /// How it behaves.
    pub config: QueueConfig,
    /// How many watches may read the log at the same time.
    pub log_readers: Semaphore,
    /// Cancelled when the server drains.
    pub drain: CancellationToken,
}

impl Deref for Shared {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Shared")
    }
}

impl Shared {
    /// Shares the parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Begins the transaction of a lane, in one round trip. Lanes touch rows by primary key and
    /// nothing else; the planner, whose plans outlive its statistics, must not come to think that a
    /// scan of a table that was small a minute ago is as good.
    ///
    /// # Errors
    /// When PostgreSQL cannot be reached; nothing was written.
    pub async fn lane_transaction(&self) -> Result<Tx, Error> {
        Ok(self.database.internal_with(BEGIN_LANE).await?)
    }

    /// As [`Shared::lane_transaction`], for grants to some tenants: whoever sets a brake waits until
    /// it ends, so that a grant which has not seen the brake is over before its setting is answered.
    /// Taken in the order of the keys, so that two grants cannot deadlock with who waits.
    ///
    /// # Errors
    /// When PostgreSQL cannot be reached; nothing was written.
    pub async fn grant_transaction(
        &self,
        tenants: impl Iterator<Item = TenantId>,
    ) -> Result<Tx, Error> {
        let keys: BTreeSet<_> = tenants.map(storage::lock_key).collect();
        let lock = |key| {
            format!(
                "; SELECT pg_advisory_xact_lock_shared({}, {key})",
                storage::GRANTS
            )
        };
        let locks: String = keys.into_iter().map(lock).collect();
        // Numbers cannot carry SQL.
        let begin = AssertSqlSafe(format!("{BEGIN_LANE}{locks}"));
        Ok(self.database.internal_with(begin).await?)
    }

    /// Writes the events of a transaction, as one row.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn append(
        &self,
        connection: &mut PgConnection,
        events: Vec<NewEvent>,
    ) -> Result<(), Error> {
        for event in &events {
            self.metrics.count_event(event.kind);
        }
        Ok(reeve_events::append(connection, NAME, events).await?)
    }

    /// Makes tasks known of which nothing stands in the way any more; after the commit.
    pub fn announce_unblocked(&self, tasks: &[Unblocked], now: DateTime<Utc>) {
        let free = |task: &&Unblocked| task.blocked_by == 0 && task.ready_time <= now;
        let lets_run = |task: &&Unblocked| {
            Admission::from_number(task.admission).is_some_and(Admission::lets_run)
        };
        let ready: Vec<ReadyTask> = tasks
            .iter()
            .filter(free)
            .filter(lets_run)
            .map(|task| ReadyTask::from_row(&task.ready, task.ready_time))
            .collect();
        self.dispatch.announce(ready);
        if tasks.iter().any(|task| !lets_run(&task)) {
            self.admission.notify_one();
        }
    }

    /// Makes known what was written of tasks that ended or went back; after the commit.
    pub fn follow(&self, effects: Effects, now: DateTime<Utc>) {
        self.wake.notify();
        self.limits.ended();
        self.dispatch.announce(effects.ready);
        self.dispatch.withdraw(&effects.gone);
        self.dispatch.charge(effects.charges);
        self.ends.ring(effects.ended);
        self.announce_unblocked(&effects.unblocked, now);
        if effects.unadmitted {
            self.admission.notify_one();
        }
        for (tenant, agent) in effects.bereft {
            let topic = Self::agent_topic(tenant, AgentId::from_uuid(agent));
            self.wakeups.publish(&topic);
        }
    }

    /// The topic on which those who lease for an agent hear that something of it has changed.
    pub fn change_topic(tenant: TenantId, agent: AgentId) -> String {
        format!("changed/{tenant}/{agent}")
    }

    /// The topic on which an agent's streams listen for cancellations and offers.
    pub fn agent_topic(tenant: TenantId, agent: AgentId) -> String {
        format!("agent/{tenant}/{agent}")
    }
}
