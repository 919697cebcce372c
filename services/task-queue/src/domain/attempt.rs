//! How a delivery ends and what becomes of the task: every rule of retrying on one screen.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value as Json;

use super::backoff::jittered;
use super::{Effect, Forbidden, GateKind, RetryPolicy, Ruling, State, Tally, state::State::*};

/// Why an attempt did not complete.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskError {
    /// Word for programs.
    pub code: String,
    /// Sentence for people.
    pub message: String,
    /// More for programs.
    pub details: Option<Json>,
}

impl TaskError {
    /// An error that the server itself finds.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            details: None,
        }
    }
}

/// How a delivery ended. The numbers are those at rest and on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum AttemptEnd {
    /// Done.
    Completed = 1,
    /// The agent reported a failure.
    Failed = 2,
    /// It took too long.
    Timeout = 3,
    /// The lease lapsed or the agent was lost.
    LeaseLost = 4,
    /// The agent turned it down.
    Rejected = 5,
    /// It was cancelled.
    Cancelled = 6,
    /// The agent gave it back.
    Returned = 7,
    /// The agent suspended it, to wait for a person.
    Suspended = 8,
    /// It was handed to another agent.
    Delegated = 9,
}

impl AttemptEnd {
    /// Every end.
    pub const ALL: [Self; 9] = [
        Self::Completed,
        Self::Failed,
        Self::Timeout,
        Self::LeaseLost,
        Self::Rejected,
        Self::Cancelled,
        Self::Returned,
        Self::Suspended,
        Self::Delegated,
    ];

    /// The number at rest.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The end that a number at rest stands for.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|end| end.number() == number)
    }
}

/// What ends a delivery, or the wait before one.
#[derive(Debug, Clone, PartialEq)]
pub enum Cause {
    /// The agent completed it.
    Complete,
    /// The agent reported a failure.
    Fail {
        /// What it reported.
        error: TaskError,
        /// Whether trying again may help.
        retryable: bool,
        /// When not to try again before.
        retry_after: Option<TimeDelta>,
    },
    /// The agent turned it down.
    Reject {
        /// Why, for people; may be empty.
        reason: String,
        /// Whether some live agent has not.
        anyone_left: bool,
    },
    /// The lease lapsed or the agent was lost.
    LoseLease,
    /// It goes back from an agent that never heard of it.
    Return,
    /// The agent gave it back.
    GiveBack,
    /// The agent suspended it, behind a gate of this kind.
    Suspend(GateKind),
    /// The gate behind which it waits was answered, or expired.
    Pass(Ruling),
    /// It is handed to another agent.
    Delegate,
    /// The agent that it is offered to did not fetch it.
    Untaken,
    /// The attempt took too long.
    RunOut,
    /// Nobody began in time.
    WaitOut,
    /// A client cancels what waits, or the grace of a holder is over.
    Cancel,
}

/// Where a task stands when something ends.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Its state.
    pub state: State,
    /// Failures so far.
    pub failures: i32,
    /// Those of them that each rule of its policy was about; none where it is shorter.
    pub by_rule: Vec<i32>,
    /// Lost leases so far.
    pub lost_leases: i32,
    /// Whether cancellation was asked for.
    pub cancel_requested: bool,
    /// Whether it is ASSIGNED to an agent that has not fetched it: no delivery has begun.
    pub offered: bool,
    /// Its policy.
    pub retry: RetryPolicy,
    /// What it means to run it twice.
    pub effect: Effect,
    /// The gate behind which it waits.
    pub gate: Option<GateKind>,
}

/// What becomes of the task.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// The state to store.
    pub state: State,
    /// How the delivery ended; nothing when there was none.
    pub end: Option<AttemptEnd>,
    /// Why it did not complete.
    pub error: Option<TaskError>,
    /// Failures from now on.
    pub failures: i32,
    /// Those of them that each rule was about; empty without rules.
    pub by_rule: Vec<i32>,
    /// The rule that decided, from 1; nothing when none was about it.
    pub rule: Option<i16>,
    /// Lost leases from now on.
    pub lost_leases: i32,
    /// When it may be leased again, if it is PENDING and not behind a gate.
    pub ready_time: Option<DateTime<Utc>>,
    /// Whether it is a dead letter.
    pub dead: bool,
    /// The gate that opens, if one does.
    pub gate: Option<GateKind>,
}

/// What fails an attempt.
struct Failure {
    /// FAILED or TIMEOUT.
    state: State,
    end: AttemptEnd,
    error: TaskError,
    /// Whether trying again may help.
    retryable: bool,
    /// When not to try again before.
    retry_after: Option<TimeDelta>,
}

/// Decides. `seed` in [0, 1) is the random part of a backoff.
///
/// # Errors
/// When the lifecycle does not allow it from where the task stands.
pub fn settle(
    standing: &Standing,
    cause: Cause,
    now: DateTime<Utc>,
    seed: f64,
) -> Result<Settled, Forbidden> {
    let held = standing.state.is_held();
    match cause {
        Cause::Complete => {
            standing.begun()?.becomes(Completed)?;
            Ok(standing.settled(Completed, Some(AttemptEnd::Completed), None))
        }
        Cause::Fail { .. } if held && standing.cancel_requested => standing.cancelled(),
        Cause::Fail {
            error,
            retryable,
            retry_after,
        } => {
            standing.begun()?.becomes(Failed)?;
            let failure = Failure {
                state: Failed,
                end: AttemptEnd::Failed,
                error,
                retryable,
                retry_after,
            };
            Ok(standing.failed(failure, now, seed))
        }
        Cause::Reject { .. } if held && standing.cancel_requested => {
            standing.state.becomes(Rejected)?;
            standing.cancelled()
        }
        Cause::Reject {
            reason,
            anyone_left,
        } => standing.rejected(&reason, anyone_left, now),
        Cause::LoseLease | Cause::Return | Cause::GiveBack | Cause::Suspend(_) if !held => {
            Err(Forbidden {
                from: standing.state,
                to: Pending,
            })
        }
        Cause::LoseLease | Cause::Return | Cause::GiveBack | Cause::Suspend(_)
            if standing.cancel_requested =>
        {
            standing.cancelled()
        }
        // It leaves, and says nothing about what it has done.
        Cause::GiveBack if standing.may_be_done() && standing.state == InProgress => {
            Ok(standing.gated(GateKind::LostLease, AttemptEnd::Returned))
        }
        Cause::Suspend(kind) => {
            standing.begun()?.becomes(Pending)?;
            Ok(standing.gated(kind, AttemptEnd::Suspended))
        }
        Cause::Pass(ruling) => standing.passes(ruling, now),
        Cause::Delegate => standing.delegated(),
        Cause::Untaken => standing.untaken(now),
        Cause::Return | Cause::GiveBack => {
            let mut settled = standing.settled(Pending, Some(AttemptEnd::Returned), None);
            settled.ready_time = Some(now);
            Ok(settled)
        }
        Cause::LoseLease if standing.may_be_done() && standing.state == InProgress => {
            let mut settled = standing.gated(GateKind::LostLease, AttemptEnd::LeaseLost);
            settled.lost_leases = standing.lost_leases.saturating_add(1);
            Ok(settled)
        }
        Cause::LoseLease => standing.lease_lost(now),
        Cause::RunOut if standing.cancel_requested && held => standing.cancelled(),
        Cause::RunOut => {
            if !held {
                return Err(Forbidden {
                    from: standing.state,
                    to: Timeout,
                });
            }
            let message = "the attempt took longer than start_to_close_timeout";
            let error = TaskError::new("START_TO_CLOSE_TIMEOUT", message);
            if standing.may_be_done() {
                let mut settled = standing.gated(GateKind::Timeout, AttemptEnd::Timeout);
                settled.failures = standing.failures.saturating_add(1);
                settled.error = Some(error);
                return Ok(settled);
            }
            let failure = Failure {
                state: Timeout,
                end: AttemptEnd::Timeout,
                error,
                retryable: true,
                retry_after: None,
            };
            Ok(standing.failed(failure, now, seed))
        }
        Cause::WaitOut => {
            if standing.state != Pending || standing.gate.is_some() {
                return Err(Forbidden {
                    from: standing.state,
                    to: Timeout,
                });
            }
            let message = "no agent began the task within schedule_to_start_timeout";
            let error = TaskError::new("SCHEDULE_TO_START_TIMEOUT", message);
            let mut settled = standing.settled(Timeout, None, Some(error));
            settled.dead = true;
            Ok(settled)
        }
        Cause::Cancel => standing.cancelled(),
    }
}

/// The states from which a holder may complete a task, for statements that complete many at once.
pub fn completable() -> Vec<State> {
    let standing = |state| Standing {
        state,
        failures: 0,
        by_rule: Vec::new(),
        lost_leases: 0,
        cancel_requested: false,
        offered: false,
        retry: RetryPolicy::default(),
        effect: Effect::default(),
        gate: None,
    };
    let completes = |state: &State| {
        settle(
            &standing(*state),
            Cause::Complete,
            DateTime::UNIX_EPOCH,
            0.0,
        )
        .is_ok()
    };
    State::ALL.into_iter().filter(completes).collect()
}

impl Standing {
    /// IN_PROGRESS, by way of an implied start when the agent did not say that it started.
    fn begun(&self) -> Result<State, Forbidden> {
        if self.state == InProgress {
            Ok(InProgress)
        } else {
            self.state.becomes(InProgress)
        }
    }

    pub(super) fn settled(
        &self,
        state: State,
        end: Option<AttemptEnd>,
        error: Option<TaskError>,
    ) -> Settled {
        Settled {
            state,
            end,
            error,
            failures: self.failures,
            by_rule: self.by_rule.clone(),
            rule: None,
            lost_leases: self.lost_leases,
            ready_time: None,
            dead: false,
            gate: None,
        }
    }

    pub(super) fn cancelled(&self) -> Result<Settled, Forbidden> {
        self.state.becomes(Cancelled)?;
        Ok(self.settled(
            Cancelled,
            (self.state.is_held() && !self.offered).then_some(AttemptEnd::Cancelled),
            None,
        ))
    }

    /// Into other hands. Neither a failure nor a lost lease; an agent that has said nothing yet has
    /// accepted it by handing it on.
    fn delegated(&self) -> Result<Settled, Forbidden> {
        let (from, to) = (self.state, Assigned);
        if !from.is_held() || self.offered || self.cancel_requested {
            return Err(Forbidden { from, to });
        }
        let holding = if from == Assigned {
            from.becomes(Accepted)?
        } else {
            from
        };
        Ok(self.settled(holding.becomes(to)?, Some(AttemptEnd::Delegated), None))
    }

    /// Back to PENDING at once: nothing was delivered, so nothing ends.
    fn untaken(&self, now: DateTime<Utc>) -> Result<Settled, Forbidden> {
        let (from, to) = (self.state, Pending);
        if from != Assigned || !self.offered {
            return Err(Forbidden { from, to });
        }
        if self.cancel_requested {
            return self.cancelled();
        }
        let mut settled = self.settled(from.becomes(to)?, None, None);
        settled.ready_time = Some(now);
        Ok(settled)
    }

    /// On to the next agent, or FAILED when nobody is left.
    fn rejected(
        &self,
        reason: &str,
        anyone_left: bool,
        now: DateTime<Utc>,
    ) -> Result<Settled, Forbidden> {
        let rejected = self.state.becomes(Rejected)?;
        let end = Some(AttemptEnd::Rejected);
        if anyone_left {
            let error = (!reason.is_empty()).then(|| TaskError::new("REJECTED", reason));
            let mut settled = self.settled(rejected.becomes(Pending)?, end, error);
            settled.ready_time = Some(now);
            return Ok(settled);
        }
        let mut message = "every active agent that may be given the task rejected it".to_owned();
        if !reason.is_empty() {
            message.push_str("; the last one: ");
            message.push_str(reason);
        }
        let error = TaskError::new("REJECTED_BY_ALL", message);
        let mut settled = self.settled(rejected.becomes(Failed)?, end, Some(error));
        settled.dead = true;
        Ok(settled)
    }

    /// FAILED or TIMEOUT, and on to PENDING when a retry is left.
    fn failed(&self, failure: Failure, now: DateTime<Utc>, seed: f64) -> Settled {
        let Failure {
            state,
            end,
            error,
            retryable,
            retry_after,
        } = failure;
        let tally = Tally {
            failures: self.failures,
            by_rule: &self.by_rule,
        };
        let ruling = self.retry.rule_on(tally, &error.code, retryable);
        let mut settled = self.settled(state, Some(end), Some(error));
        settled.failures = self.failures.saturating_add(1);
        settled.by_rule = ruling.by_rule;
        settled.rule = ruling.rule.and_then(|at| i16::try_from(at + 1).ok());
        settled.dead = !ruling.retry;
        if ruling.retry {
            let wait = retry_after.unwrap_or_else(|| jittered(ruling.bound, seed));
            settled.state = Pending;
            settled.ready_time = Some(now + wait);
        }
        settled
    }

    /// Back to PENDING at once: another agent should take over now. Too many lost leases mean that
    /// the task brings agents down.
    fn lease_lost(&self, now: DateTime<Utc>) -> Result<Settled, Forbidden> {
        let lost_leases = self.lost_leases.saturating_add(1);
        if lost_leases < self.retry.max_lost_leases {
            self.state.becomes(Pending)?;
            let mut settled = self.settled(Pending, Some(AttemptEnd::LeaseLost), None);
            settled.lost_leases = lost_leases;
            settled.ready_time = Some(now);
            return Ok(settled);
        }
        self.begun()?.becomes(Failed)?;
        let message = format!("{lost_leases} leases were lost; the task may bring agents down");
        let error = TaskError::new("LEASE_LOST", message);
        let mut settled = self.settled(Failed, Some(AttemptEnd::LeaseLost), Some(error));
        settled.lost_leases = lost_leases;
        settled.dead = true;
        Ok(settled)
    }
}

#[cfg(test)]
#[path = "attempt_tests.rs"]
mod tests;
