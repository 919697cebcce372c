//! Money before work: gets holds for pending tasks that have a budget.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use reeve_events::Actor;
use reeve_runtime::Progress;
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use crate::clients::{Refusal, Reservation};
use crate::config::span;
use crate::core::Shared;
use crate::dispatch::ReadyTask;
use crate::domain::{Admission, Budget, Cause, Hold, State};
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
    pace: Pace,
}

/// What a question led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// To an answer that was written.
    Answered,
    /// To the same refusal as before.
    RefusedAgain,
    /// To nothing: finance is away, or cannot say.
    Unknown,
}

impl Admissions {
    /// Over the service.
    pub fn new(shared: Shared) -> Self {
        let pace = Pace::new(Duration::ZERO);
        Self { shared, pace }
    }

    /// Asks once for each task that waits for it; more when there may be more. The answer is
    /// written only if the task has not moved on, and the question has the task's version in its
    /// request id, so several replicas may ask.
    ///
    /// # Errors
    /// When PostgreSQL is away.
    pub async fn tick(&self, stop: CancellationToken) -> Result<Progress, Error> {
        tokio::select! {
            () = self.pace.rested() => {}
            () = stop.cancelled() => return Ok(Progress::Idle),
        }
        let shared = &self.shared;
        let (started, now) = (Instant::now(), shared.clock.now());
        let asked_before = now - span(shared.config.budget_period);
        let pool = shared.database.internal_pool();
        let tasks = storage::unadmitted(pool, asked_before, now, BATCH).await?;
        self.pace.took(Instant::now(), started.elapsed());
        let full = i64::try_from(tasks.len()).is_ok_and(|tasks| tasks == BATCH);
        let asked = futures::stream::iter(tasks).map(|task| async move {
            let asked = self.ask(&task).await?;
            Ok::<_, Error>((task, asked))
        });
        let answers: Vec<_> = asked.buffer_unordered(AT_ONCE).collect().await;
        let answers = answers.into_iter().collect::<Result<Vec<_>, Error>>()?;
        let vain = answers
            .iter()
            .filter(|(_, asked)| *asked != Asked::Answered)
            .map(|(task, _)| task);
        storage::postpone(pool, &vain.collect::<Vec<_>>(), now).await?;
        // Without an answer from finance there is no use in asking on.
        let known = answers.iter().any(|(_, asked)| *asked != Asked::Unknown);
        Ok((full && known).into())
    }

    async fn ask(&self, task: &Unadmitted) -> Result<Asked, Error> {
        let Some(budget) = task.facts.details.budget() else {
            return Ok(Asked::Unknown);
        };
        match self.reserve(task, &budget).await {
            Ok(hold) => self.admit(task, hold).await?,
            Err(Refusal::Exhausted) => return self.refuse(task).await,
            Err(Refusal::Over) => self.ask_anew(task).await?,
            Err(Refusal::Impossible(fault)) => self.give_up(task, &fault).await?,
            Err(Refusal::Unknown(fault)) => {
                tracing::debug!(%fault, "a budget is asked again later");
                return Ok(Asked::Unknown);
            }
        }
        Ok(Asked::Answered)
    }

    async fn reserve(&self, task: &Unadmitted, budget: &Budget) -> Result<Hold, Refusal> {
        let (tenant_id, task_id) = task.id();
        let ask = Reservation {
            tenant_id,
            task_id,
            version: task.version,
            attempt: task.attempt + 1,
            budget,
            traceparent: &task.facts.details.traceparent,
        };
        let now = self.shared.clock.now();
        self.shared.budgets.reserve(&ask, now).await
    }

    async fn admit(&self, task: &Unadmitted, hold: Hold) -> Result<(), Error> {
        let shared = &self.shared;
        let now = shared.clock.now();
        let mut tx = shared.database.internal().await?;
        let admitted = storage::admit(&mut tx, task, Admission::Held, Some(hold), now).await?;
        tx.commit().await?;
        let (tenant, _) = task.id();
        let Some(admitted) = admitted else {
            let still_needed = self.is_held(task, hold).await?;
            if !still_needed {
                shared.budgets.release(tenant, hold.id).await;
            }
            return Ok(());
        };
        let ready = ReadyTask::from_row(&admitted.ready, admitted.ready_time);
        shared.dispatch.announce(vec![ready]);
        Ok(())
    }

    /// Whether the task runs under this hold: another replica may have been quicker, with the same
    /// answer.
    async fn is_held(&self, task: &Unadmitted, hold: Hold) -> Result<bool, Error> {
        let (tenant, id) = task.id();
        let mut tx = self.shared.database.internal().await?;
        let found = storage::get(&mut tx, tenant, &[id], false).await?;
        tx.commit().await?;
        Ok(found
            .first()
            .is_some_and(|task| task.hold_id == Some(hold.id)))
    }

    async fn refuse(&self, task: &Unadmitted) -> Result<Asked, Error> {
        if task.admission == Admission::OverBudget.number() {
            return Ok(Asked::RefusedAgain);
        }
        let shared = &self.shared;
        let now = shared.clock.now();
        let mut tx = shared.database.internal().await?;
        let changed = storage::admit(&mut tx, task, Admission::OverBudget, None, now).await?;
        if changed.is_some() {
            let event = events::over_budget(task, &Actor::service(NAME), now);
            shared.append(&mut tx, vec![event]).await?;
        }
        tx.commit().await?;
        shared.wake.notify();
        Ok(Asked::Answered)
    }

    /// The task changes, so that the next question is another request.
    async fn ask_anew(&self, task: &Unadmitted) -> Result<(), Error> {
        let shared = &self.shared;
        let mut tx = shared.database.internal().await?;
        let now = shared.clock.now();
        storage::admit(&mut tx, task, Admission::Awaiting, None, now).await?;
        tx.commit().await?;
        shared.admission.notify_one();
        Ok(())
    }

    /// A budget that does not exist, or is in another currency, will never allow the task.
    async fn give_up(&self, task: &Unadmitted, fault: &reeve_status::Fault) -> Result<(), Error> {
        let shared = &self.shared;
        let now = shared.clock.now();
        let mut tx = shared.database.internal().await?;
        let locked = storage::lock(&mut tx, &[task.id()]).await?;
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
            artifacts: Vec::new(),
            cancel_reason: Some(format!("BUDGET_REFUSED: {}", fault.message())),
            actor: Actor::service(NAME),
            gate: settling::AtGate::Nothing,
        };
        let mut effects = settling::write(&mut tx, vec![decision], now).await?;
        shared
            .append(&mut tx, std::mem::take(&mut effects.events))
            .await?;
        tx.commit().await?;
        shared.follow(effects, now);
        Ok(())
    }
}
