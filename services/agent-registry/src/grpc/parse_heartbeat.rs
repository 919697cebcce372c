//! Heartbeats, with every violation. Their own file, because they are most of what arrives.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use reeve_contracts::agent::v1 as proto;
use reeve_status::{Fault, Violations};

use super::parse;
use crate::domain::workload::{HealthCheck, HealthStatus, Workload};
use crate::operations::heartbeat::Heartbeat;

const HEALTH_CHECKS: usize = 32;
const MESSAGE_LENGTH: usize = 1_024;

pub fn heartbeat(
    heartbeat: Option<proto::Heartbeat>,
    now: DateTime<Utc>,
) -> Result<Heartbeat, Fault> {
    let Some(heartbeat) = heartbeat else {
        return Err(Fault::invalid("heartbeat", "must be set"));
    };
    let mut violations = Violations::new();
    let (agent_id, workload, health_checks) = violations.within("heartbeat", |inner| {
        let agent_id = parse::id(inner, "agent_id", &heartbeat.agent_id);
        inner.check(
            heartbeat.epoch >= 1,
            "epoch",
            "must be the epoch that RegisterAgent returned",
        );
        let workload = heartbeat
            .workload
            .map(|load| inner.within("workload", |v| workload(v, load)));
        (
            agent_id,
            workload,
            health_checks(inner, heartbeat.health_checks, now),
        )
    });
    violations.finish()?;
    Ok(Heartbeat {
        agent_id: agent_id.ok_or_else(Fault::internal)?,
        epoch: heartbeat.epoch,
        time: now,
        ready: heartbeat.ready.unwrap_or(true),
        workload,
        health_checks,
    })
}

fn workload(violations: &mut Violations, load: proto::Workload) -> Workload {
    let share = |share: f64| (0.0..=1.0).contains(&share);
    let fits = share(load.cpu_utilization);
    violations.check(fits, "cpu_utilization", "must be from 0 to 1");
    violations.check(
        load.memory_bytes >= 0,
        "memory_bytes",
        "must not be negative",
    );
    violations.check(
        load.active_task_count >= 0,
        "active_task_count",
        "must not be negative",
    );
    violations.check(
        load.queue_length >= 0,
        "queue_length",
        "must not be negative",
    );
    let fits = load.success_rate.is_none_or(share);
    violations.check(fits, "success_rate", "must be from 0 to 1");
    violations.check(
        load.error_rate.is_none_or(share),
        "error_rate",
        "must be from 0 to 1",
    );
    let average_processing = load
        .average_processing_duration
        .as_ref()
        .and_then(|duration| {
            let span = reeve_wellknown::timedelta(duration)
                .filter(|span| span.num_nanoseconds() >= Some(0));
            violations.check(
                span.is_some(),
                "average_processing_duration",
                "must not be negative nor longer than 292 years",
            );
            span
        });
    Workload {
        cpu_utilization: load.cpu_utilization,
        memory_bytes: load.memory_bytes,
        active_task_count: load.active_task_count,
        queue_length: load.queue_length,
        success_rate: load.success_rate,
        error_rate: load.error_rate,
        average_processing,
    }
}

/// Checks in order of name.
fn health_checks(
    violations: &mut Violations,
    checks: Vec<proto::HealthCheck>,
    now: DateTime<Utc>,
) -> Vec<HealthCheck> {
    let fits = checks.len() <= HEALTH_CHECKS;
    violations.check(fits, "health_checks", "must have at most 32 entries");
    let mut names = HashSet::new();
    let mut parsed: Vec<_> = checks
        .into_iter()
        .enumerate()
        .filter_map(|(at, check)| {
            violations.within(format!("health_checks[{at}]"), |inner| {
                let is_new = names.insert(check.name.clone());
                inner.check(is_new, "name", "must be unique among the checks");
                health_check(inner, check, now)
            })
        })
        .collect();
    parsed.sort_by(|left, right| left.name.cmp(&right.name));
    parsed
}

fn health_check(
    violations: &mut Violations,
    check: proto::HealthCheck,
    now: DateTime<Utc>,
) -> Option<HealthCheck> {
    parse::required(violations, "name", &check.name, parse::NAME_LENGTH);
    parse::text(violations, "message", &check.message, MESSAGE_LENGTH);
    let clean = !check.name.contains('\0') && !check.message.contains('\0');
    violations.check(clean, "name", "name and message must not contain U+0000");
    let status = match proto::HealthStatus::try_from(check.status) {
        Ok(proto::HealthStatus::Healthy) => Some(HealthStatus::Healthy),
        Ok(proto::HealthStatus::Degraded) => Some(HealthStatus::Degraded),
        Ok(proto::HealthStatus::Unhealthy) => Some(HealthStatus::Unhealthy),
        Ok(proto::HealthStatus::Unspecified) | Err(_) => None,
    };
    violations.check(
        status.is_some(),
        "status",
        "must be a known status, and not unspecified",
    );
    let check_time = match &check.check_time {
        None => Some(now),
        Some(time) => reeve_wellknown::datetime(time),
    };
    violations.check(
        check_time.is_some(),
        "check_time",
        "must be a valid timestamp",
    );
    Some(HealthCheck {
        name: check.name,
        status: status?,
        message: check.message,
        check_time: reeve_clock::to_microseconds(check_time?),
    })
}
