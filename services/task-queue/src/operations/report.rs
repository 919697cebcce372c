//! What a holder says about its leases. Each verb puts its items into a lane and hears of each.

use chrono::TimeDelta;
use reeve_events::Actor;
use reeve_ids::{AgentId, TenantId};
use reeve_status::Fault;

use super::settling::Suspension;
use crate::Queue;
use crate::domain::{Artifact, LeaseToken, State, Task, TaskError, Usage};
use crate::lanes::{AdvanceItem, Advanced, CompleteItem, End, EndedAs, Ender};
use crate::storage::{self, Advance, Completion, Progress, Renewal, Renewed};

/// Reports of one holder.
#[derive(Debug)]
pub struct Report<'a> {
    /// The service.
    pub queue: &'a Queue,
    /// The holder's tenant.
    pub tenant_id: TenantId,
    /// The holder.
    pub actor: Actor,
}

type Answers<T> = Result<Vec<Result<T, Fault>>, Fault>;

impl Report<'_> {
    /// Renews leases; `None` is a lost one.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when the lane is full.
    pub async fn renew(&self, tokens: &[LeaseToken], lease_ms: i64) -> Answers<Option<Renewed>> {
        let item = |token: &LeaseToken| Renewal {
            token: *token,
            tenant_id: self.tenant_id,
            lease_ms,
        };
        self.queue
            .lanes
            .renew
            .submit_all(tokens.iter().map(item).collect())
            .await
    }

    /// Accepts or starts tasks.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when the lane is full.
    pub async fn advance(&self, tokens: &[LeaseToken], target: State) -> Answers<Advanced> {
        let item = |token: &LeaseToken| AdvanceItem {
            advance: Advance {
                token: *token,
                tenant_id: self.tenant_id,
                target,
            },
            progress: None,
            actor: self.actor.clone(),
        };
        self.queue
            .lanes
            .advance
            .submit_all(tokens.iter().map(item).collect())
            .await
    }

    /// Stores progress, starting tasks that were not.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when the lane is full.
    pub async fn progress(&self, reports: Vec<Progress>) -> Answers<Advanced> {
        let item = |report: Progress| AdvanceItem {
            advance: Advance {
                token: report.token,
                tenant_id: self.tenant_id,
                target: State::InProgress,
            },
            progress: Some(report),
            actor: self.actor.clone(),
        };
        self.queue
            .lanes
            .advance
            .submit_all(reports.into_iter().map(item).collect())
            .await
    }

    /// Completes tasks.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when the lane is full.
    pub async fn complete(&self, completions: Vec<Completion>) -> Answers<()> {
        let item = |completion| CompleteItem {
            completion,
            actor: self.actor.clone(),
        };
        self.queue
            .lanes
            .complete
            .submit_all(completions.into_iter().map(item).collect())
            .await
    }

    /// Fails attempts.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when the lane is full.
    pub async fn fail(&self, failures: Vec<Failure>) -> Answers<EndedAs> {
        let item = |failure: Failure| {
            let Failure {
                token,
                error,
                retryable,
                retry_after,
                usage,
                artifacts,
            } = failure;
            self.end(
                token,
                Ender::Fail {
                    error,
                    retryable,
                    retry_after,
                    usage,
                    artifacts,
                },
            )
        };
        self.settle(failures.into_iter().map(item).collect()).await
    }

    /// Turns tasks down.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when the lane is full, UNAVAILABLE when PostgreSQL is away.
    pub async fn reject(&self, rejections: Vec<Rejection>) -> Answers<EndedAs> {
        let ids: Vec<_> = rejections.iter().map(|one| one.token.task_id).collect();
        let mut tx = self
            .queue
            .shared
            .database
            .tenant(self.tenant_id)
            .await
            .map_err(crate::Error::from)?;
        let tasks = storage::get(&mut tx, self.tenant_id, &ids, false).await?;
        tx.commit().await.map_err(crate::Error::from)?;
        let mut ends = Vec::with_capacity(rejections.len());
        for Rejection { token, reason } in rejections {
            let task = tasks.iter().find(|task| task.id == token.task_id);
            let eligible = match task {
                Some(task) => self.eligible(task).await,
                None => None,
            };
            ends.push(self.end(token, Ender::Reject { reason, eligible }));
        }
        self.settle(ends).await
    }

    /// The agents that may be given a task now; nothing when that is not known.
    async fn eligible(&self, task: &Task) -> Option<Vec<AgentId>> {
        let fleet = self.queue.shared.agents.fleet(self.tenant_id).await?;
        let offering = fleet.offering(&task.spec.capability);
        let willing = offering.filter(|agent| task.want().takes(agent));
        Some(willing.map(|agent| agent.id).collect())
    }

    /// Gives tasks back.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when the lane is full.
    pub async fn give_back(&self, tokens: &[LeaseToken]) -> Answers<EndedAs> {
        self.settle(
            tokens
                .iter()
                .map(|token| self.end(*token, Ender::GiveBack))
                .collect(),
        )
        .await
    }

    /// Suspends tasks.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when the lane is full.
    pub async fn suspend(&self, suspends: Vec<Suspend>) -> Answers<EndedAs> {
        let item = |suspend: Suspend| {
            let Suspend {
                token,
                suspension,
                usage,
            } = suspend;
            let suspension = Box::new(suspension);
            self.end(token, Ender::Suspend { suspension, usage })
        };
        self.settle(suspends.into_iter().map(item).collect()).await
    }

    fn end(&self, token: LeaseToken, ender: Ender) -> End {
        End {
            tenant_id: self.tenant_id,
            token,
            ender,
            actor: self.actor.clone(),
        }
    }

    async fn settle(&self, ends: Vec<End>) -> Answers<EndedAs> {
        let tokens: Vec<_> = ends.iter().map(|end| end.token).collect();
        let answers = self.queue.lanes.settle.submit_all(ends).await?;
        let certain = |(answer, token): (Result<Option<EndedAs>, Fault>, LeaseToken)| {
            answer?.ok_or_else(|| crate::Error::LeaseLost(token.task_id).into())
        };
        Ok(answers.into_iter().zip(tokens).map(certain).collect())
    }
}

/// A task that a holder turns down.
#[derive(Debug, Clone)]
pub struct Rejection {
    /// The lease.
    pub token: LeaseToken,
    /// Why, for people; may be empty.
    pub reason: String,
}

/// A task that a holder suspends.
#[derive(Debug, Clone)]
pub struct Suspend {
    /// The lease.
    pub token: LeaseToken,
    /// The gate and the checkpoint.
    pub suspension: Suspension,
    /// What it consumed; nothing: what progress said.
    pub usage: Option<Vec<Usage>>,
}

/// A failure that a holder reports.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The lease.
    pub token: LeaseToken,
    /// Why.
    pub error: TaskError,
    /// Whether trying again may help.
    pub retryable: bool,
    /// When not to try again before.
    pub retry_after: Option<TimeDelta>,
    /// What it consumed; nothing: what progress said.
    pub usage: Option<Vec<Usage>>,
    /// What it made.
    pub artifacts: Vec<Artifact>,
}
