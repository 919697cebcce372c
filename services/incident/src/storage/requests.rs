//! Table `request`.

use chrono::{DateTime, Utc};
use reeve_ids::{TenantId, Uuid};
use sqlx::PgConnection;

use super::Error;
use super::rows::Corrupt;
use crate::domain::canonical::Digest;

/// A client's request that may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The RPC.
    pub method: &'static str,
    /// What the client calls it.
    pub request_id: String,
    /// Digest of its body.
    pub digest: Digest,
}

/// What an earlier request made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// Digest of its body.
    pub digest: Vec<u8>,
    /// The resource.
    pub resource_id: Uuid,
}

/// Claims a request's id for the resource that it is about to make, or finds what was made before.
pub async fn claim(
    connection: &mut PgConnection,
    tenant: TenantId,
    key: &Key,
    resource_id: Uuid,
    now: DateTime<Utc>,
) -> Result<Option<Earlier>, Error> {
    let claimed = sqlx::query(include_str!("queries/request/claim.sql"))
        .bind(tenant.uuid())
        .bind(key.method)
        .bind(&key.request_id)
        .bind(key.digest.as_slice())
        .bind(resource_id)
        .bind(now)
        .execute(&mut *connection)
        .await?;
    if claimed.rows_affected() == 1 {
        return Ok(None);
    }
    let found: Option<(Vec<u8>, Uuid)> = sqlx::query_as(include_str!("queries/request/get.sql"))
        .bind(tenant.uuid())
        .bind(key.method)
        .bind(&key.request_id)
        .fetch_optional(connection)
        .await?;
    let (digest, resource_id) =
        found.ok_or_else(|| Corrupt::new("request", "request_id", &key.request_id))?;
    Ok(Some(Earlier {
        digest,
        resource_id,
    }))
}
