//! Asking task-queue for what transitions want. Outside any transaction; a command is deleted once it
//! was carried out, and carrying it out twice is harmless.

use chrono::TimeDelta;
use futures::StreamExt as _;
use reeve_ids::TaskId;
use reeve_status::{Code, Fault};

use super::engine::{Author, Engine};
use super::held::Held;
use crate::clients::AttemptKey;
use crate::domain::event::{Event, TaskNews, TaskReport};
use crate::domain::failure::{Failure, FailureClass};
use crate::error::Error;
use crate::storage::commands;
use crate::storage::rows::CommandRow;

/// How long a claim lasts. A pass over a slow task-queue may take longer; another replica then asks
/// again, which is harmless.
const CLAIM: TimeDelta = TimeDelta::seconds(60);
const LONGEST_PAUSE_MS: i64 = 30_000;
/// The pause after a call that may still be under way at task-queue: longer than it can be.
const UNCERTAIN_PAUSE_MS: i64 = 10_000;

/// What came of a command.
enum Outcome {
    /// The task exists.
    Created(TaskId),
    /// There is nothing left to do.
    Done,
    /// There is no task to cancel, and never will be.
    NeverWas,
    /// task-queue will never take it.
    Refused(Fault),
    /// To be tried again, after this pause at least.
    Later(i64),
}

impl Engine {
    /// Carries out what is due; true when there may be more.
    ///
    /// # Errors
    /// When the database is away; what was claimed is tried again.
    pub async fn relay_commands(&self) -> Result<bool, Error> {
        let now = self.now();
        let pool = self.database.internal_pool();
        let claimed = commands::claim(pool, now, now + CLAIM, self.command_batch).await?;
        if claimed.is_empty() {
            return Ok(false);
        }
        let calls: Vec<_> = claimed
            .iter()
            .map(|command| self.attempt(command))
            .collect();
        let outcomes: Vec<_> = futures::stream::iter(calls)
            .buffer_unordered(self.calls)
            .collect()
            .await;
        self.settle(&outcomes).await?;
        for (command, outcome) in &outcomes {
            let news = match outcome {
                Outcome::Refused(fault) => refused(fault),
                Outcome::NeverWas => TaskNews::Cancelled,
                Outcome::Created(_) | Outcome::Done | Outcome::Later(_) => continue,
            };
            let concluded = self.conclude(command, news).await;
            let (tenant, execution) = (command.tenant(), command.execution());
            if let Err(error) = self.or_abandon(tenant, execution, concluded).await {
                // Its claim lapses, and then it is concluded again.
                tracing::warn!(%error, %execution, "a command waits");
            }
        }
        // What was put off is not more to do now.
        Ok(outcomes
            .iter()
            .any(|(_, outcome)| !matches!(outcome, Outcome::Later(_))))
    }

    async fn attempt<'a>(&self, command: &'a CommandRow) -> (&'a CommandRow, Outcome) {
        (command, self.carry_out(command).await)
    }

    async fn carry_out(&self, command: &CommandRow) -> Outcome {
        let key = AttemptKey {
            tenant: command.tenant(),
            execution: command.execution(),
            step_id: &command.step_id,
            attempt: command.attempt,
        };
        match (command.kind.as_str(), command.task()) {
            ("CREATE_TASK", _) if command.is_wanted => match serde_json::from_str(&command.body) {
                Ok(order) => created(self.tasks.create(key, order).await),
                Err(_) => Outcome::Refused(Fault::internal()),
            },
            // No step wants it any more, and nobody was ever asked for it.
            ("CREATE_TASK", _) if command.tries <= 1 => Outcome::Done,
            // A call before may have been taken though its answer was lost. If it was, the task is
            // recorded, so that it can be cancelled; if not, there will be none.
            ("CREATE_TASK", _) => match self.tasks.find(key).await {
                Ok(Some(task)) => Outcome::Created(task),
                Ok(None) => Outcome::Done,
                Err(fault) => later(&fault),
            },
            (_, Some(task)) => {
                let reason = reason(&command.body);
                cancelled(self.tasks.cancel(key.tenant, task, &reason).await)
            }
            (_, None) => Outcome::NeverWas,
        }
    }

    /// Deletes what was carried out and puts off the rest, for all tenants in one transaction.
    async fn settle(&self, outcomes: &[(&CommandRow, Outcome)]) -> Result<(), Error> {
        let now = self.now();
        let (mut finished, mut created) = (Vec::new(), Vec::new());
        let (mut late, mut times) = (Vec::new(), Vec::new());
        for (command, outcome) in outcomes {
            match outcome {
                Outcome::Created(task) => {
                    created.push((*command, *task));
                    finished.push(command.id);
                }
                Outcome::Done => finished.push(command.id),
                Outcome::Later(least) => {
                    late.push(command.id);
                    times.push(now + pause(command.tries, *least));
                }
                Outcome::Refused(_) | Outcome::NeverWas => {}
            }
        }
        self.counters
            .dispatched
            .inc_by(u64::try_from(created.len()).unwrap_or(0));
        self.counters
            .postponed
            .inc_by(u64::try_from(late.len()).unwrap_or(0));
        let mut tx = self.database.internal().await?;
        commands::record_dispatches(&mut tx, &created).await?;
        commands::finish(&mut tx, &finished).await?;
        commands::postpone(&mut tx, &late, &times).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Ends a command by news of its own, in one transaction: there will be none from task-queue.
    async fn conclude(&self, command: &CommandRow, news: TaskNews) -> Result<(), Error> {
        let held = Held::lock(self, command.tenant(), command.execution()).await?;
        let Some(mut held) = held else { return Ok(()) };
        commands::finish(&mut held.tx, &[command.id]).await?;
        if let Some(step) = held.planned.plan.index_of(&command.step_id) {
            let attempt = u32::try_from(command.attempt).unwrap_or(0);
            let report = TaskReport {
                step,
                attempt,
                news,
            };
            held.apply(Event::Task(report), &Author::engine()).await?;
        }
        held.commit().await?;
        Ok(())
    }
}

fn refused(fault: &Fault) -> TaskNews {
    let message = format!("task-queue refused the task: {fault}");
    TaskNews::Failed {
        failure: Failure::new(FailureClass::TaskRefused, message),
    }
}

fn created(answer: Result<TaskId, Fault>) -> Outcome {
    match answer {
        Ok(task) => Outcome::Created(task),
        Err(fault) if is_final(fault.code()) => Outcome::Refused(fault),
        Err(fault) => later(&fault),
    }
}

fn later(fault: &Fault) -> Outcome {
    tracing::debug!(%fault, "task-queue does not take the command yet");
    let uncertain = fault.code() == Code::DeadlineExceeded;
    Outcome::Later(if uncertain { UNCERTAIN_PAUSE_MS } else { 0 })
}

fn reason(body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    body["reason"].as_str().unwrap_or_default().to_owned()
}

fn cancelled(answer: Result<(), Fault>) -> Outcome {
    match answer {
        Ok(()) => Outcome::Done,
        // It has ended already, and its own event tells how.
        Err(fault) if is_final(fault.code()) => Outcome::Done,
        Err(fault) => later(&fault),
    }
}

/// Whether asking again would get the same answer.
fn is_final(code: Code) -> bool {
    match code {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::OutOfRange => true,
        Code::Aborted
        | Code::ResourceExhausted
        | Code::Unavailable
        | Code::DeadlineExceeded
        | Code::Cancelled
        | Code::Unauthenticated
        | Code::PermissionDenied
        | Code::Unimplemented
        | Code::Internal => false,
    }
}

fn pause(tries: i32, least: i64) -> TimeDelta {
    let doubled = 250_i64.saturating_mul(1 << tries.clamp(0, 16));
    TimeDelta::milliseconds(doubled.min(LONGEST_PAUSE_MS).max(least))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_half_a_minute() {
        let pauses: Vec<_> = (0..10).map(|tries| pause(tries, 0)).collect();
        assert!(pauses.is_sorted());
        assert_eq!(pauses.last(), Some(&TimeDelta::seconds(30)));
        assert_eq!(pause(0, UNCERTAIN_PAUSE_MS), TimeDelta::seconds(10));
    }
}
