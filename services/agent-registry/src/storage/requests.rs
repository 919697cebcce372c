//! Table `request_record`: what a request_id was used for.

use chrono::{DateTime, Utc};
use reeve_ids::{TenantId, Uuid};
use sqlx::{PgConnection, PgPool};

use super::Error;

/// A request that the client may repeat.
#[derive(Debug, Clone)]
pub struct RequestKey {
    /// The RPC.
    pub method: &'static str,
    /// What the client chose.
    pub request_id: String,
    /// SHA-256 of the body in a canonical form.
    pub body_digest: Vec<u8>,
}

/// What became of an earlier request with the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// SHA-256 of its body.
    pub body_digest: Vec<u8>,
    /// What it made.
    pub resource_id: Uuid,
    /// The epoch that it began, for registrations.
    pub epoch: i64,
}

/// Claims a request id in this transaction, or tells what it was used for.
pub async fn claim(
    connection: &mut PgConnection,
    tenant: TenantId,
    key: &RequestKey,
    now: DateTime<Utc>,
) -> Result<Option<Earlier>, Error> {
    let claimed = sqlx::query(include_str!("queries/request_record/claim.sql"))
        .bind(tenant.uuid())
        .bind(key.method)
        .bind(&key.request_id)
        .bind(&key.body_digest)
        .bind(now)
        .execute(&mut *connection)
        .await?;
    if claimed.rows_affected() == 1 {
        return Ok(None);
    }
    let (body_digest, resource_id, epoch) =
        sqlx::query_as(include_str!("queries/request_record/get.sql"))
            .bind(tenant.uuid())
            .bind(key.method)
            .bind(&key.request_id)
            .fetch_one(connection)
            .await?;
    Ok(Some(Earlier {
        body_digest,
        resource_id,
        epoch,
    }))
}

/// Writes down what the claimed request made.
pub async fn complete(
    connection: &mut PgConnection,
    tenant: TenantId,
    key: &RequestKey,
    resource_id: Uuid,
    epoch: i64,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/request_record/complete.sql"))
        .bind(tenant.uuid())
        .bind(key.method)
        .bind(&key.request_id)
        .bind(resource_id)
        .bind(epoch)
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets requests of all tenants that are older than `before`; how many.
pub async fn purge(pool: &PgPool, before: DateTime<Utc>) -> Result<u64, Error> {
    let purged = sqlx::query(include_str!("queries/request_record/purge.sql"))
        .bind(before)
        .execute(pool)
        .await?;
    Ok(purged.rows_affected())
}
