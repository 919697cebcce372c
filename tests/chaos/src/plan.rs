//! What is to become of a task: chosen when it is created, obeyed by whoever gets it.

use reeve_contracts::task::v1::{Fairness, RetryPolicy, TaskSpec};
use serde_json::json;

/// The capability of every agent.
pub const CAPABILITY: &str = "chaos";
/// What marks the tasks of this run.
pub const LABEL: &str = "chaos";

/// What is to become of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Plan {
    /// It is completed.
    Completes,
    /// Its first attempt fails, the next one completes.
    FailsOnce,
    /// Every attempt fails, and it becomes a dead letter.
    Fails,
    /// It is cancelled by who created it; it may be completed before.
    Cancelled,
}

impl Plan {
    /// The plan of the task with a number.
    pub const fn of(number: usize) -> Self {
        match number % 50 {
            0..=3 => Self::FailsOnce,
            4 => Self::Fails,
            5 | 6 => Self::Cancelled,
            _ => Self::Completes,
        }
    }

    /// The word in the task's parameters.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Completes => "completes",
            Self::FailsOnce => "fails_once",
            Self::Fails => "fails",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether an agent fails this attempt.
    pub const fn fails(word: &str, attempt: i32) -> bool {
        match word.as_bytes() {
            b"fails" => true,
            // A delivery that was lost counts, too.
            b"fails_once" => attempt == 1,
            _ => false,
        }
    }

    /// The task with a number: some take turns, some share what they work on, some wait.
    pub fn spec(number: usize) -> TaskSpec {
        let parameters = json!({ "plan": Self::of(number).word(), "number": number });
        let policy = RetryPolicy {
            max_attempts: 2,
            initial_backoff_duration: Some(prost_types::Duration {
                seconds: 0,
                nanos: 50_000_000,
            }),
            ..RetryPolicy::default()
        };
        let mut spec = TaskSpec {
            r#type: "chaos".to_owned(),
            capability: CAPABILITY.to_owned(),
            parameters: reeve_wellknown::struct_from_json(parameters),
            retry_policy: Some(policy),
            labels: [(LABEL.to_owned(), "1".to_owned())].into(),
            ..TaskSpec::default()
        };
        if number % 10 == 7 {
            spec.fairness = Some(Fairness {
                key: format!("team-{}", number % 3),
                weight: 1.0,
            });
        }
        if number % 20 == 8 {
            spec.concurrency_keys = vec![format!("cluster/{}", number % 37)];
        }
        spec
    }
}
