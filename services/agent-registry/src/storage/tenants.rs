//! Table `tenant`. A tenant is made and listed outside of any tenant.

use reeve_ids::{TenantId, Uuid};
use sqlx::PgConnection;

use super::Error;
use super::rows::TenantRow;
use crate::domain::api_key::Tenant;

/// Adds a tenant unless its name is taken.
pub async fn insert_if_new(connection: &mut PgConnection, tenant: &Tenant) -> Result<bool, Error> {
    let inserted = sqlx::query(include_str!("queries/tenant/insert_if_new.sql"))
        .bind(tenant.id.uuid())
        .bind(&tenant.name)
        .bind(tenant.create_time)
        .execute(connection)
        .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Reads the tenant of a name.
pub async fn by_name(connection: &mut PgConnection, name: &str) -> Result<Option<Tenant>, Error> {
    let row: Option<TenantRow> = sqlx::query_as(include_str!("queries/tenant/by_name.sql"))
        .bind(name)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(Into::into))
}

/// Reads a tenant.
pub async fn get(connection: &mut PgConnection, id: TenantId) -> Result<Option<Tenant>, Error> {
    let row: Option<TenantRow> = sqlx::query_as(include_str!("queries/tenant/get.sql"))
        .bind(id.uuid())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(Into::into))
}

/// Reads tenants after an id, in order of id.
pub async fn list(
    connection: &mut PgConnection,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Tenant>, Error> {
    let rows: Vec<TenantRow> = sqlx::query_as(include_str!("queries/tenant/list.sql"))
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}
