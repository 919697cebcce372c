//! Notes the agents that something was offered to on another replica.

use reeve_runtime::Progress;

use crate::Error;
use crate::core::Shared;
use crate::storage::delegations;

/// Looks once.
///
/// # Errors
/// When PostgreSQL is away.
pub async fn tick(shared: Shared) -> Result<Progress, Error> {
    let pool = shared.database.internal_pool();
    for (tenant, agent) in delegations::offered(pool).await? {
        shared.offers.note(tenant, agent);
    }
    Ok(Progress::Idle)
}
