//! Events of the task queue that could not be applied.

use chrono::{DateTime, Utc};
use prost::Message as _;
use reeve_events::Event;
use reeve_ids::Uuid;
use sqlx::PgConnection;

use super::Result;

/// Keeps an event with why it could not be applied.
pub async fn insert(
    connection: &mut PgConnection,
    event: &Event,
    error: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(include_str!("queries/refused_event/insert.sql"))
        .bind(event.sequence)
        .bind(event.tenant_id.parse::<Uuid>().unwrap_or_default())
        .bind(event.encode_to_vec())
        .bind(error)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}
