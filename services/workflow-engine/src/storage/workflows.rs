//! Definitions.

use chrono::{DateTime, Utc};
use reeve_ids::{TenantId, Uuid, WorkflowId};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::Error;
use super::rows::{Published, WorkflowRow};
use crate::domain::canonical::Digest;
use crate::domain::definition::Definition;

/// Which workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// By id.
    Id(WorkflowId),
    /// By name.
    Name(String),
}

/// One version; 0 is the newest.
///
/// # Errors
/// When the database refuses or the row is corrupt.
pub async fn get(
    connection: &mut PgConnection,
    tenant: TenantId,
    which: &Which,
    version: i32,
) -> Result<Option<Published>, Error> {
    let row: Option<WorkflowRow> = match which {
        Which::Id(id) => {
            sqlx::query_as(include_str!("queries/workflow/get_by_id.sql"))
                .bind(tenant.uuid())
                .bind(id.uuid())
                .bind(version)
                .fetch_optional(connection)
                .await?
        }
        Which::Name(name) => {
            sqlx::query_as(include_str!("queries/workflow/get_by_name.sql"))
                .bind(tenant.uuid())
                .bind(name)
                .bind(version)
                .fetch_optional(connection)
                .await?
        }
    };
    Ok(row.map(Published::try_from).transpose()?)
}

/// The version that a request_id published.
///
/// # Errors
/// When the database refuses or the row is corrupt.
pub async fn by_request(
    connection: &mut PgConnection,
    tenant: TenantId,
    request_id: &str,
) -> Result<Option<Published>, Error> {
    let row: Option<WorkflowRow> =
        sqlx::query_as(include_str!("queries/workflow/get_by_request.sql"))
            .bind(tenant.uuid())
            .bind(request_id)
            .fetch_optional(connection)
            .await?;
    Ok(row.map(Published::try_from).transpose()?)
}

/// A page of newest versions after a name.
///
/// # Errors
/// When the database refuses or a row is corrupt.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    prefix: &str,
    tag: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<Published>, Error> {
    let rows: Vec<WorkflowRow> = sqlx::query_as(include_str!("queries/workflow/list.sql"))
        .bind(tenant.uuid())
        .bind(prefix)
        .bind(tag)
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(Published::try_from)
        .collect::<Result<_, _>>()?)
}

/// What is to be published.
#[derive(Debug)]
pub struct Publication<'a> {
    /// The tenant.
    pub tenant: TenantId,
    /// The definition.
    pub definition: &'a Definition,
    /// Its digest.
    pub digest: Digest,
    /// By whom.
    pub created_by: &'a str,
    /// The client's request_id; empty for none.
    pub request_id: &'a str,
    /// When.
    pub now: DateTime<Utc>,
}

/// Finds or makes the name and locks it until the transaction ends; its newest version, which is 0
/// for a name without any.
///
/// # Errors
/// When the database refuses.
pub async fn lock_name(
    connection: &mut PgConnection,
    publication: &Publication<'_>,
) -> Result<(WorkflowId, i32), Error> {
    let (id, version): (Uuid, i32) = sqlx::query_as(include_str!("queries/workflow/lock_name.sql"))
        .bind(WorkflowId::new().uuid())
        .bind(publication.tenant.uuid())
        .bind(&publication.definition.name)
        .bind(publication.now)
        .fetch_one(connection)
        .await?;
    Ok((WorkflowId::from_uuid(id), version))
}

/// Writes a version and makes it the newest.
///
/// # Errors
/// When the database refuses.
pub async fn insert_version(
    connection: &mut PgConnection,
    id: WorkflowId,
    version: i32,
    publication: &Publication<'_>,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/workflow/insert_version.sql"))
        .bind(id.uuid())
        .bind(version)
        .bind(publication.tenant.uuid())
        .bind(publication.digest.as_slice())
        .bind(Json(publication.definition))
        .bind(publication.created_by)
        .bind(publication.now)
        .execute(connection)
        .await?;
    Ok(())
}

/// Remembers which version a request_id came to.
///
/// # Errors
/// When the database refuses; a unique violation when another call used the request_id meanwhile.
pub async fn remember_request(
    connection: &mut PgConnection,
    id: WorkflowId,
    version: i32,
    publication: &Publication<'_>,
) -> Result<(), Error> {
    if publication.request_id.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("queries/workflow/remember_request.sql"))
        .bind(publication.tenant.uuid())
        .bind(publication.request_id)
        .bind(id.uuid())
        .bind(version)
        .execute(connection)
        .await?;
    Ok(())
}
