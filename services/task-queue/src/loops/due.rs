//! Lapsed leases, timeouts and disobeyed cancellations.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use reeve_events::Actor;
use reeve_ids::{TaskId, TenantId};
use reeve_runtime::Progress;

use super::brake::Brake;
use super::pace::Pace;
use crate::config::span;
use crate::domain::LeaseToken;
use crate::lanes::{End, Ender};
use crate::operations::{self, Late};
use crate::storage::{self, Due, Limits};
use crate::{Error, NAME, Queue};

/// Tasks that one tick settles.
const BATCH: i64 = 500;

/// Ends what time has overtaken. Several replicas may do it: each end is checked again under the
/// row's lock.
pub struct DueTasks {
    queue: Queue,
    brake: Brake,
    pace: Pace,
}

impl DueTasks {
    /// Over the service.
    pub fn new(queue: Queue) -> Self {
        Self {
            queue,
            brake: Brake::default(),
            pace: Pace::new(Duration::ZERO),
        }
    }

    /// Looks once; more when there may be more.
    ///
    /// # Errors
    /// When PostgreSQL is away.
    pub async fn tick(&self) -> Result<Progress, Error> {
        let started = Instant::now();
        if !self.pace.allows(started) {
            return Ok(Progress::Idle);
        }
        let shared = &self.queue.shared;
        let config = &shared.config;
        let now = (started, shared.clock.now());
        // Without a time to judge by the sweep looks all the same: that is how outages are noticed.
        let judged = self.brake.time(now, config.outage_grace);
        let time = judged.unwrap_or(DateTime::UNIX_EPOCH);
        let before = Limits {
            timeout: time,
            cancel: time - span(config.cancel_grace),
            lease: time - span(config.lapse_grace),
        };
        let pool = shared.database.internal_pool();
        let found = storage::due(pool, before, BATCH).await?;
        let rest = self.pace.took(Instant::now(), started.elapsed());
        self.brake.looked(
            (Instant::now(), shared.clock.now()),
            rest.max(config.sweep_period),
        );
        let full = i64::try_from(found.len()).is_ok_and(|found| found == BATCH);
        let (gates, found): (Vec<_>, Vec<_>) = found.into_iter().partition(|due| due.cause == 5);
        self.expire(gates, before.timeout).await;
        let ends: Vec<_> = found
            .into_iter()
            .filter_map(|due| {
                let ender = match due.cause {
                    1 => Ender::Lapse(before.lease),
                    2 => Ender::RunOut(before.timeout),
                    3 => Ender::WaitOut(before.timeout),
                    4 => Ender::Disobey(before.cancel),
                    _ => return None,
                };
                Some(end(due, ender))
            })
            .collect();
        for answer in self.queue.lanes.settle.submit_all(ends).await? {
            if let Err(fault) = answer {
                tracing::warn!(%fault, "a task that time has overtaken could not be settled");
            }
        }
        Ok(full.into())
    }
}

impl DueTasks {
    /// Lets gates expire, one after the other: people's questions are few.
    async fn expire(&self, gates: Vec<Due>, limit: DateTime<Utc>) {
        for due in gates {
            let tenant = TenantId::from_uuid(due.tenant_id);
            let task = (tenant, TaskId::from_uuid(due.task_id));
            let late = Late { task, limit };
            if let Err(error) = operations::expire(&self.queue, late).await {
                tracing::warn!(%error, task = %task.1, "a gate could not expire");
            }
        }
    }
}

fn end(due: Due, ender: Ender) -> End {
    End {
        tenant_id: TenantId::from_uuid(due.tenant_id),
        token: LeaseToken {
            task_id: TaskId::from_uuid(due.task_id),
            fence: due.fence,
        },
        ender,
        actor: Actor::service(NAME),
    }
}
