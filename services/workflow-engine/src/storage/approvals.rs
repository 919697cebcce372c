//! Decisions that people owe.

use reeve_ids::{ApprovalId, ExecutionId, TenantId};
use sqlx::PgConnection;

use super::Error;
use super::rows::ApprovalRow;
use crate::domain::approval::Approval;

/// One approval with its artifact.
///
/// # Errors
/// When the database refuses or the row is corrupt.
pub async fn get(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: ApprovalId,
) -> Result<Option<Approval>, Error> {
    let row: Option<ApprovalRow> = sqlx::query_as(include_str!("queries/approval/get.sql"))
        .bind(tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(Approval::try_from).transpose()?)
}

/// Which approvals to list.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Filter {
    /// Only these states; empty means all.
    pub states: Vec<String>,
    /// Only of this execution.
    pub execution_id: Option<ExecutionId>,
}

/// A page without artifacts, newest first, before an id.
///
/// # Errors
/// When the database refuses or a row is corrupt.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    filter: &Filter,
    before: Option<ApprovalId>,
    limit: i64,
) -> Result<Vec<Approval>, Error> {
    let rows: Vec<ApprovalRow> = sqlx::query_as(include_str!("queries/approval/list.sql"))
        .bind(tenant.uuid())
        .bind(&filter.states)
        .bind(filter.execution_id.map(ExecutionId::uuid))
        .bind(before.map(ApprovalId::uuid))
        .bind(limit)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(Approval::try_from)
        .collect::<Result<_, _>>()?)
}
