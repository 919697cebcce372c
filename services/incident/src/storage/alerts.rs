//! Tables `signal` and `alert`.

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::{AlertId, EventId, IncidentId, RuleId, TenantId, Uuid};
use serde::Serialize;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::Error;
use super::rows::AlertRow;
use crate::domain::alert::{Alert, AlertState};
use crate::domain::canonical::Digest;
use crate::domain::logged::Logged;
use crate::domain::rule::{Group, Rule};

/// Whether an event is a signal of a rule already.
pub async fn is_seen(
    connection: &mut PgConnection,
    tenant: TenantId,
    rule: RuleId,
    event: EventId,
) -> Result<bool, Error> {
    let query = sqlx::query_scalar(include_str!("queries/alert/signal_seen.sql"));
    Ok(query
        .bind(tenant.uuid())
        .bind(rule.uuid())
        .bind(event.uuid())
        .fetch_one(connection)
        .await?)
}

/// An alert that has just got a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Which.
    pub id: AlertId,
    /// When its newest signal occurred.
    pub newest: DateTime<Utc>,
    /// The incident that it is, or was last, attached to.
    pub incident: Option<IncidentId>,
}

/// Adds a signal to the alert of its fingerprint, making that if there is none.
pub async fn add_signal(
    connection: &mut PgConnection,
    rule: &Rule,
    logged: &Logged,
    (fingerprint, group): (&Digest, &Group),
) -> Result<Counted, Error> {
    let (alert, newest, incident): (Uuid, DateTime<Utc>, Option<Uuid>) =
        sqlx::query_as(include_str!("queries/alert/upsert.sql"))
            .bind(AlertId::new().uuid())
            .bind(rule.tenant_id.uuid())
            .bind(rule.id.uuid())
            .bind(fingerprint.as_slice())
            .bind(Json(group))
            .bind(logged.fact.occur_time)
            .fetch_one(&mut *connection)
            .await?;
    sqlx::query(include_str!("queries/alert/signal_insert.sql"))
        .bind(rule.id.uuid())
        .bind(logged.fact.id.uuid())
        .bind(rule.tenant_id.uuid())
        .bind(alert)
        .bind(logged.position)
        .bind(logged.fact.occur_time)
        .execute(connection)
        .await?;
    Ok(Counted {
        id: AlertId::from_uuid(alert),
        newest,
        incident: incident.map(IncidentId::from_uuid),
    })
}

/// How many signals an alert has in the window that ends at a time.
pub async fn count_window(
    connection: &mut PgConnection,
    tenant: TenantId,
    alert: AlertId,
    end: DateTime<Utc>,
    window: TimeDelta,
) -> Result<i64, Error> {
    let query = sqlx::query_scalar(include_str!("queries/alert/count_window.sql"));
    let seconds = window.as_seconds_f64();
    Ok(query
        .bind(tenant.uuid())
        .bind(alert.uuid())
        .bind(end)
        .bind(seconds)
        .fetch_one(connection)
        .await?)
}

/// Whether an event is attached to an incident, by whatever rule.
pub async fn is_attached(
    connection: &mut PgConnection,
    tenant: TenantId,
    event: EventId,
    incident: IncidentId,
) -> Result<bool, Error> {
    let query = sqlx::query_scalar(include_str!("queries/alert/is_attached.sql"));
    Ok(query
        .bind(tenant.uuid())
        .bind(event.uuid())
        .bind(incident.uuid())
        .fetch_one(connection)
        .await?)
}

/// Attaches a signal and its alert to an incident.
pub async fn attach(
    connection: &mut PgConnection,
    tenant: TenantId,
    (rule, event, alert): (RuleId, EventId, AlertId),
    incident: IncidentId,
    state: AlertState,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/alert/signal_attach.sql"))
        .bind(tenant.uuid())
        .bind(rule.uuid())
        .bind(event.uuid())
        .bind(incident.uuid())
        .execute(&mut *connection)
        .await?;
    sqlx::query(include_str!("queries/alert/fire.sql"))
        .bind(tenant.uuid())
        .bind(alert.uuid())
        .bind(incident.uuid())
        .bind(state.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// Resolves the alerts of an incident that is over.
pub async fn resolve(
    connection: &mut PgConnection,
    tenant: TenantId,
    incident: IncidentId,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/alert/resolve.sql"))
        .bind(tenant.uuid())
        .bind(incident.uuid())
        .execute(connection)
        .await?;
    Ok(())
}

/// Which alerts a list holds; what is empty selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// Of this rule.
    pub rule_id: Option<Uuid>,
    /// Of this incident.
    pub incident_id: Option<Uuid>,
    /// In any of these states.
    pub states: Vec<String>,
}

/// Alerts, newest first.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    before: Option<Uuid>,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<Alert>, Error> {
    let rows: Vec<AlertRow> = sqlx::query_as(include_str!("queries/alert/list.sql"))
        .bind(tenant.uuid())
        .bind(before)
        .bind(filter.rule_id)
        .bind(filter.incident_id)
        .bind(&filter.states)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(|row| Ok(row.try_into()?)).collect()
}
