//! Table `agent_status`.

use chrono::{DateTime, Utc};
use reeve_ids::{AgentId, Uuid};
use reeve_postgres::Database;
use sqlx::types::Json;

use super::Error;
use super::rows::{HealthCheckJson, WorkloadJson};
use crate::domain::workload::{HealthCheck, Heard, Workload};

/// What heartbeats said of one agent since the last flush.
#[derive(Debug, Clone)]
pub struct Report {
    /// The agent.
    pub agent_id: AgentId,
    /// The process that reported.
    pub epoch: i64,
    /// Its last heartbeat.
    pub last_heartbeat_time: DateTime<Utc>,
    /// Its last load.
    pub workload: Option<Heard<Workload>>,
    /// Its last checks.
    pub health_checks: Option<Heard<Vec<HealthCheck>>>,
}

/// Writes reports of any tenants. Losing the last of them in a crash of PostgreSQL costs nothing
/// that the next heartbeat does not bring back, so the commit does not wait for the disk.
pub async fn save_batch(database: &Database, reports: &[Report]) -> Result<(), Error> {
    let ids: Vec<Uuid> = reports
        .iter()
        .map(|report| report.agent_id.uuid())
        .collect();
    let epochs: Vec<i64> = reports.iter().map(|report| report.epoch).collect();
    let times: Vec<DateTime<Utc>> = reports.iter().map(|r| r.last_heartbeat_time).collect();
    let (workloads, workload_times): (Vec<Option<Json<WorkloadJson>>>, Vec<_>) = reports
        .iter()
        .map(|report| split(report.workload.as_ref(), |load| load.into()))
        .unzip();
    let (checks, check_times): (Vec<_>, Vec<_>) = reports
        .iter()
        .map(|report| {
            split(report.health_checks.as_ref(), |checks| {
                HealthCheckJson::all(checks)
            })
        })
        .unzip();
    let mut tx = database.internal().await?;
    sqlx::query("set local synchronous_commit = off")
        .execute(&mut *tx)
        .await?;
    sqlx::query(include_str!("queries/agent_status/save_batch.sql"))
        .bind(ids)
        .bind(epochs)
        .bind(times)
        .bind(workloads)
        .bind(workload_times)
        .bind(checks)
        .bind(check_times)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// A report as two columns; both are null when there was none.
fn split<T, J>(
    heard: Option<&Heard<T>>,
    json: impl FnOnce(&T) -> J,
) -> (Option<Json<J>>, Option<DateTime<Utc>>) {
    match heard {
        Some(heard) => (Some(Json(json(&heard.value))), Some(heard.time)),
        None => (None, None),
    }
}
