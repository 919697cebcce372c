//! Table `incident`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use reeve_ids::{IncidentId, TenantId, Uuid};
use serde::Serialize;
use sqlx::PgConnection;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::types::Json;

use super::Error;
use super::rows::{IncidentRow, PastRow};
use crate::domain::canonical::Digest;
use crate::domain::correlation::Past;
use crate::domain::incident::Incident;

/// Which incidents a list holds; what is empty selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// In any of these statuses.
    pub statuses: Vec<String>,
    /// Of any of these severities.
    pub severities: Vec<String>,
    /// Of any of these priorities.
    pub priorities: Vec<String>,
    /// Of any of these categories.
    pub categories: Vec<String>,
    /// Of any of these sources.
    pub sources: Vec<String>,
    /// Of this project.
    pub project_id: String,
    /// With this assignee.
    pub assignee: String,
    /// Opened by this rule.
    pub rule_id: Option<Uuid>,
    /// With evidence about this task.
    pub task_id: String,
    /// With these labels.
    pub labels: BTreeMap<String, String>,
    /// Detected at or after this time, in microseconds since 1970.
    pub min_detect_micros: Option<i64>,
    /// Detected before this time.
    pub max_detect_micros: Option<i64>,
    /// Only those whose response is, or was, late.
    pub breached: bool,
}

type PgQuery = Query<'static, sqlx::Postgres, PgArguments>;

/// Binds every column in the order that insert.sql and update.sql number them.
fn bind(sql: &'static str, incident: &Incident) -> PgQuery {
    let related: Vec<Uuid> = incident.related.iter().map(|id| id.uuid()).collect();
    sqlx::query(sql)
        .bind(incident.id.uuid())
        .bind(incident.tenant_id.uuid())
        .bind(incident.version)
        .bind(incident.project_id.clone())
        .bind(incident.title.clone())
        .bind(incident.description.clone())
        .bind(incident.severity.as_str())
        .bind(incident.priority.as_str())
        .bind(incident.status.as_str())
        .bind(incident.category.as_str())
        .bind(incident.source.as_str())
        .bind(incident.assignee.clone())
        .bind(Json(incident.labels.clone()))
        .bind(incident.resolution.clone().map(Json))
        .bind(incident.rule_id.map(|id| id.uuid()))
        .bind(incident.key.map(|key| key.to_vec()))
        .bind(incident.signal_count)
        .bind(incident.last_signal_time)
        .bind(related)
        .bind(incident.close_reason.map(|reason| reason.as_str()))
        .bind(incident.duplicate_of.map(|id| id.uuid()))
        .bind(incident.round)
        .bind(incident.clock.target.num_seconds())
        .bind(incident.clock.start_time)
        .bind(incident.clock.due_time())
        .bind(incident.clock.breach_record_time)
        .bind(incident.detect_time)
        .bind(incident.acknowledge_time)
        .bind(incident.acknowledged_by.clone())
        .bind(incident.mitigate_time)
        .bind(incident.resolve_time)
        .bind(incident.close_time)
        .bind(incident.reopen_time)
        .bind(incident.create_time)
        .bind(incident.update_time)
        .bind(incident.created_by.clone())
        .bind(incident.timeline_count)
        .bind(incident.timeline_hash.to_vec())
}

/// Adds an incident.
pub async fn insert(connection: &mut PgConnection, incident: &Incident) -> Result<(), Error> {
    bind(include_str!("queries/incident/insert.sql"), incident)
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes an incident whose row the transaction holds locked, and whose version it has raised.
pub async fn update(connection: &mut PgConnection, incident: &Incident) -> Result<(), Error> {
    let updated = bind(include_str!("queries/incident/update.sql"), incident)
        .execute(connection)
        .await?;
    if updated.rows_affected() != 1 {
        return Err(reeve_postgres::Error::RowNotFound.into());
    }
    Ok(())
}

/// Reads an incident.
pub async fn get(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: IncidentId,
) -> Result<Option<Incident>, Error> {
    one(
        include_str!("queries/incident/get.sql"),
        connection,
        tenant,
        id,
    )
    .await
}

/// Reads and locks an incident.
pub async fn lock(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: IncidentId,
) -> Result<Option<Incident>, Error> {
    one(
        include_str!("queries/incident/lock.sql"),
        connection,
        tenant,
        id,
    )
    .await
}

async fn one(
    sql: &'static str,
    connection: &mut PgConnection,
    tenant: TenantId,
    id: IncidentId,
) -> Result<Option<Incident>, Error> {
    let row: Option<IncidentRow> = sqlx::query_as(sql)
        .bind(tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(Incident::try_from).transpose()?)
}

/// Reads and locks the open incident of a key.
pub async fn lock_open_by_key(
    connection: &mut PgConnection,
    tenant: TenantId,
    key: &Digest,
) -> Result<Option<Incident>, Error> {
    let row: Option<IncidentRow> =
        sqlx::query_as(include_str!("queries/incident/lock_open_by_key.sql"))
            .bind(tenant.uuid())
            .bind(key.as_slice())
            .fetch_optional(connection)
            .await?;
    Ok(row.map(Incident::try_from).transpose()?)
}

/// The newest incident of a key that is over.
pub async fn past_by_key(
    connection: &mut PgConnection,
    tenant: TenantId,
    key: &Digest,
) -> Result<Option<Past>, Error> {
    let row: Option<PastRow> = sqlx::query_as(include_str!("queries/incident/past_by_key.sql"))
        .bind(tenant.uuid())
        .bind(key.as_slice())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(Past::try_from).transpose()?)
}

/// Which page of which incidents.
#[derive(Debug)]
pub struct Page<'a> {
    /// Older than this one.
    pub before: Option<Uuid>,
    /// Which.
    pub filter: &'a Filter,
    /// Only these.
    pub ids: Option<Vec<Uuid>>,
    /// What is late now.
    pub now: DateTime<Utc>,
    /// At most.
    pub limit: i64,
}

/// Incidents, newest first.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    page: Page<'_>,
) -> Result<Vec<Incident>, Error> {
    let filter = page.filter;
    let rows: Vec<IncidentRow> = sqlx::query_as(include_str!("queries/incident/list.sql"))
        .bind(tenant.uuid())
        .bind(page.before)
        .bind(&filter.statuses)
        .bind(&filter.severities)
        .bind(&filter.priorities)
        .bind(&filter.categories)
        .bind(&filter.sources)
        .bind(&filter.project_id)
        .bind(&filter.assignee)
        .bind(filter.rule_id)
        .bind(&filter.task_id)
        .bind(Json(&filter.labels))
        .bind(
            filter
                .min_detect_micros
                .and_then(DateTime::from_timestamp_micros),
        )
        .bind(
            filter
                .max_detect_micros
                .and_then(DateTime::from_timestamp_micros),
        )
        .bind(filter.breached)
        .bind(page.now)
        .bind(page.ids)
        .bind(page.limit)
        .fetch_all(connection)
        .await?;
    incidents(rows)
}

/// Reads and locks incidents of all tenants whose breach is to be recorded.
pub async fn lock_overdue(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Incident>, Error> {
    let rows: Vec<IncidentRow> = sqlx::query_as(include_str!("queries/incident/lock_overdue.sql"))
        .bind(now)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    incidents(rows)
}

/// Those of the given incidents that exist.
pub async fn existing(
    connection: &mut PgConnection,
    tenant: TenantId,
    ids: &[IncidentId],
) -> Result<Vec<IncidentId>, Error> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let found: Vec<Uuid> = sqlx::query_scalar(include_str!("queries/incident/existing.sql"))
        .bind(tenant.uuid())
        .bind(ids)
        .fetch_all(connection)
        .await?;
    Ok(found.into_iter().map(IncidentId::from_uuid).collect())
}

/// The incidents that a chain of duplicates passes, beginning with the given one; empty when that
/// does not exist.
pub async fn duplicate_chain(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: IncidentId,
) -> Result<Vec<IncidentId>, Error> {
    let found: Vec<Uuid> = sqlx::query_scalar(include_str!("queries/incident/duplicate_chain.sql"))
        .bind(tenant.uuid())
        .bind(id.uuid())
        .fetch_all(connection)
        .await?;
    Ok(found.into_iter().map(IncidentId::from_uuid).collect())
}

fn incidents(rows: Vec<IncidentRow>) -> Result<Vec<Incident>, Error> {
    rows.into_iter().map(|row| Ok(row.try_into()?)).collect()
}
