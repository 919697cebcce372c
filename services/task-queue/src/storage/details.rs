//! The parts of a spec that no query looks into, as JSON in `task.details`.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::{AgentId, BudgetId, TaskId};
use serde::{Deserialize, Serialize};

use crate::domain::{
    self, DependencyPolicy, Effect, Placement, Requirement, RetryPolicy, RetryRule, Timeouts,
    Verdict,
};

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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    placement: Option<Box<Wish>>,
    creator: Creator,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub traceparent: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Retry {
    attempts: i32,
    initial_ms: i64,
    multiplier: f64,
    max_ms: i64,
    lost_leases: i32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Rule {
    codes: Vec<String>,
    #[serde(default, skip_serializing_if = "is_nought")]
    verdict: i16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    initial_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    multiplier: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempts: Option<i32>,
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

/// Which agents a task wants. Without those that it avoids, it is also `demand.terms`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Wish {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    versions: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pin: Option<AgentId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    avoid: Vec<AgentId>,
    #[serde(default, skip_serializing_if = "is_false")]
    avoid_failed: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Creator {
    kind: i16,
    subject: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
}

fn is_nought(number: &i16) -> bool {
    *number == 0
}

fn is_false(truth: &bool) -> bool {
    !truth
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

impl Spans {
    fn is_empty(&self) -> bool {
        self.start_ms.is_none() && self.close_ms.is_none() && self.heartbeat_ms.is_none()
    }
}

impl From<&RetryRule> for Rule {
    fn from(rule: &RetryRule) -> Self {
        Self {
            codes: rule.codes.clone(),
            verdict: rule.verdict.number(),
            initial_ms: rule.initial_backoff.map(|span| span.num_milliseconds()),
            multiplier: rule.multiplier,
            max_ms: rule.max_backoff.map(|span| span.num_milliseconds()),
            attempts: rule.max_attempts,
        }
    }
}

impl From<&Rule> for RetryRule {
    fn from(rule: &Rule) -> Self {
        Self {
            codes: rule.codes.clone(),
            // One that only a newer version knows is left to who reports the error.
            verdict: Verdict::from_number(rule.verdict).unwrap_or(Verdict::AsReported),
            initial_backoff: rule.initial_ms.map(TimeDelta::milliseconds),
            multiplier: rule.multiplier,
            max_backoff: rule.max_ms.map(TimeDelta::milliseconds),
            max_attempts: rule.attempts,
        }
    }
}

impl Wish {
    /// What a demand asks for, as it is stored.
    pub fn terms(placement: &Placement) -> serde_json::Value {
        let wish = Self::of(&Placement {
            avoid: Vec::new(),
            avoid_failed: false,
            ..placement.clone()
        });
        serde_json::to_value(wish).unwrap_or_default()
    }

    /// What it asks for.
    ///
    /// # Errors
    /// When the version range cannot be read.
    pub fn placement(&self) -> Result<Placement, semver::Error> {
        let versions = (!self.versions.is_empty()).then(|| self.versions.parse());
        Ok(Placement {
            requirement: Requirement {
                versions: versions.transpose()?,
                attributes: self.attributes.clone(),
                labels: self.labels.clone(),
            },
            pinned: self.pin,
            avoid: self.avoid.clone(),
            avoid_failed: self.avoid_failed,
        })
    }

    fn of(placement: &Placement) -> Option<Box<Self>> {
        let versions = placement.requirement.versions.as_ref();
        (!placement.is_empty()).then(|| {
            Box::new(Self {
                versions: versions.map(ToString::to_string).unwrap_or_default(),
                attributes: placement.requirement.attributes.clone(),
                labels: placement.requirement.labels.clone(),
                pin: placement.pinned,
                avoid: placement.avoid.clone(),
                avoid_failed: placement.avoid_failed,
            })
        })
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
                rules: spec.retry.rules.iter().map(Rule::from).collect(),
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
            placement: Wish::of(&spec.placement),
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
            .as_ref()
            .map_or_else(RetryPolicy::default, |retry| RetryPolicy {
                max_attempts: retry.attempts,
                initial_backoff: TimeDelta::milliseconds(retry.initial_ms),
                multiplier: retry.multiplier,
                max_backoff: TimeDelta::milliseconds(retry.max_ms),
                max_lost_leases: retry.lost_leases,
                rules: retry.rules.iter().map(RetryRule::from).collect(),
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

    /// Whether an agent at which it failed is avoided while there is another.
    pub fn avoids_failed(&self) -> bool {
        self.placement
            .as_ref()
            .is_some_and(|wish| wish.avoid_failed)
    }

    /// Which agents it wants.
    ///
    /// # Errors
    /// When its version range cannot be read.
    pub fn placement(&self) -> Result<Placement, semver::Error> {
        let wish = self.placement.as_ref();
        wish.map_or_else(|| Ok(Placement::default()), |wish| wish.placement())
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
