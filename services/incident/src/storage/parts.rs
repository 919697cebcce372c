//! Table `incident_part`.

use reeve_ids::{IncidentId, PartId, TenantId, Uuid};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::Error;
use super::rows::{Corrupt, document};
use crate::domain::parts::{Action, Communication, Impact, PartKind};

/// Everything that belongs to an incident besides its row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parts {
    /// What it affects.
    pub impacts: Vec<Impact>,
    /// What is done about it.
    pub actions: Vec<Action>,
    /// Who was told what.
    pub communications: Vec<Communication>,
}

impl Parts {
    /// How many bytes they take as JSON.
    pub fn bytes(&self) -> usize {
        let size = |json: serde_json::Result<Vec<u8>>| json.map_or(0, |bytes| bytes.len());
        size(serde_json::to_vec(&self.impacts))
            + size(serde_json::to_vec(&self.actions))
            + size(serde_json::to_vec(&self.communications))
    }
}

/// Adds a part; the transaction holds the incident's row locked.
pub async fn insert(
    connection: &mut PgConnection,
    tenant: TenantId,
    incident: IncidentId,
    (id, kind): (PartId, PartKind),
    body: &impl Serialize,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/part/insert.sql"))
        .bind(id.uuid())
        .bind(incident.uuid())
        .bind(tenant.uuid())
        .bind(kind.as_str())
        .bind(Json(serde_json::to_value(body).unwrap_or(Value::Null)))
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes a part anew; the transaction holds the incident's row locked.
pub async fn update(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: PartId,
    body: &impl Serialize,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/part/update.sql"))
        .bind(tenant.uuid())
        .bind(id.uuid())
        .bind(Json(serde_json::to_value(body).unwrap_or(Value::Null)))
        .execute(connection)
        .await?;
    Ok(())
}

/// Reads all parts of an incident, oldest first.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    incident: IncidentId,
) -> Result<Parts, Error> {
    let rows: Vec<(Uuid, String, Value)> = sqlx::query_as(include_str!("queries/part/list.sql"))
        .bind(tenant.uuid())
        .bind(incident.uuid())
        .fetch_all(connection)
        .await?;
    let mut parts = Parts::default();
    for (_, kind, body) in rows {
        match PartKind::parse(&kind) {
            Some(PartKind::Impact) => parts.impacts.push(document("part", "body", body)?),
            Some(PartKind::Action) => parts.actions.push(document("part", "body", body)?),
            Some(PartKind::Communication) => {
                parts.communications.push(document("part", "body", body)?);
            }
            None => return Err(Corrupt::new("part", "kind", kind).into()),
        }
    }
    Ok(parts)
}
