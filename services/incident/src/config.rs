//! What this service can be told. The keys are explained in `config.default.toml`.

use std::time::Duration;

use chrono::TimeDelta;
use reeve_runtime::config::{Common, Validate, duration};
use serde::Deserialize;

use crate::domain::classification::ResponseTargets;
use crate::operations::Policy;

/// The defaults and the manual.
pub const DEFAULTS: &str = include_str!("../config.default.toml");

/// The configuration of incident.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    /// What every service can be told.
    #[serde(flatten)]
    pub common: Common,
    /// Response clocks.
    pub response: ResponseConfig,
    /// The lifecycle.
    pub lifecycle: LifecycleConfig,
    /// Evidence.
    pub evidence: EvidenceConfig,
    /// Streams.
    pub stream: StreamConfig,
}

/// `[response]`.
#[derive(Debug, Clone, Deserialize)]
pub struct ResponseConfig {
    /// What P1 allows.
    #[serde(with = "duration")]
    pub p1: Duration,
    /// What P2 allows.
    #[serde(with = "duration")]
    pub p2: Duration,
    /// What P3 allows.
    #[serde(with = "duration")]
    pub p3: Duration,
    /// What P4 allows.
    #[serde(with = "duration")]
    pub p4: Duration,
    /// How often missed clocks are looked for.
    #[serde(with = "duration")]
    pub sweep_period: Duration,
}

/// `[lifecycle]`.
#[derive(Debug, Clone, Deserialize)]
pub struct LifecycleConfig {
    /// How long after its close an incident may be reopened.
    #[serde(with = "duration")]
    pub reopen_limit: Duration,
}

/// `[evidence]`.
#[derive(Debug, Clone, Deserialize)]
pub struct EvidenceConfig {
    /// How long a task is asked for.
    #[serde(with = "duration")]
    pub patience: Duration,
    /// How often.
    #[serde(with = "duration")]
    pub retry_period: Duration,
}

/// `[stream]`.
#[derive(Debug, Clone, Deserialize)]
pub struct StreamConfig {
    /// How long a stream is silent.
    #[serde(with = "duration")]
    pub bookmark_period: Duration,
}

impl Config {
    /// What operations are told.
    pub fn policy(&self) -> Policy {
        let response = &self.response;
        Policy {
            targets: ResponseTargets {
                p1: span(response.p1),
                p2: span(response.p2),
                p3: span(response.p3),
                p4: span(response.p4),
            },
            reopen_limit: span(self.lifecycle.reopen_limit),
            evidence_patience: span(self.evidence.patience),
        }
    }
}

impl Validate for Config {
    fn validate(&self) -> Vec<String> {
        let mut problems = self.common.validate();
        let response = &self.response;
        let rising =
            response.p1 <= response.p2 && response.p2 <= response.p3 && response.p3 <= response.p4;
        let checks = [
            (
                !response.p1.is_zero(),
                "response.p1: must be positive, or every P1 is late at once",
            ),
            (
                rising,
                "response: a higher priority must not allow more time than a lower one",
            ),
            (
                !response.sweep_period.is_zero(),
                "response.sweep_period: must be positive",
            ),
            (
                !self.evidence.retry_period.is_zero(),
                "evidence.retry_period: must be positive",
            ),
            (
                !self.stream.bookmark_period.is_zero(),
                "stream.bookmark_period: must be positive",
            ),
        ];
        problems.extend(
            checks
                .into_iter()
                .filter(|(right, _)| !right)
                .map(|(_, p)| p.to_owned()),
        );
        problems
    }
}

fn span(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
