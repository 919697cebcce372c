//! ListDelegations.

use reeve_ids::{DelegationId, TenantId};
use reeve_status::Fault;

use crate::domain::Delegation;
use crate::storage::delegations::{self, DelegationFilter};
use crate::{Error, Queue, storage};

/// Delegations that a filter chooses: of one task its chain in order, else those of the tenant,
/// newest first; after one.
///
/// # Errors
/// NOT_FOUND for the task, UNAVAILABLE.
pub async fn list_delegations(
    queue: &Queue,
    tenant: TenantId,
    filter: &DelegationFilter,
    after: Option<(DelegationId, i32)>,
    limit: i64,
) -> Result<Vec<Delegation>, Fault> {
    let read = async {
        let mut tx = queue.shared.database.tenant(tenant).await?;
        let found = match filter.task_id {
            None => {
                let after = after.map(|(id, _)| id);
                delegations::list(&mut tx, tenant, filter, after, limit).await?
            }
            Some(task) => {
                if storage::existing_tasks(&mut tx, &[(tenant, task)])
                    .await?
                    .is_empty()
                {
                    return Err(Error::NoTask(task));
                }
                let after = after.map_or(0, |(_, position)| position);
                delegations::list_of_task(&mut tx, (tenant, task), filter, after, limit).await?
            }
        };
        tx.commit().await?;
        Ok(found)
    };
    Ok(read.await?)
}
