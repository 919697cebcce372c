//! Table `evidence`.

use chrono::{DateTime, Utc};
use reeve_ids::{EvidenceId, IncidentId, TenantId, Uuid};
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};

use super::Error;
use super::rows::EvidenceRow;
use crate::domain::evidence::{Evidence, EvidenceState};

/// Adds evidence unless the incident has some of this event.
pub async fn insert(
    connection: &mut PgConnection,
    incident: IncidentId,
    position: i64,
    evidence: &Evidence,
    bytes: i64,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/evidence/insert.sql"))
        .bind(evidence.id.uuid())
        .bind(evidence.fact.tenant_id.uuid())
        .bind(incident.uuid())
        .bind(evidence.fact.id.uuid())
        .bind(position)
        .bind(evidence.task_id())
        .bind(Json(&evidence.attempts))
        .bind(evidence.state.as_str())
        .bind(&evidence.incomplete_reason)
        .bind(evidence.create_time)
        .bind(evidence.collect_time)
        .bind(bytes)
        .execute(connection)
        .await?;
    Ok(())
}

/// How much evidence an incident has: pieces, and bytes.
pub async fn count(
    connection: &mut PgConnection,
    tenant: TenantId,
    incident: IncidentId,
) -> Result<(i64, i64), Error> {
    let query = sqlx::query_as(include_str!("queries/evidence/count.sql"));
    Ok(query
        .bind(tenant.uuid())
        .bind(incident.uuid())
        .fetch_one(connection)
        .await?)
}

/// The evidence of an incident, oldest first.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    incident: IncidentId,
) -> Result<Vec<Evidence>, Error> {
    let rows: Vec<EvidenceRow> = sqlx::query_as(include_str!("queries/evidence/list.sql"))
        .bind(tenant.uuid())
        .bind(incident.uuid())
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(|row| Ok(row.try_into()?)).collect()
}

/// Evidence whose task is still to be asked for.
#[derive(Debug, Clone, FromRow)]
pub struct Pending {
    /// Its id.
    pub id: Uuid,
    /// The tenant.
    pub tenant_id: Uuid,
    /// The incident.
    pub incident_id: Uuid,
    /// The task.
    pub task_id: String,
    /// Since when.
    pub create_time: DateTime<Utc>,
    /// The trace of the event.
    pub traceparent: String,
}

/// The oldest evidence of all tenants that is pending.
pub async fn pending(connection: &mut PgConnection, limit: i64) -> Result<Vec<Pending>, Error> {
    let query = sqlx::query_as(include_str!("queries/evidence/pending.sql"));
    Ok(query.bind(limit).fetch_all(connection).await?)
}

/// What became of asking for a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Settlement {
    /// Collected or incomplete.
    pub state: EvidenceState,
    /// The task.
    pub task: Option<Value>,
    /// Why it is incomplete.
    pub incomplete_reason: String,
    /// When.
    pub collect_time: DateTime<Utc>,
    /// What the task takes of an answer that holds the incident.
    pub bytes: i64,
}

/// Freezes evidence; false when another replica did.
pub async fn settle(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: EvidenceId,
    settlement: &Settlement,
) -> Result<bool, Error> {
    let settled = sqlx::query(include_str!("queries/evidence/settle.sql"))
        .bind(tenant.uuid())
        .bind(id.uuid())
        .bind(&settlement.task)
        .bind(settlement.state.as_str())
        .bind(&settlement.incomplete_reason)
        .bind(settlement.collect_time)
        .bind(settlement.bytes)
        .execute(connection)
        .await?;
    Ok(settled.rows_affected() == 1)
}
