//! What this service can be told. The keys are explained in `config.default.toml`.

use std::time::Duration;

use chrono::TimeDelta;
use reeve_postgres::DatabaseConfig;
use reeve_runtime::config::{AuthConfig, Validate, duration};
use serde::Deserialize;

/// The defaults and the manual.
pub const DEFAULTS: &str = include_str!("../config.default.toml");

/// The configuration of workflow-engine, without the sections that the runtime reads.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    /// Where PostgreSQL is.
    pub database: DatabaseConfig,
    /// Shared secrets.
    pub auth: AuthConfig,
    /// How executions behave.
    pub execution: ExecutionConfig,
    /// What goes on by itself.
    pub engine: EngineConfig,
}

/// `[execution]`.
#[derive(Debug, Clone, Deserialize)]
pub struct ExecutionConfig {
    /// How long tasks have to confirm that they stopped.
    #[serde(with = "duration")]
    pub cancel_grace: Duration,
    /// How long an approval stays open when its step does not say.
    #[serde(with = "duration")]
    pub approval_timeout: Duration,
}

/// `[engine]`.
#[derive(Debug, Clone, Deserialize)]
pub struct EngineConfig {
    /// How often timers are looked at.
    #[serde(with = "duration")]
    pub timer_period: Duration,
    /// How often commands are looked at when nobody says that there are any.
    #[serde(with = "duration")]
    pub command_period: Duration,
    /// Commands that one pass of the relay carries out.
    pub command_batch: u16,
    /// Calls to task-queue at a time.
    pub calls: u16,
    /// How often a watch looks by itself.
    #[serde(with = "duration")]
    pub watch_period: Duration,
}

impl ExecutionConfig {
    /// `cancel_grace` as a span.
    pub fn grace(&self) -> TimeDelta {
        span(self.cancel_grace)
    }

    /// `approval_timeout` as a span.
    pub fn approval_span(&self) -> TimeDelta {
        span(self.approval_timeout)
    }
}

fn span(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

impl Validate for Config {
    fn validate(&self) -> Vec<String> {
        let mut problems = self.database.problems();
        let mut check = |right: bool, problem: &str| {
            if !right {
                problems.push(problem.to_owned());
            }
        };
        check(
            self.auth.service_token_secret.expose().chars().count() >= 32,
            "auth.service_token_secret: must have at least 32 characters",
        );
        check(
            !self.execution.cancel_grace.is_zero(),
            "execution.cancel_grace: must be positive",
        );
        check(
            self.execution.approval_timeout >= Duration::from_secs(60),
            "execution.approval_timeout: must be at least 1m, or people have no chance",
        );
        check(
            !self.engine.timer_period.is_zero(),
            "engine.timer_period: must be positive",
        );
        check(
            !self.engine.command_period.is_zero(),
            "engine.command_period: must be positive",
        );
        check(
            !self.engine.watch_period.is_zero(),
            "engine.watch_period: must be positive",
        );
        check(
            (1..=1_000).contains(&self.engine.command_batch),
            "engine.command_batch: must be from 1 to 1000",
        );
        check(
            (1..=256).contains(&self.engine.calls),
            "engine.calls: must be from 1 to 256",
        );
        problems
    }
}
