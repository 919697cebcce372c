//! The lane of every other end: failures, rejections, lost leases, timeouts.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use reeve_events::Actor;
use reeve_ids::{AgentId, GateId, TaskId, TenantId};

use super::Flush;
use crate::Error;
use crate::core::Shared;
use crate::domain::{
    Artifact, AttemptEnd, Cause, LeaseToken, MOST_GATES, Settled, State, TaskError, Usage,
};
use crate::operations::settling::{self, AtGate, Decision, Suspension};
use crate::storage::{self, EndedRow, LockedRow};

/// What ends an attempt or a wait, and under which condition it still does when the row is locked.
#[derive(Debug, Clone)]
pub enum Ender {
    /// The holder reports a failure.
    Fail {
        /// What it reports.
        error: TaskError,
        /// Whether trying again may help.
        retryable: bool,
        /// When not to try again before.
        retry_after: Option<TimeDelta>,
        /// What it consumed.
        usage: Option<Vec<Usage>>,
        /// What it made.
        artifacts: Vec<Artifact>,
    },
    /// The holder turns it down.
    Reject {
        /// Why, for people; may be empty.
        reason: String,
        /// Live agents that offer the capability, if known.
        eligible: Option<Vec<AgentId>>,
    },
    /// It goes back from a holder that never heard of it.
    Return,
    /// The holder gives it back.
    GiveBack,
    /// The holder suspends it.
    Suspend {
        /// The gate behind which it waits.
        suspension: Box<Suspension>,
        /// What it consumed.
        usage: Option<Vec<Usage>>,
    },
    /// The holder was declared lost at this time; what it was given since is another's news.
    LoseAgent(DateTime<Utc>),
    /// The agent that it is offered to gets nothing any more.
    Withdraw,
    /// The lease lapsed before this time.
    Lapse(DateTime<Utc>),
    /// The attempt should have ended before this time.
    RunOut(DateTime<Utc>),
    /// It should have begun before this time.
    WaitOut(DateTime<Utc>),
    /// Cancellation was asked for before this time and not obeyed.
    Disobey(DateTime<Utc>),
}

/// One end.
#[derive(Debug, Clone)]
pub struct End {
    /// The owner.
    pub tenant_id: TenantId,
    /// The task with the fence under which this is true.
    pub token: LeaseToken,
    /// What ends it.
    pub ender: Ender,
    /// Who says so.
    pub actor: Actor,
}

/// What became of the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedAs {
    /// Its state.
    pub state: State,
    /// When it may be leased again, if it is PENDING.
    pub ready_time: Option<DateTime<Utc>>,
    /// The gate that it waits behind since.
    pub gate_id: Option<GateId>,
}

/// Writes ends.
pub struct SettleFlush {
    /// What the service shares.
    pub shared: Shared,
}

impl Flush for SettleFlush {
    type Item = End;
    /// Nothing when a condition does not hold any more.
    type Output = Option<EndedAs>;
    const NAME: &'static str = "settle";

    fn tenant(item: &End) -> TenantId {
        item.tenant_id
    }

    fn weight(item: &End) -> usize {
        match &item.ender {
            Ender::Suspend { suspension, .. } => super::by_bytes(suspension.bytes),
            _ => 1,
        }
    }

    async fn flush(&self, items: &[End]) -> Result<Vec<Result<Option<EndedAs>, Error>>, Error> {
        let now = self.shared.clock.now();
        let mut tasks: Vec<_> = items
            .iter()
            .map(|item| (item.tenant_id, item.token.task_id))
            .collect();
        tasks.sort_unstable();
        tasks.dedup();
        let mut tx = self.shared.lane_transaction().await?;
        let rows = storage::lock(&mut tx, &tasks).await?;
        let mut rows: HashMap<_, _> = rows
            .into_iter()
            .map(|row| (TaskId::from_uuid(row.task_id), row))
            .collect();
        let mut decisions = Vec::new();
        let mut answers = Vec::with_capacity(items.len());
        let mut missed = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let row = rows.get(&item.token.task_id).filter(|row| item.is_of(row));
            match row.map(|row| item.decide(row, now)) {
                Some(Some(Ok(settled))) => {
                    answers.push(Ok(Some(item.ended_as(&settled))));
                    let row = rows.remove(&item.token.task_id);
                    decisions.extend(row.map(|row| item.decision(row, settled)));
                }
                Some(Some(Err(error))) => answers.push(Err(error)),
                Some(None) => answers.push(Ok(None)),
                None => {
                    missed.push(index);
                    answers.push(Ok(None));
                }
            }
        }
        let mut effects = settling::write(&mut tx, decisions, now).await?;
        // Only now: a token that is in this batch twice ended just above.
        let ended = self.ended(&mut tx, items, &missed).await?;
        let told = std::mem::take(&mut effects.events);
        self.shared.append(&mut tx, told).await?;
        tx.commit().await?;
        self.shared.follow(effects, now);
        for index in missed {
            answers[index] = items[index].answer_again(&ended);
        }
        Ok(answers)
    }
}

impl SettleFlush {
    /// How the attempts of those items ended whose lease is not the current one.
    async fn ended(
        &self,
        connection: &mut sqlx::PgConnection,
        items: &[End],
        missed: &[usize],
    ) -> Result<Vec<EndedRow>, Error> {
        let tokens: Vec<_> = missed
            .iter()
            .map(|index| &items[*index])
            .filter(|item| item.is_by_holder())
            .map(|item| (item.tenant_id, item.token))
            .collect();
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        storage::ended_attempts(connection, &tokens).await
    }
}

impl End {
    fn is_by_holder(&self) -> bool {
        matches!(
            self.ender,
            Ender::Fail { .. }
                | Ender::Reject { .. }
                | Ender::Return
                | Ender::GiveBack
                | Ender::Suspend { .. }
        )
    }

    /// Whether the locked run is in the state of the world that the item speaks of.
    fn is_of(&self, row: &LockedRow) -> bool {
        let held = row.lease_until.is_some();
        row.tenant_id == self.tenant_id.uuid()
            && row.fence == self.token.fence
            && !(row.offered && self.is_by_holder())
            && (held || matches!(self.ender, Ender::WaitOut(_)))
    }

    /// What the domain says; nothing when the condition does not hold any more.
    fn decide(&self, row: &LockedRow, now: DateTime<Utc>) -> Option<Result<Settled, Error>> {
        let before = |time: Option<DateTime<Utc>>, limit| time.is_some_and(|time| time < limit);
        let cause = match &self.ender {
            ender if row.offered => Self::untaken(row, ender)?,
            Ender::Withdraw => return None,
            Ender::Fail {
                error,
                retryable,
                retry_after,
                ..
            } => Cause::Fail {
                error: error.clone(),
                retryable: *retryable,
                retry_after: *retry_after,
            },
            Ender::Reject { reason, eligible } => Cause::Reject {
                reason: reason.clone(),
                anyone_left: anyone_left(row, eligible),
            },
            Ender::Return => Cause::Return,
            Ender::GiveBack => Cause::GiveBack,
            Ender::Suspend { suspension, .. } if row.gates >= MOST_GATES => {
                tracing::debug!(kind = ?suspension.ask.kind, "a task has had too many gates");
                return Some(Err(Error::TooManyGates(TaskId::from_uuid(row.task_id))));
            }
            Ender::Suspend { suspension, .. } => Cause::Suspend(suspension.ask.kind),
            Ender::LoseAgent(at) => {
                let had = row.assign_time.is_some_and(|assigned| assigned <= *at);
                had.then_some(Cause::LoseLease)?
            }
            Ender::Lapse(limit) => before(row.lease_until, *limit).then_some(Cause::LoseLease)?,
            Ender::RunOut(limit) => before(row.close_deadline, *limit).then_some(Cause::RunOut)?,
            Ender::WaitOut(limit) => {
                let waits = row.lease_until.is_none() && row.blocked_by == 0;
                (waits && before(row.start_deadline, *limit)).then_some(Cause::WaitOut)?
            }
            Ender::Disobey(limit) => before(row.cancel_time, *limit).then_some(Cause::Cancel)?,
        };
        Some(settling::decide(row, cause, now))
    }

    /// Whether an offer is over.
    fn untaken(row: &LockedRow, ender: &Ender) -> Option<Cause> {
        let over = match ender {
            Ender::Withdraw => true,
            Ender::LoseAgent(at) => row.assign_time.is_some_and(|offered| offered <= *at),
            Ender::Lapse(limit) => row.lease_until.is_some_and(|until| until < *limit),
            Ender::Disobey(limit) => row.cancel_time.is_some_and(|asked| asked < *limit),
            _ => false,
        };
        over.then_some(Cause::Untaken)
    }

    fn decision(&self, row: LockedRow, settled: Settled) -> Decision {
        let (usage, artifacts) = match &self.ender {
            Ender::Fail {
                usage, artifacts, ..
            } => (usage.clone(), artifacts.clone()),
            Ender::Suspend { usage, .. } => (usage.clone(), Vec::new()),
            _ => (None, Vec::new()),
        };
        let gate = match &self.ender {
            Ender::Suspend { suspension, .. } => AtGate::Suspended((**suspension).clone()),
            _ => AtGate::Nothing,
        };
        Decision {
            row,
            settled,
            usage,
            artifacts,
            cancel_reason: None,
            actor: self.actor.clone(),
            gate,
        }
    }

    fn ended_as(&self, settled: &Settled) -> EndedAs {
        let gate_id = match &self.ender {
            Ender::Suspend { suspension, .. } => settled.gate.map(|_| suspension.id),
            _ => None,
        };
        EndedAs {
            state: settled.state,
            ready_time: settled.ready_time,
            gate_id,
        }
    }

    /// A holder that repeats itself hears what it heard; anyone else has lost the lease.
    fn answer_again(&self, ended: &[EndedRow]) -> Result<Option<EndedAs>, Error> {
        if !self.is_by_holder() {
            return Ok(None);
        }
        let own = ended
            .iter()
            .find(|row| row.is_of(self.tenant_id, self.token));
        let end = own.and_then(|row| Some((row, AttemptEnd::from_number(row.attempt_end?)?)));
        match (end, &self.ender) {
            (Some((row, AttemptEnd::Cancelled)), _)
            | (Some((row, AttemptEnd::Failed)), Ender::Fail { .. })
            | (Some((row, AttemptEnd::Rejected)), Ender::Reject { .. })
            | (Some((row, AttemptEnd::Returned)), Ender::Return | Ender::GiveBack)
            | (Some((row, AttemptEnd::Suspended)), Ender::Suspend { .. }) => Ok(Some(EndedAs {
                state: storage::state(row.task_id, row.state_after)?,
                ready_time: row.ready_after,
                gate_id: row.gate_id.map(GateId::from_uuid),
            })),
            _ => Err(Error::LeaseLost(self.token.task_id)),
        }
    }
}

/// Whether some live agent has not rejected the task. When that is not known, somebody may.
fn anyone_left(row: &LockedRow, eligible: &Option<Vec<AgentId>>) -> bool {
    let has_rejected = |agent: &AgentId| {
        row.agent_id == Some(agent.uuid()) || row.rejected_by.contains(&agent.uuid())
    };
    eligible
        .as_ref()
        .is_none_or(|agents| agents.iter().any(|agent| !has_rejected(agent)))
}
