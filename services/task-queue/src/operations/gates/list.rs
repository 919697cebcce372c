//! ListGates.

use reeve_ids::{GateId, TenantId};
use reeve_status::Fault;

use crate::domain::Gate;
use crate::storage::{self, GateFilter};
use crate::{Error, Queue};

/// Open gates that a filter chooses, oldest first, after `after`.
///
/// # Errors
/// UNAVAILABLE.
pub async fn list_gates(
    queue: &Queue,
    tenant: TenantId,
    filter: &GateFilter,
    after: Option<GateId>,
    limit: i64,
) -> Result<Vec<Gate>, Fault> {
    let read = async {
        let mut tx = queue.shared.database.tenant(tenant).await?;
        let gates = storage::list_gates(&mut tx, tenant, filter, after, limit).await?;
        tx.commit().await?;
        Ok::<_, Error>(gates)
    };
    Ok(read.await?)
}
