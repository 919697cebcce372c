//! DeleteTaskType.

use reeve_auth::Caller;
use reeve_status::Fault;
use serde_json::json;

use super::{end, event, found};
use crate::{Error, Queue, storage};

/// Deletes a type of the tenant's own.
///
/// # Errors
/// NOT_FOUND, ABORTED when the etag is not the current one.
pub async fn delete_type(
    queue: &Queue,
    caller: &Caller,
    name: &str,
    etag: Option<&str>,
) -> Result<(), Fault> {
    Ok(try_delete(queue, caller, name, etag).await?)
}

async fn try_delete(
    queue: &Queue,
    caller: &Caller,
    name: &str,
    etag: Option<&str>,
) -> Result<(), Error> {
    let tenant = caller.tenant();
    let mut tx = queue.shared.database.tenant(tenant).await?;
    let locked = storage::lock_type(&mut tx, tenant, name).await?;
    let (kind, mut own) = found(name, etag, locked)?;
    own.update_time = queue.shared.clock.now().max(own.update_time);
    storage::delete_type(&mut tx, tenant, own.id).await?;
    let told = event(caller, "task_type.deleted", &own, &kind, json!({}));
    end(queue, tx, &own, told).await
}
