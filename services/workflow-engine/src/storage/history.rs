//! What happened.

use reeve_ids::{ExecutionId, TenantId};
use sqlx::PgConnection;

use super::Error;
use super::rows::{Chained, HistoryRow};

/// Entries after a sequence, oldest first.
///
/// # Errors
/// When the database refuses or a row is corrupt.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    execution: ExecutionId,
    after: i64,
    limit: i64,
) -> Result<Vec<Chained>, Error> {
    let rows: Vec<HistoryRow> = sqlx::query_as(include_str!("queries/history/list.sql"))
        .bind(tenant.uuid())
        .bind(execution.uuid())
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(Chained::try_from)
        .collect::<Result<_, _>>()?)
}
