//! Why a step failed, and whether and when it is tried again.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::definition::{RetryPolicy, RetrySafety, Step, StepType};
use super::words::words;

words! {
    /// Class of a failure, for retry policies and for programs.
    FailureClass {
        /// The agent reported a failure.
        TaskFailed = "TASK_FAILED",
        /// The attempt took too long.
        Timeout = "TIMEOUT",
        /// Agents kept vanishing.
        LeaseLost = "LEASE_LOST",
        /// Somebody else cancelled the task.
        TaskCancelled = "TASK_CANCELLED",
        /// task-queue did not take the task.
        TaskRefused = "TASK_REFUSED",
        /// An expression has no value.
        Expression = "EXPRESSION",
        /// The output is too large or no object.
        OutputInvalid = "OUTPUT_INVALID",
        /// The artifact is not what was approved.
        DigestMismatch = "DIGEST_MISMATCH",
        /// A person refused.
        Rejected = "REJECTED",
        /// Nobody decided in time.
        ApprovalExpired = "APPROVAL_EXPIRED",
        /// Nobody knows what the attempt did, and it must not be repeated.
        OutcomeUnknown = "OUTCOME_UNKNOWN",
        /// A bug of the engine.
        Engine = "ENGINE",
    }
}

/// Longest message that is kept.
const MESSAGE_LIMIT: usize = 4_096;

/// Why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Class.
    pub class: FailureClass,
    /// The agent's own code, for a reported failure.
    #[serde(default)]
    pub code: String,
    /// For people.
    pub message: String,
    /// The step; empty for the execution's own failure.
    #[serde(default)]
    pub step_id: String,
}

impl Failure {
    /// A failure without an agent's code.
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self {
            class,
            code: String::new(),
            message: clip(message.into()),
            step_id: String::new(),
        }
    }

    /// The agent's report of a failure.
    pub fn reported(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            ..Self::new(FailureClass::TaskFailed, message)
        }
    }

    /// Names the step.
    #[must_use]
    pub fn of(mut self, step_id: &str) -> Self {
        step_id.clone_into(&mut self.step_id);
        self
    }

    /// Whether a list of a retry policy names it, by class or by the agent's code.
    fn is_named_in(&self, names: &[String]) -> bool {
        names
            .iter()
            .any(|name| name == self.class.as_str() || *name == self.code)
    }

    /// An attempt of which nobody knows what it did.
    fn is_blind(&self) -> bool {
        matches!(self.class, FailureClass::Timeout | FailureClass::LeaseLost)
    }
}

fn clip(mut message: String) -> String {
    if message.len() > MESSAGE_LIMIT {
        let end = (0..=MESSAGE_LIMIT)
            .rev()
            .find(|end| message.is_char_boundary(*end));
        message.truncate(end.unwrap_or(0));
    }
    message
}

/// What becomes of a failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Another attempt after so many milliseconds.
    Retry(u64),
    /// The step failed, for this reason.
    Fail(Failure),
}

/// Whether attempt number `attempt` is followed by another.
pub fn verdict(step: &Step, attempt: u32, failure: Failure, seed: &[u8]) -> Verdict {
    if step.retry_safety == RetrySafety::Never && failure.is_blind() {
        let message = format!(
            "the attempt ended as {} and must not be repeated; look what it did: {}",
            failure.class.as_str(),
            failure.message
        );
        return Verdict::Fail(Failure::new(FailureClass::OutcomeUnknown, message));
    }
    let policy = step.retry_policy.clone().unwrap_or_default();
    if step.kind != StepType::Task || attempt >= step.max_attempts() || !allows(&policy, &failure) {
        return Verdict::Fail(failure);
    }
    Verdict::Retry(delay_ms(&policy, attempt, seed))
}

fn allows(policy: &RetryPolicy, failure: &Failure) -> bool {
    if failure.is_named_in(&policy.never_on) {
        return false;
    }
    if !policy.retry_on.is_empty() {
        return failure.is_named_in(&policy.retry_on);
    }
    failure.is_blind() || failure.class == FailureClass::TaskFailed
}

/// The backoff after an attempt, less a share that the seed decides.
pub fn delay_ms(policy: &RetryPolicy, attempt: u32, seed: &[u8]) -> u64 {
    let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
    let initial = to_float(policy.initial_delay_ms);
    let full = (initial * policy.multiplier.powi(exponent)).min(to_float(policy.max_delay_ms));
    let mut hasher = Sha256::new();
    hasher.update(seed);
    hasher.update(attempt.to_be_bytes());
    let hash = hasher.finalize();
    let share =
        f64::from(u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])) / f64::from(u32::MAX);
    // Between 0 and the bound of 24 h, so the cast loses nothing but the fraction.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let delay = (full * (1.0 - policy.jitter * share)).max(0.0) as u64;
    delay
}

/// Durations are bounded by 365 days, far below 2^53 milliseconds.
#[allow(clippy::cast_precision_loss)]
fn to_float(ms: u64) -> f64 {
    ms as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(retries: u32) -> Step {
        Step {
            retries,
            action: "a".into(),
            ..Step::new("s", StepType::Task)
        }
    }

    #[test]
    fn the_delay_grows_to_its_bound() {
        let policy = RetryPolicy {
            jitter: 0.0,
            max_delay_ms: 5_000,
            ..RetryPolicy::default()
        };
        let delays: Vec<_> = (1..=5)
            .map(|attempt| delay_ms(&policy, attempt, b""))
            .collect();
        assert_eq!(delays, [1_000, 2_000, 4_000, 5_000, 5_000]);
    }

    #[test]
    fn chance_takes_away_at_most_its_share() {
        let policy = RetryPolicy {
            jitter: 0.5,
            ..RetryPolicy::default()
        };
        let delays: Vec<_> = (0..100_u8)
            .map(|seed| delay_ms(&policy, 1, &[seed]))
            .collect();
        assert!(
            delays.iter().all(|delay| (500..=1_000).contains(delay)),
            "{delays:?}"
        );
        assert!(
            delays.iter().any(|delay| *delay != delays[0]),
            "no jitter at all"
        );
        assert_eq!(
            delay_ms(&policy, 1, b"x"),
            delay_ms(&policy, 1, b"x"),
            "not from its seed"
        );
    }

    #[test]
    fn retries_are_used_up() {
        let failure = || Failure::reported("LINT", "no");
        assert!(matches!(
            verdict(&step(1), 1, failure(), b""),
            Verdict::Retry(_)
        ));
        assert!(matches!(
            verdict(&step(1), 2, failure(), b""),
            Verdict::Fail(_)
        ));
        assert!(matches!(
            verdict(&step(0), 1, failure(), b""),
            Verdict::Fail(_)
        ));
    }

    #[test]
    fn policies_name_classes_and_codes() {
        let with = |retry_on: &[&str], never_on: &[&str]| Step {
            retry_policy: Some(RetryPolicy {
                retry_on: retry_on.iter().map(|name| (*name).to_owned()).collect(),
                never_on: never_on.iter().map(|name| (*name).to_owned()).collect(),
                ..RetryPolicy::default()
            }),
            ..step(3)
        };
        let retried =
            |step: &Step, failure| matches!(verdict(step, 1, failure, b""), Verdict::Retry(_));
        let lint = || Failure::reported("LINT", "no");
        let late = || Failure::new(FailureClass::Timeout, "late");
        assert!(retried(&with(&[], &[]), lint()) && retried(&with(&[], &[]), late()));
        assert!(!retried(&with(&[], &["LINT"]), lint()));
        assert!(!retried(&with(&["TASK_FAILED"], &["LINT"]), lint()));
        assert!(retried(&with(&["LINT"], &[]), lint()) && !retried(&with(&["LINT"], &[]), late()));
        let wrong = Failure::new(FailureClass::Expression, "no such key");
        assert!(!retried(&with(&[], &[]), wrong));
    }

    #[test]
    fn what_must_not_be_repeated_is_not() {
        let step = Step {
            retry_safety: RetrySafety::Never,
            ..step(3)
        };
        let late = Failure::new(FailureClass::Timeout, "late");
        let Verdict::Fail(failure) = verdict(&step, 1, late, b"") else {
            panic!("repeated")
        };
        assert_eq!(failure.class, FailureClass::OutcomeUnknown);
        let reported = Failure::reported("LINT", "no");
        assert!(matches!(
            verdict(&step, 1, reported, b""),
            Verdict::Retry(_)
        ));
    }

    #[test]
    fn long_messages_are_clipped_between_characters() {
        let failure = Failure::new(FailureClass::Engine, "ä".repeat(4_000));
        assert!(failure.message.len() <= MESSAGE_LIMIT && failure.message.starts_with('ä'));
    }
}
