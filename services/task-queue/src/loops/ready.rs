//! Keeps the ready queues in Redis in step with PostgreSQL: returns what was popped and never
//! claimed, refills them when Redis lost them, and puts back what it forgot.

use std::time::{Duration, Instant};

use reeve_ids::{TaskId, TenantId, Uuid};
use reeve_runtime::Progress;

use super::pace::Pace;
use crate::Error;
use crate::config::span;
use crate::core::Shared;
use crate::dispatch::{LaneKey, ReadyTask};
use crate::storage::{self, LaneCount};

/// Tasks that one page of a refill has.
const PAGE: i64 = 5_000;
/// Tasks of a lane that one comparison looks at.
const SLICE: i64 = 5_000;
/// How long a replica may take for one page of a refill.
const REBUILD_TURN: Duration = Duration::from_secs(30);

/// The sweep of the ready queues.
pub struct ReadySweep {
    shared: Shared,
    pace: Pace,
}

impl ReadySweep {
    /// Over the service.
    pub fn new(shared: Shared) -> Self {
        let pace = Pace::new(shared.config.reconcile_period);
        Self { shared, pace }
    }

    /// Looks once.
    ///
    /// # Errors
    /// When PostgreSQL is away. Redis may be: then agents pick from the table.
    pub async fn tick(&self) -> Result<Progress, Error> {
        let ready = self.shared.dispatch.ready();
        match ready.verify().await {
            Ok(()) => {}
            Err(reeve_redis::Error::Rebuild) => return self.rebuild().await,
            Err(error) => {
                tracing::debug!(%error, "the ready queues cannot be checked");
                return Ok(Progress::Idle);
            }
        }
        if let Err(error) = ready.sweep_granting(1_000).await {
            tracing::debug!(%error, "popped tasks were not returned");
        }
        self.reconcile().await?;
        Ok(Progress::Idle)
    }

    async fn rebuild(&self) -> Result<Progress, Error> {
        let ready = self.shared.dispatch.ready();
        let right = match ready.rebuild_begin(REBUILD_TURN).await {
            Ok(Some(right)) => right,
            Ok(None) => return Ok(Progress::Idle),
            Err(error) => return Ok(gave_up(&error)),
        };
        let pool = self.shared.database.internal_pool();
        let mut after = Uuid::nil();
        let mut tasks = 0_usize;
        loop {
            let now = self.shared.clock.now();
            let page = storage::ready_page(pool, after, now, PAGE).await?;
            let Some(last) = page.last().map(|row| row.task_id) else {
                break;
            };
            after = last;
            tasks += page.len();
            let batch: Vec<_> = page
                .iter()
                .map(|row| ReadyTask::from_row(row, now).to_redis())
                .collect();
            let pushed = ready.push(&batch).await;
            let extended = match pushed {
                Ok(()) => ready.rebuild_extend(&right).await,
                Err(error) => Err(error),
            };
            if let Err(error) = extended {
                return Ok(gave_up(&error));
            }
        }
        match ready.rebuild_finish(right).await {
            Ok(()) => {
                self.shared.metrics.rebuilds.inc();
                tracing::info!(tasks, "the ready queues were refilled");
                Ok(Progress::Idle)
            }
            Err(error) => Ok(gave_up(&error)),
        }
    }

    /// Compares counts, and where Redis has fewer, ids.
    async fn reconcile(&self) -> Result<(), Error> {
        let started = Instant::now();
        if !self.pace.allows(started) {
            return Ok(());
        }
        let shared = &self.shared;
        // What became ready just now may be on its way.
        let before = shared.clock.now() - span(shared.config.reconcile_period) / 2;
        let counts = storage::ready_counts(shared.database.internal_pool(), before).await?;
        shared
            .metrics
            .ready
            .set(counts.iter().map(|count| count.tasks).sum());
        let keys: Vec<_> = counts.iter().map(key).collect();
        let held = match shared.dispatch.ready().lens(&keys).await {
            Ok(held) => held,
            Err(error) => {
                tracing::debug!(%error, "the ready queues cannot be compared");
                return Ok(());
            }
        };
        for ((count, key), held) in counts.iter().zip(keys).zip(held) {
            if i64::try_from(held).is_ok_and(|held| held < count.tasks) {
                self.restore(count, key).await?;
            }
        }
        self.pace.took(Instant::now(), started.elapsed());
        Ok(())
    }

    /// Puts back the first tasks of a lane that Redis does not have.
    async fn restore(&self, count: &LaneCount, lane: LaneKey) -> Result<(), Error> {
        let now = self.shared.clock.now();
        let pool = self.shared.database.internal_pool();
        let first = storage::ready_of_lane(pool, count, now, SLICE).await?;
        let ids: Vec<String> = first.iter().map(|(id, _)| id.to_string()).collect();
        let missing = match self
            .shared
            .dispatch
            .ready()
            .missing(lane.as_str(), &ids)
            .await
        {
            Ok(missing) => missing,
            Err(error) => {
                tracing::debug!(%error, "a ready queue cannot be compared");
                return Ok(());
            }
        };
        let missing: std::collections::HashSet<_> = missing.into_iter().collect();
        let tasks: Vec<_> = first
            .iter()
            .zip(&ids)
            .filter(|(_, id)| missing.contains(id))
            .map(|((id, score), _)| ReadyTask {
                lane: lane.clone(),
                id: TaskId::from_uuid(*id),
                score: *score,
                ready_time: now,
            })
            .collect();
        if !tasks.is_empty() {
            let forgotten = u64::try_from(tasks.len()).unwrap_or(u64::MAX);
            self.shared.metrics.forgotten.inc_by(forgotten);
            self.shared.dispatch.admit(&tasks).await;
        }
        Ok(())
    }
}

fn key(count: &LaneCount) -> LaneKey {
    LaneKey::new(
        TenantId::from_uuid(count.tenant_id),
        &count.queue,
        &count.capability,
    )
}

fn gave_up(error: &reeve_redis::Error) -> Progress {
    tracing::debug!(%error, "the refill of the ready queues begins again later");
    Progress::Idle
}
