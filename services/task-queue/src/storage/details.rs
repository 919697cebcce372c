//! The parts of a spec that no query looks into, as JSON in `task.details`.

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::{BudgetId, TaskId};
use serde::{Deserialize, Serialize};

use crate::domain::{self, DependencyPolicy, Effect, RetryPolicy, Timeouts};

/// `task.details`. Fields at their default are left out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Details {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub step_path: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub origin_attempt: i32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<TaskId>,
    /// Left out for the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dependency_policy: Option<i16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_time: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry: Option<Retry>,
    #[serde(default, skip_serializing_if = "Spans::is_empty")]
    timeouts: Spans,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    budget: Option<Budget>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub demand: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fairness: Option<Fairness>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub concurrency_keys: Vec<String>,
    /// What it means to run it twice, by number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    effect: Option<i16>,
    creator: Creator,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub traceparent: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Retry {
    attempts: i32,
    initial_ms: i64,
    multiplier: f64,
    max_ms: i64,
    lost_leases: i32,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Spans {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    close_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heartbeat_ms: Option<i64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Budget {
    id: BudgetId,
    amount: String,
    currency: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Fairness {
    key: String,
    weight: f32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Creator {
    kind: i16,
    subject: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

impl Spans {
    fn is_empty(&self) -> bool {
        self.start_ms.is_none() && self.close_ms.is_none() && self.heartbeat_ms.is_none()
    }
}

impl From<&domain::NewTask> for Details {
    fn from(task: &domain::NewTask) -> Self {
        let spec = &task.spec;
        let millis = |span: Option<TimeDelta>| span.map(|span| span.num_milliseconds());
        Self {
            description: spec.description.clone(),
            step_path: spec
                .origin
                .as_ref()
                .map(|o| o.step_path.clone())
                .unwrap_or_default(),
            origin_attempt: spec.origin.as_ref().map_or(0, |origin| origin.attempt),
            depends_on: spec.depends_on.clone(),
            dependency_policy: (spec.dependency_policy != DependencyPolicy::default())
                .then(|| spec.dependency_policy.number()),
            schedule_time: spec.schedule_time,
            retry: (spec.retry != RetryPolicy::default()).then(|| Retry {
                attempts: spec.retry.max_attempts,
                initial_ms: spec.retry.initial_backoff.num_milliseconds(),
                multiplier: spec.retry.multiplier,
                max_ms: spec.retry.max_backoff.num_milliseconds(),
                lost_leases: spec.retry.max_lost_leases,
            }),
            timeouts: Spans {
                start_ms: millis(spec.timeouts.schedule_to_start),
                close_ms: millis(spec.timeouts.start_to_close),
                heartbeat_ms: millis(spec.timeouts.heartbeat),
            },
            budget: spec.budget.as_ref().map(|budget| Budget {
                id: budget.id,
                amount: budget.amount.clone(),
                currency: budget.currency.clone(),
            }),
            demand: spec.demand.clone(),
            concurrency_keys: spec.concurrency_keys.clone(),
            fairness: spec.fairness.as_ref().map(|fairness| Fairness {
                key: fairness.key.clone(),
                weight: fairness.weight,
            }),
            effect: spec
                .effect
                .filter(|effect| *effect != Effect::default())
                .map(Effect::number),
            creator: Creator {
                kind: task.creator.kind,
                subject: task.creator.subject.clone(),
                name: task.creator.display_name.clone(),
            },
            traceparent: task.traceparent.clone(),
        }
    }
}

impl Details {
    /// What happens after a failure.
    pub fn retry(&self) -> RetryPolicy {
        self.retry
            .map_or_else(RetryPolicy::default, |retry| RetryPolicy {
                max_attempts: retry.attempts,
                initial_backoff: TimeDelta::milliseconds(retry.initial_ms),
                multiplier: retry.multiplier,
                max_backoff: TimeDelta::milliseconds(retry.max_ms),
                max_lost_leases: retry.lost_leases,
            })
    }

    /// Bounds in time.
    pub fn timeouts(&self) -> Timeouts {
        let span = |millis: Option<i64>| millis.map(TimeDelta::milliseconds);
        Timeouts {
            schedule_to_start: span(self.timeouts.start_ms),
            start_to_close: span(self.timeouts.close_ms),
            heartbeat: span(self.timeouts.heartbeat_ms),
        }
    }

    /// What happens when a dependency ends otherwise than completed. One that only a newer version
    /// knows is the cautious one.
    pub fn dependency_policy(&self) -> DependencyPolicy {
        let policy = self.dependency_policy;
        policy
            .and_then(DependencyPolicy::from_number)
            .unwrap_or_default()
    }

    /// What pays for the task.
    pub fn budget(&self) -> Option<domain::Budget> {
        self.budget.as_ref().map(|budget| domain::Budget {
            id: budget.id,
            amount: budget.amount.clone(),
            currency: budget.currency.clone(),
        })
    }

    /// With whom it takes turns.
    pub fn fairness(&self) -> Option<domain::Fairness> {
        self.fairness.as_ref().map(|fairness| domain::Fairness {
            key: fairness.key.clone(),
            weight: fairness.weight,
        })
    }

    /// What it means to run it twice. One that only a newer version knows is not run twice.
    pub fn effect(&self) -> Effect {
        self.effect.map_or_else(Effect::default, |number| {
            Effect::from_number(number).unwrap_or(Effect::Effectful)
        })
    }

    /// Who created it.
    pub fn creator(&self) -> domain::Actor {
        domain::Actor {
            kind: self.creator.kind,
            subject: self.creator.subject.clone(),
            display_name: self.creator.name.clone(),
        }
    }
}
