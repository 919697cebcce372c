//! What a client's request_id did.

use chrono::{DateTime, Utc};
use reeve_ids::{TenantId, Uuid};
use sqlx::PgConnection;

use super::Result;

/// A call that may be a repetition.
#[derive(Debug, Clone, Copy)]
pub struct RequestKey<'call> {
    /// Whose call.
    pub tenant_id: TenantId,
    /// The RPC.
    pub method: &'static str,
    /// Chosen by the client; empty when it chose none.
    pub request_id: &'call str,
    /// Of the whole request.
    pub body_sha256: [u8; 32],
}

/// Whether a call is the first of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is, or it has none.
    First,
    /// It was made before, and made this.
    Repeat(Uuid),
    /// The id was used with another body.
    Reused,
}

/// Claims a request id for what the call is about to make.
pub async fn claim(
    connection: &mut PgConnection,
    key: RequestKey<'_>,
    resource_id: Uuid,
    now: DateTime<Utc>,
) -> Result<Claim> {
    if key.request_id.is_empty() {
        return Ok(Claim::First);
    }
    let inserted = sqlx::query(include_str!("queries/request_record/insert.sql"))
        .bind(key.tenant_id.uuid())
        .bind(key.method)
        .bind(key.request_id)
        .bind(key.body_sha256.as_slice())
        .bind(resource_id)
        .bind(now)
        .execute(&mut *connection)
        .await?;
    if inserted.rows_affected() == 1 {
        return Ok(Claim::First);
    }
    let (body, resource): (Vec<u8>, Uuid) =
        sqlx::query_as(include_str!("queries/request_record/get.sql"))
            .bind(key.tenant_id.uuid())
            .bind(key.method)
            .bind(key.request_id)
            .fetch_one(connection)
            .await?;
    Ok(if body == key.body_sha256 {
        Claim::Repeat(resource)
    } else {
        Claim::Reused
    })
}

/// Forgets ids from before `older_than`, some at a time; how many.
pub async fn clean(connection: &mut PgConnection, older_than: DateTime<Utc>) -> Result<u64> {
    let done = sqlx::query(include_str!("queries/request_record/clean.sql"))
        .bind(older_than)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}
