//! What the end of a task means for those that wait for it.

use chrono::{DateTime, Utc};
use reeve_ids::{TaskId, TenantId};
use sqlx::PgConnection;

use crate::Error;
use crate::storage::{self, Unblocked};

/// Takes completed tasks off the lists of those that wait for them.
///
/// # Errors
/// When the database refuses.
pub async fn after_completion(
    connection: &mut PgConnection,
    completed: &[(TenantId, TaskId)],
    now: DateTime<Utc>,
) -> Result<Vec<Unblocked>, Error> {
    if completed.is_empty() {
        return Ok(Vec::new());
    }
    let waiting = storage::dependents(connection, completed).await?;
    if waiting.is_empty() {
        return Ok(Vec::new());
    }
    let waiting: Vec<_> = waiting.iter().map(storage::Dependent::id).collect();
    storage::unblock(connection, &waiting, now).await
}
