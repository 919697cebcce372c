//! Table `task_type`.

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::{TaskTypeId, TenantId, Uuid};
use serde_json::Value as Json;
use sqlx::PgConnection;

use crate::Error;
use crate::domain::{Category, Effect, Own, TaskType};

/// A row.
#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: Uuid,
    tenant_id: Uuid,
    name: String,
    category: i16,
    description: String,
    capability: String,
    close_ms: Option<i64>,
    parameters_schema: Option<Json>,
    version: i32,
    create_time: DateTime<Utc>,
    update_time: DateTime<Utc>,
    request_digest: Option<Vec<u8>>,
    effect: Option<i16>,
}

impl From<Row> for TaskType {
    fn from(row: Row) -> Self {
        Self {
            name: row.name,
            own: Some(Own {
                tenant_id: TenantId::from_uuid(row.tenant_id),
                id: TaskTypeId::from_uuid(row.id),
                version: row.version,
                create_time: row.create_time,
                update_time: row.update_time,
            }),
            // One that only a newer version knows is none of those known here.
            category: Category::from_number(row.category).unwrap_or(Category::Other),
            description: row.description,
            capability: row.capability,
            start_to_close: row.close_ms.map(TimeDelta::milliseconds),
            schema: row.parameters_schema,
            // One that only a newer version knows is not run twice.
            effect: row
                .effect
                .map(|number| Effect::from_number(number).unwrap_or(Effect::Effectful)),
        }
    }
}

/// What a tenant's types amount to.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct TypeCount {
    /// How many there are.
    pub types: i64,
    /// What the schemas of all but one take.
    pub bytes: i64,
}

/// Every type of a tenant.
///
/// # Errors
/// When the database refuses.
pub async fn all_types(
    connection: &mut PgConnection,
    tenant: TenantId,
) -> Result<Vec<TaskType>, Error> {
    let rows: Vec<Row> = sqlx::query_as(include_str!("queries/task_type/all.sql"))
        .bind(tenant.uuid())
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(TaskType::from).collect())
}

/// A tenant's types after a name, by name.
///
/// # Errors
/// When the database refuses.
pub async fn list_types(
    connection: &mut PgConnection,
    tenant: TenantId,
    after: &str,
    category: Option<Category>,
    limit: i64,
) -> Result<Vec<TaskType>, Error> {
    let rows: Vec<Row> = sqlx::query_as(include_str!("queries/task_type/list.sql"))
        .bind(tenant.uuid())
        .bind(after)
        .bind(category.map(Category::number))
        .bind(limit)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(TaskType::from).collect())
}

/// One type of a tenant.
///
/// # Errors
/// When the database refuses.
pub async fn get_type(
    connection: &mut PgConnection,
    tenant: TenantId,
    name: &str,
) -> Result<Option<TaskType>, Error> {
    let sql = include_str!("queries/task_type/get.sql");
    Ok(one(sql, connection, tenant, name)
        .await?
        .map(TaskType::from))
}

/// One type of a tenant, locked.
///
/// # Errors
/// When the database refuses.
pub async fn lock_type(
    connection: &mut PgConnection,
    tenant: TenantId,
    name: &str,
) -> Result<Option<TaskType>, Error> {
    let sql = include_str!("queries/task_type/lock.sql");
    Ok(one(sql, connection, tenant, name)
        .await?
        .map(TaskType::from))
}

/// The type that a request id has created, with the digest of that request.
///
/// # Errors
/// When the database refuses.
pub async fn type_by_request(
    connection: &mut PgConnection,
    tenant: TenantId,
    request_id: &str,
) -> Result<Option<(TaskType, Vec<u8>)>, Error> {
    let sql = include_str!("queries/task_type/by_request.sql");
    let found = one(sql, connection, tenant, request_id).await?;
    Ok(found.map(|mut row| {
        let digest = row.request_digest.take().unwrap_or_default();
        (row.into(), digest)
    }))
}

async fn one(
    sql: &'static str,
    connection: &mut PgConnection,
    tenant: TenantId,
    key: &str,
) -> Result<Option<Row>, Error> {
    let query = sqlx::query_as(sql).bind(tenant.uuid()).bind(key);
    Ok(query.fetch_optional(connection).await?)
}

/// Waits until no other transaction adds to this tenant's types.
///
/// # Errors
/// When the database refuses.
pub async fn take_turn(connection: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
    sqlx::query(include_str!("queries/task_type/take_turn.sql"))
        .bind(tenant.uuid())
        .execute(connection)
        .await?;
    Ok(())
}

/// What a tenant's types amount to, without the schema of one of them.
///
/// # Errors
/// When the database refuses.
pub async fn count_types(
    connection: &mut PgConnection,
    tenant: TenantId,
    but: &str,
) -> Result<TypeCount, Error> {
    let query = sqlx::query_as(include_str!("queries/task_type/count.sql"));
    let query = query.bind(tenant.uuid()).bind(but);
    Ok(query.fetch_one(connection).await?)
}

/// Adds a type of a tenant, with the request that asks for it.
///
/// # Errors
/// When the name is taken, or the database refuses.
pub async fn insert_type(
    connection: &mut PgConnection,
    own: &Own,
    kind: &TaskType,
    request: Option<&(String, Vec<u8>)>,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/task_type/insert.sql"))
        .bind(own.id.uuid())
        .bind(own.tenant_id.uuid())
        .bind(&kind.name)
        .bind(kind.category.number())
        .bind(&kind.description)
        .bind(&kind.capability)
        .bind(kind.start_to_close.map(|span| span.num_milliseconds()))
        .bind(&kind.schema)
        .bind(own.version)
        .bind(own.create_time)
        .bind(own.update_time)
        .bind(request.map(|(id, _)| id))
        .bind(request.map(|(_, digest)| digest))
        .bind(kind.effect.map(Effect::number))
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes a type of a tenant that is locked.
///
/// # Errors
/// When the database refuses.
pub async fn update_type(
    connection: &mut PgConnection,
    own: &Own,
    kind: &TaskType,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/task_type/update.sql"))
        .bind(own.tenant_id.uuid())
        .bind(own.id.uuid())
        .bind(kind.category.number())
        .bind(&kind.description)
        .bind(&kind.capability)
        .bind(kind.start_to_close.map(|span| span.num_milliseconds()))
        .bind(&kind.schema)
        .bind(own.version)
        .bind(own.update_time)
        .bind(kind.effect.map(Effect::number))
        .execute(connection)
        .await?;
    Ok(())
}

/// Deletes a type of a tenant.
///
/// # Errors
/// When the database refuses.
pub async fn delete_type(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: TaskTypeId,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/task_type/delete.sql"))
        .bind(tenant.uuid())
        .bind(id.uuid())
        .execute(connection)
        .await?;
    Ok(())
}
