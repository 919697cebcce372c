//! Keeps the ready queues in Redis in step with PostgreSQL: returns what was popped and never
//! claimed, refills them when Redis lost them, and puts back what it forgot.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use reeve_ids::{TenantId, Uuid};
use reeve_runtime::Progress;

use super::pace::Pace;
use crate::Error;
use crate::config::span;
use crate::core::Shared;
use crate::dispatch::{LaneKey, ReadyTask};
use crate::storage::{self, LineCount};

/// Tasks that one page of a refill has.
const PAGE: i64 = 5_000;
/// Tasks at the head of each lane that a comparison looks at.
const SLICE: usize = 1_000;
/// Lanes that one comparison looks at; when there are more, they take turns.
const LANES: usize = 64;
/// Tasks that one comparison reads.
const READ: i64 = 100_000;
/// How long a replica may take for one page of a refill.
const REBUILD_TURN: Duration = Duration::from_secs(30);

/// The sweep of the ready queues.
pub struct ReadySweep {
    shared: Shared,
    pace: Pace,
    /// Which lane is compared whatever its count says.
    turn: AtomicUsize,
}

impl ReadySweep {
    /// Over the service.
    pub fn new(shared: Shared) -> Self {
        let pace = Pace::new(shared.config.reconcile_period);
        Self {
            shared,
            pace,
            turn: AtomicUsize::new(0),
        }
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
        self.return_unclaimed().await;
        self.reconcile().await?;
        Ok(Progress::Idle)
    }

    async fn return_unclaimed(&self) {
        let dispatch = &self.shared.dispatch;
        match dispatch.ready().sweep_granting(1_000).await {
            Ok(mut returned) => {
                returned.sort_unstable_by(|left, right| left.lane.cmp(&right.lane));
                for lane in returned.chunk_by(|left, right| left.lane == right.lane) {
                    dispatch.ring(&LaneKey::named(&lane[0].lane), lane.len(), &[]);
                }
            }
            Err(error) => tracing::debug!(%error, "popped tasks were not returned"),
        }
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

    /// Compares counts, and where they differ, the ids at the head of the lane: what Redis forgot is
    /// found before it would be its turn.
    async fn reconcile(&self) -> Result<(), Error> {
        let started = Instant::now();
        if !self.pace.allows(started) {
            return Ok(());
        }
        let shared = &self.shared;
        let pool = shared.database.internal_pool();
        let now = shared.clock.now();
        let counts = storage::ready_counts(pool, now).await?;
        shared
            .metrics
            .ready
            .set(counts.iter().map(|count| count.tasks).sum());
        match self.suspects(&counts).await {
            Ok(suspects) => self.restore(&suspects, now).await?,
            Err(error) => tracing::debug!(%error, "the ready queues cannot be compared"),
        }
        self.pace.took(Instant::now(), started.elapsed());
        Ok(())
    }

    /// Lanes that may lack a task, each with the score up to which they are to be compared: those of
    /// which Redis holds fewer than there are, and one in turn, since what is over and still in a
    /// lane is counted, too.
    async fn suspects<'a>(
        &self,
        counts: &'a [LineCount],
    ) -> Result<Vec<(&'a LineCount, i64)>, reeve_redis::Error> {
        let ready = self.shared.dispatch.ready();
        let keys: Vec<_> = counts.iter().map(name).collect();
        let held = ready.lens(&keys).await?;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let each = counts.iter().zip(keys).zip(held).enumerate();
        let mut suspects: Vec<_> = each
            .filter(|(at, ((count, _), held))| {
                let fewer = i64::try_from(*held).is_ok_and(|held| held < count.tasks);
                fewer || *at == turn % counts.len()
            })
            .map(|(_, (lane, _))| lane)
            .collect();
        if suspects.len() > LANES {
            let first = turn.wrapping_mul(LANES) % suspects.len();
            suspects.rotate_left(first);
            suspects.truncate(LANES);
        }
        let (suspects, keys): (Vec<_>, Vec<_>) = suspects.into_iter().unzip();
        let last = ready.scores_at(&keys, SLICE).await?;
        let last = last.into_iter().map(|score| score.map_or(i64::MAX, whole));
        Ok(suspects.into_iter().zip(last).collect())
    }

    /// Puts back what Redis does not have.
    async fn restore(
        &self,
        suspects: &[(&LineCount, i64)],
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        if suspects.is_empty() {
            return Ok(());
        }
        let shared = &self.shared;
        // What became ready just now may be on its way.
        let before = now - span(shared.config.reconcile_period) / 2;
        let pool = shared.database.internal_pool();
        let rows = storage::ready_of_lanes(pool, suspects, before, now, READ).await?;
        let mut lines = BTreeMap::<String, Vec<ReadyTask>>::new();
        for row in &rows {
            let task = ReadyTask::from_row(row, now);
            lines.entry(task.place.name()).or_default().push(task);
        }
        for (line, tasks) in lines {
            match self.missing(&line, tasks).await {
                Ok(missing) if missing.is_empty() => {}
                Ok(missing) => {
                    let forgotten = u64::try_from(missing.len()).unwrap_or(u64::MAX);
                    shared.metrics.forgotten.inc_by(forgotten);
                    shared.dispatch.admit(&missing).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "a ready queue cannot be compared");
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn missing(
        &self,
        line: &str,
        mut tasks: Vec<ReadyTask>,
    ) -> Result<Vec<ReadyTask>, reeve_redis::Error> {
        let ids: Vec<String> = tasks.iter().map(|task| task.id.to_string()).collect();
        let ready = self.shared.dispatch.ready();
        let missing = ready.missing(line, &ids).await?;
        let missing: HashSet<_> = missing.into_iter().collect();
        let mut ids = ids.iter();
        tasks.retain(|_| ids.next().is_some_and(|id| missing.contains(id)));
        Ok(tasks)
    }
}

/// A score as the table has it: milliseconds, far below where a double loses integers.
#[allow(clippy::cast_possible_truncation)]
fn whole(score: f64) -> i64 {
    score as i64
}

/// The line's name in Redis.
fn name(count: &LineCount) -> String {
    let tenant = TenantId::from_uuid(count.tenant_id);
    let lane = LaneKey::new(tenant, &count.queue, &count.capability, &count.demand);
    format!("{}{}", lane.as_str(), count.line)
}

fn gave_up(error: &reeve_redis::Error) -> Progress {
    tracing::debug!(%error, "the refill of the ready queues begins again later");
    Progress::Idle
}
