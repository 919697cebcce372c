//! Table `api_key`.

use chrono::{DateTime, Utc};
use reeve_ids::{ApiKeyId, TenantId, Uuid};
use sqlx::{PgConnection, PgPool};

use super::Error;
use super::rows::{ApiKeyRow, SecretRow};
use crate::domain::api_key::ApiKey;

/// Which keys a list holds; nothing selects all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selection {
    /// In any of these states.
    pub states: Option<Vec<String>>,
    /// Of this kind.
    pub kind: Option<String>,
}

/// Adds a key with the hash of its secret.
pub async fn insert(
    connection: &mut PgConnection,
    key: &ApiKey,
    secret_hash: &[u8],
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/api_key/insert.sql"))
        .bind(key.id.uuid())
        .bind(key.tenant_id.uuid())
        .bind(&key.name)
        .bind(key.kind.as_str())
        .bind(&key.permissions)
        .bind(secret_hash)
        .bind(&key.created_by)
        .bind(key.create_time)
        .bind(key.expire_time)
        .execute(connection)
        .await?;
    Ok(())
}

/// Reads a key.
pub async fn get(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: ApiKeyId,
) -> Result<Option<ApiKey>, Error> {
    one(
        connection,
        include_str!("queries/api_key/get.sql"),
        tenant,
        id,
    )
    .await
}

/// Reads and locks a key.
pub async fn lock(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: ApiKeyId,
) -> Result<Option<ApiKey>, Error> {
    one(
        connection,
        include_str!("queries/api_key/lock.sql"),
        tenant,
        id,
    )
    .await
}

async fn one(
    connection: &mut PgConnection,
    query: &'static str,
    tenant: TenantId,
    id: ApiKeyId,
) -> Result<Option<ApiKey>, Error> {
    let row: Option<ApiKeyRow> = sqlx::query_as(query)
        .bind(tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(ApiKey::try_from).transpose()?)
}

/// Reads keys after an id, in order of id.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    after: Option<Uuid>,
    selection: &Selection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<ApiKey>, Error> {
    let rows: Vec<ApiKeyRow> = sqlx::query_as(include_str!("queries/api_key/list.sql"))
        .bind(tenant.uuid())
        .bind(after)
        .bind(selection.kind.as_ref())
        .bind(selection.states.as_ref())
        .bind(now)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(|row| Ok(row.try_into()?)).collect()
}

/// Marks a locked key as revoked.
pub async fn revoke(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: ApiKeyId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/api_key/revoke.sql"))
        .bind(tenant.uuid())
        .bind(id.uuid())
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

/// Reads a key and the hash of its secret, whichever tenant's it is.
pub async fn resolve(pool: &PgPool, id: ApiKeyId) -> Result<Option<(ApiKey, Vec<u8>)>, Error> {
    let mut connection = pool.acquire().await?;
    resolve_in(&mut connection, id).await
}

/// The same within a transaction.
pub async fn resolve_in(
    connection: &mut PgConnection,
    id: ApiKeyId,
) -> Result<Option<(ApiKey, Vec<u8>)>, Error> {
    let row: Option<SecretRow> = sqlx::query_as(include_str!("queries/api_key/resolve.sql"))
        .bind(id.uuid())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(TryInto::try_into).transpose()?)
}

/// Makes a configured key's hash follow the configured pepper.
pub async fn rehash(
    connection: &mut PgConnection,
    id: ApiKeyId,
    secret_hash: &[u8],
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/api_key/rehash.sql"))
        .bind(id.uuid())
        .bind(secret_hash)
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes down when keys were last used.
pub async fn save_uses(pool: &PgPool, uses: &[(ApiKeyId, DateTime<Utc>)]) -> Result<(), Error> {
    let ids: Vec<Uuid> = uses.iter().map(|(id, _)| id.uuid()).collect();
    let times: Vec<DateTime<Utc>> = uses.iter().map(|(_, time)| *time).collect();
    sqlx::query(include_str!("queries/api_key/save_uses.sql"))
        .bind(ids)
        .bind(times)
        .execute(pool)
        .await?;
    Ok(())
}
