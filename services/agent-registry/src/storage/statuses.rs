//! Table `agent_status`.

use chrono::{DateTime, Utc};
use reeve_ids::{AgentId, Uuid};
use reeve_postgres::Database;
use sqlx::types::Json;

use super::Error;
use super::rows::{HealthCheckJson, WorkloadJson};
use crate::domain::workload::{HealthCheck, Workload};

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
    pub workload: Option<Workload>,
    /// Its last checks.
    pub health_checks: Vec<HealthCheck>,
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
    let workloads: Vec<Option<Json<WorkloadJson>>> = reports
        .iter()
        .map(|r| r.workload.as_ref().map(|w| Json(w.into())))
        .collect();
    let checks: Vec<Json<Vec<HealthCheckJson>>> = reports
        .iter()
        .map(|r| Json(r.health_checks.iter().map(HealthCheckJson::from).collect()))
        .collect();
    let mut tx = database.internal().await?;
    sqlx::query("set local synchronous_commit = off")
        .execute(&mut *tx)
        .await?;
    sqlx::query(include_str!("queries/agent_status/save_batch.sql"))
        .bind(ids)
        .bind(epochs)
        .bind(times)
        .bind(workloads)
        .bind(checks)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}
