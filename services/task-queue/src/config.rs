//! What this service can be told. The keys are explained in `config.default.toml`.

use std::time::Duration;

use chrono::TimeDelta;
use reeve_postgres::DatabaseConfig;
use reeve_runtime::config::{AuthConfig, Validate, duration};
use serde::Deserialize;

use crate::lanes::Capacity;

/// The defaults and the manual.
pub const DEFAULTS: &str = include_str!("../config.default.toml");

/// The configuration of task-queue, without the sections that the runtime reads.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    /// Where PostgreSQL is.
    pub database: DatabaseConfig,
    /// Shared secrets.
    pub auth: AuthConfig,
    /// How tasks are queued.
    pub queue: QueueConfig,
}

/// `[queue]`.
#[derive(Debug, Clone, Deserialize)]
pub struct QueueConfig {
    /// Calls of one tenant that may wait in a lane while nobody else's do.
    pub lane_waiting: usize,
    /// Tasks that one flush writes.
    pub flush_tasks: usize,
    /// How long after its lapse a lease is taken away.
    #[serde(with = "duration")]
    pub lapse_grace: Duration,
    /// How long holders have to renew after an outage of this service.
    #[serde(with = "duration")]
    pub outage_grace: Duration,
    /// How long a holder has to obey a cancellation.
    #[serde(with = "duration")]
    pub cancel_grace: Duration,
    /// How long an agent has to fetch a task that is handed to it.
    #[serde(with = "duration")]
    pub hand_over: Duration,
    /// How often passed times are looked for.
    #[serde(with = "duration")]
    pub sweep_period: Duration,
    /// How often Redis is compared with PostgreSQL.
    #[serde(with = "duration")]
    pub reconcile_period: Duration,
    /// How often a waiting agent looks without having been woken.
    #[serde(with = "duration")]
    pub poll_period: Duration,
    /// How long a count of what waits and runs serves those who ask.
    #[serde(with = "duration")]
    pub figures_period: Duration,
    /// How long a watcher may leave what it was sent lying.
    #[serde(with = "duration")]
    pub watch_patience: Duration,
    /// How long what is known of an agent is believed.
    #[serde(with = "duration")]
    pub agent_memory: Duration,
    /// How long what is known of a tenant's task types and demands is believed.
    #[serde(with = "duration")]
    pub task_type_memory: Duration,
    /// How long a budget that refused is left alone.
    #[serde(with = "duration")]
    pub budget_period: Duration,
    /// How long a hold lasts if nobody ends it.
    #[serde(with = "duration")]
    pub hold_duration: Duration,
}

impl QueueConfig {
    /// What a lane takes.
    pub fn capacity(&self) -> Capacity {
        Capacity {
            waiting: self.lane_waiting,
            flush: self.flush_tasks,
        }
    }
}

/// A configured duration as a span.
pub fn span(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

impl Validate for Config {
    fn validate(&self) -> Vec<String> {
        let mut problems = self.database.problems();
        let queue = &self.queue;
        let checks = [
            (
                self.auth.service_token_secret.expose().len() >= 32,
                "auth.service_token_secret: must have at least 32 characters",
            ),
            (
                queue.lane_waiting > 0,
                "queue.lane_waiting: must be at least 1",
            ),
            (
                (1..=5_000).contains(&queue.flush_tasks),
                "queue.flush_tasks: must be from 1 to 5000, or one flush holds up all others",
            ),
            (
                !queue.sweep_period.is_zero(),
                "queue.sweep_period: must not be zero",
            ),
            (
                queue.hand_over >= Duration::from_secs(1)
                    && queue.hand_over <= Duration::from_secs(3_600),
                "queue.hand_over: must be from 1s to 1h",
            ),
            (
                !queue.reconcile_period.is_zero(),
                "queue.reconcile_period: must not be zero",
            ),
            (
                !queue.poll_period.is_zero(),
                "queue.poll_period: must not be zero",
            ),
            (
                !queue.task_type_memory.is_zero(),
                "queue.task_type_memory: must not be zero, or each create reads all types",
            ),
            (
                queue.hold_duration >= Duration::from_secs(1)
                    && queue.hold_duration <= Duration::from_secs(31 * 86_400),
                "queue.hold_duration: must be from 1s to 744h",
            ),
            (
                self.database.max_internal_connections >= 8,
                "database.max_internal_connections: must be at least 8, one for each of the six \
                 lanes, and two for the loops and watches",
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
