//! Forgets what no task asks of agents any more.

use reeve_runtime::Progress;

use crate::Error;
use crate::core::Shared;
use crate::demands::KEPT;
use crate::storage;

/// Looks once.
///
/// # Errors
/// When PostgreSQL is away.
pub async fn tick(shared: &Shared) -> Result<Progress, Error> {
    let before = shared.clock.now() - KEPT;
    let pool = shared.database.internal_pool();
    for tenant in storage::expire_demands(pool, before).await? {
        shared.demands.tell(tenant);
    }
    Ok(Progress::Idle)
}
