//! What an agent reports about itself.

use chrono::{DateTime, TimeDelta, Utc};

/// The load of an agent, as last reported.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Workload {
    /// Share of the processors in use, from 0 to 1.
    pub cpu_utilization: f64,
    /// Memory in use, in bytes.
    pub memory_bytes: i64,
    /// Tasks that run now.
    pub active_task_count: i32,
    /// Tasks waiting inside the agent.
    pub queue_length: i32,
    /// Share of recently ended tasks that succeeded.
    pub success_rate: Option<f64>,
    /// Share of recently ended tasks that failed.
    pub error_rate: Option<f64>,
    /// Mean time from start to end of recent tasks.
    pub average_processing: Option<TimeDelta>,
}

impl Workload {
    /// Whether the agent has no task left, running or waiting.
    pub fn is_empty(&self) -> bool {
        self.active_task_count == 0 && self.queue_length == 0
    }
}

/// The outcome of a health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthStatus {
    /// Works as it should.
    Healthy,
    /// Works, with a limitation.
    Degraded,
    /// Does not work.
    Unhealthy,
}

impl HealthStatus {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "HEALTHY",
            Self::Degraded => "DEGRADED",
            Self::Unhealthy => "UNHEALTHY",
        }
    }

    /// The outcome that a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Healthy, Self::Degraded, Self::Unhealthy]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

/// The latest result of one of the agent's own checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// Name of the check.
    pub name: String,
    /// The outcome.
    pub status: HealthStatus,
    /// For people.
    pub message: String,
    /// When it ran.
    pub check_time: DateTime<Utc>,
}

/// A report and when it was heard. Each replica hears some of them; the latest one counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard<T> {
    /// When it arrived.
    pub time: DateTime<Utc>,
    /// What it said.
    pub value: T,
}

/// What is known from heartbeats alone.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Status {
    /// The last heartbeat.
    pub last_heartbeat_time: Option<DateTime<Utc>>,
    /// The last reported load of this epoch.
    pub workload: Option<Heard<Workload>>,
    /// The last reported checks of this epoch, by name.
    pub health_checks: Option<Heard<Vec<HealthCheck>>>,
}

impl Status {
    /// Takes over what was heard later elsewhere. Both are about the same process.
    pub fn merge(&mut self, other: &Self) {
        self.last_heartbeat_time = self.last_heartbeat_time.max(other.last_heartbeat_time);
        merge(&mut self.workload, other.workload.as_ref());
        merge(&mut self.health_checks, other.health_checks.as_ref());
    }
}

fn merge<T: Clone>(own: &mut Option<Heard<T>>, other: Option<&Heard<T>>) {
    let is_later = |other: &&Heard<T>| own.as_ref().is_none_or(|own| own.time <= other.time);
    if let Some(other) = other.filter(is_later) {
        *own = Some(other.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_report_the_latest_counts_in_whatever_order_they_come() {
        let at = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let load = |seconds, active_task_count| {
            let value = Workload {
                active_task_count,
                ..Workload::default()
            };
            let time = at(seconds);
            Some(Heard { time, value })
        };
        let checked = Some(Heard {
            time: at(3),
            value: Vec::new(),
        });
        let early = Status {
            last_heartbeat_time: Some(at(3)),
            workload: load(1, 7),
            health_checks: checked.clone(),
        };
        let late = Status {
            last_heartbeat_time: Some(at(2)),
            workload: load(2, 0),
            health_checks: None,
        };
        let both = Status {
            last_heartbeat_time: Some(at(3)),
            workload: load(2, 0),
            health_checks: checked,
        };
        for (mut first, second) in [(early.clone(), &late), (late.clone(), &early)] {
            first.merge(second);
            assert_eq!(first, both);
        }
    }
}
