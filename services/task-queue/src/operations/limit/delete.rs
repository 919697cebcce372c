//! DeleteLimit.

use reeve_auth::Caller;
use reeve_events::Actor;
use reeve_ids::LimitId;
use reeve_status::Fault;

use super::super::events;
use super::set::check;
use crate::core::Shared;
use crate::domain::Limit;
use crate::storage::{self, limits};
use crate::{Error, Queue};

/// Deletes a limit; answers with it as it was.
///
/// # Errors
/// NOT_FOUND, ABORTED for a stale etag.
pub async fn delete(
    queue: &Queue,
    caller: &Caller,
    name: &str,
    etag: Option<LimitId>,
) -> Result<Limit, Fault> {
    Ok(remove(&queue.shared, caller, name, etag).await?)
}

async fn remove(
    shared: &Shared,
    caller: &Caller,
    name: &str,
    etag: Option<LimitId>,
) -> Result<Limit, Error> {
    let tenant = caller.tenant();
    let now = shared.clock.now();
    let mut tx = shared.database.tenant(tenant).await?;
    // Grants that are under way still take tokens of its buckets, which go with it.
    storage::wait_for_grants(&mut tx, tenant).await?;
    // The check comes after the removal, which nobody sees if it fails.
    let removed = limits::remove(&mut tx, tenant, name).await?;
    let limit = removed.ok_or_else(|| Error::NoLimit(name.to_owned()))?;
    check(name, etag, Some(&limit))?;
    limits::forget_buckets(&mut tx, &limit).await?;
    limits::wait_again(&mut tx, tenant).await?;
    let event = events::limit("limit.deleted", &limit, &Actor::from(caller), now);
    shared.append(&mut tx, vec![event]).await?;
    tx.commit().await?;
    shared.wake.notify();
    shared.limits.changed();
    Ok(limit)
}
