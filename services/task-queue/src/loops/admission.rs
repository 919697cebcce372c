//! Money before work: gets holds for pending tasks that have a budget.

use futures::StreamExt as _;
use reeve_events::Actor;
use reeve_ids::{HoldId, TaskId, TenantId};
use reeve_runtime::Progress;

use crate::clients::Refusal;
use crate::config::span;
use crate::core::Shared;
use crate::dispatch::{LaneKey, ReadyTask};
use crate::domain::{Admission, Cause, State};
use crate::operations::{events, settling};
use crate::storage::{self, Unadmitted};
use crate::{Error, NAME};

/// Tasks that one tick asks for.
const BATCH: i64 = 200;
/// Questions to finance at the same time.
const AT_ONCE: usize = 8;

/// Asks budgets.
pub struct Admissions {
    shared: Shared,
}

impl Admissions {
    /// Over the service.
    pub fn new(shared: Shared) -> Self {
        Self { shared }
    }

    /// Asks once for each task that waits for it; more when there may be more. The answer is
    /// written only if the task has not moved on, and the question has the attempt in its request
    /// id, so several replicas may ask.
    ///
    /// # Errors
    /// When PostgreSQL is away.
    pub async fn tick(&self) -> Result<Progress, Error> {
        let shared = &self.shared;
        let now = shared.clock.now();
        let refused_before = now - span(shared.config.budget_period);
        let pool = shared.database.internal_pool();
        let tasks = storage::unadmitted(pool, refused_before, now, BATCH).await?;
        let full = i64::try_from(tasks.len()).is_ok_and(|tasks| tasks == BATCH);
        let asked = futures::stream::iter(tasks).map(|task| self.ask(task));
        let answers: Vec<_> = asked.buffer_unordered(AT_ONCE).collect().await;
        let known = answers.into_iter().collect::<Result<Vec<bool>, Error>>()?;
        // Without an answer from finance there is no use in asking on.
        Ok((full && known.into_iter().any(|known| known)).into())
    }

    /// True when finance gave an answer.
    async fn ask(&self, task: Unadmitted) -> Result<bool, Error> {
        let Some(budget) = task.facts.details.budget() else {
            return Ok(true);
        };
        let who = (
            TenantId::from_uuid(task.tenant_id),
            TaskId::from_uuid(task.task_id),
        );
        let (attempt, traceparent) = (task.attempt + 1, &task.facts.details.traceparent);
        match self
            .shared
            .budgets
            .reserve(who, attempt, &budget, traceparent)
            .await
        {
            Ok(hold) => self.admit(&task, hold).await?,
            Err(Refusal::Exhausted) => self.refuse(&task).await?,
            Err(Refusal::Impossible(fault)) => self.give_up(&task, &fault).await?,
            Err(Refusal::Unknown(fault)) => {
                tracing::debug!(%fault, "a budget is asked again later");
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn admit(&self, task: &Unadmitted, hold: HoldId) -> Result<(), Error> {
        let shared = &self.shared;
        let now = shared.clock.now();
        let mut tx = shared.database.internal().await?;
        let place = storage::admit(&mut tx, task, Admission::Held, Some(hold), now).await?;
        tx.commit().await?;
        let tenant = TenantId::from_uuid(task.tenant_id);
        let Some((ready_time, score)) = place else {
            let still_needed = self.is_held(task, hold).await?;
            if !still_needed {
                shared.budgets.release(tenant, hold).await;
            }
            return Ok(());
        };
        shared.dispatch.announce(vec![ReadyTask {
            lane: LaneKey::new(tenant, &task.facts.queue, &task.capability),
            id: TaskId::from_uuid(task.task_id),
            score,
            ready_time,
        }]);
        Ok(())
    }

    /// Whether the task runs under this hold: another replica may have been quicker, with the same
    /// answer.
    async fn is_held(&self, task: &Unadmitted, hold: HoldId) -> Result<bool, Error> {
        let tenant = TenantId::from_uuid(task.tenant_id);
        let mut tx = self.shared.database.internal().await?;
        let found =
            storage::get(&mut tx, tenant, &[TaskId::from_uuid(task.task_id)], false).await?;
        tx.commit().await?;
        Ok(found.first().is_some_and(|task| task.hold_id == Some(hold)))
    }

    async fn refuse(&self, task: &Unadmitted) -> Result<(), Error> {
        let shared = &self.shared;
        let now = shared.clock.now();
        let mut tx = shared.database.internal().await?;
        let changed = storage::admit(&mut tx, task, Admission::OverBudget, None, now).await?;
        let first = task.admission == Admission::Awaiting.number();
        if changed.is_some() && first {
            let event = events::over_budget(task, &Actor::service(NAME), now);
            shared.append(&mut tx, vec![event]).await?;
        }
        tx.commit().await?;
        shared.wake.notify();
        Ok(())
    }

    /// A budget that does not exist, or is in another currency, will never allow the task.
    async fn give_up(&self, task: &Unadmitted, fault: &reeve_status::Fault) -> Result<(), Error> {
        let shared = &self.shared;
        let now = shared.clock.now();
        let mut tx = shared.database.internal().await?;
        let locked = storage::lock(&mut tx, &[TaskId::from_uuid(task.task_id)]).await?;
        let waits = |row: &storage::LockedRow| {
            row.state == State::Pending.number() && row.version == task.version
        };
        let Some(row) = locked.into_iter().find(waits) else {
            return Ok(());
        };
        let settled = settling::decide(&row, Cause::Cancel, now)?;
        let decision = settling::Decision {
            row,
            settled,
            usage: None,
            cancel_reason: Some(format!("BUDGET_REFUSED: {}", fault.message())),
            actor: Actor::service(NAME),
        };
        let effects = settling::write(&mut tx, vec![decision], now).await?;
        shared.append(&mut tx, effects.events).await?;
        tx.commit().await?;
        shared.wake.notify();
        Ok(())
    }
}
