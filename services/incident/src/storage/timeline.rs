//! Table `incident_event`.

use reeve_ids::{IncidentId, TenantId};
use sqlx::PgConnection;

use super::Error;
use super::rows::TimelineRow;
use crate::domain::timeline::TimelineEvent;

/// Appends an entry; the transaction holds the incident's row locked.
pub async fn append(
    connection: &mut PgConnection,
    tenant: TenantId,
    incident: IncidentId,
    event: &TimelineEvent,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/timeline/append.sql"))
        .bind(incident.uuid())
        .bind(event.sequence)
        .bind(tenant.uuid())
        .bind(event.entry.kind.as_str())
        .bind(event.create_time)
        .bind(event.actor.kind.as_str())
        .bind(&event.actor.subject)
        .bind(&event.actor.display_name)
        .bind(&event.entry.summary)
        .bind(&event.entry.details)
        .bind(event.previous_hash.as_slice())
        .bind(event.hash.as_slice())
        .execute(connection)
        .await?;
    Ok(())
}

/// Entries after a number, oldest first.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    incident: IncidentId,
    after: i64,
    limit: i64,
) -> Result<Vec<TimelineEvent>, Error> {
    let rows: Vec<TimelineRow> = sqlx::query_as(include_str!("queries/timeline/list.sql"))
        .bind(tenant.uuid())
        .bind(incident.uuid())
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(|row| Ok(row.try_into()?)).collect()
}

/// The newest entries, oldest first.
pub async fn newest(
    connection: &mut PgConnection,
    tenant: TenantId,
    incident: IncidentId,
    limit: i64,
) -> Result<Vec<TimelineEvent>, Error> {
    let rows: Vec<TimelineRow> = sqlx::query_as(include_str!("queries/timeline/newest.sql"))
        .bind(tenant.uuid())
        .bind(incident.uuid())
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(|row| Ok(row.try_into()?)).collect()
}
