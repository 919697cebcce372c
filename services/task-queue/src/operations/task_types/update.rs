//! UpdateTaskType.

use reeve_auth::Caller;
use reeve_status::Fault;
use serde_json::json;

use super::create::check_room;
use super::{end, event, found};
use crate::domain::{Changes, TaskType};
use crate::{Error, Queue, storage};

/// Changes a type of the tenant's own.
///
/// # Errors
/// NOT_FOUND, ABORTED when the etag is not the current one, RESOURCE_EXHAUSTED.
pub async fn update_type(
    queue: &Queue,
    caller: &Caller,
    name: &str,
    etag: Option<&str>,
    changes: Changes,
) -> Result<TaskType, Fault> {
    Ok(try_update(queue, caller, name, etag, changes).await?)
}

async fn try_update(
    queue: &Queue,
    caller: &Caller,
    name: &str,
    etag: Option<&str>,
    changes: Changes,
) -> Result<TaskType, Error> {
    let tenant = caller.tenant();
    let mut tx = queue.shared.database.tenant(tenant).await?;
    storage::take_turn(&mut tx, tenant).await?;
    let locked = storage::lock_type(&mut tx, tenant, name).await?;
    let (mut kind, mut own) = found(name, etag, locked)?;
    let changed = kind.apply(changes);
    if changed.contains(&"parameters_schema") {
        check_room(&mut tx, tenant, &kind).await?;
    }
    own.version += 1;
    own.update_time = queue.shared.clock.now().max(own.update_time);
    kind.own = Some(own);
    storage::update_type(&mut tx, &own, &kind).await?;
    let more = json!({ "changed": changed });
    let told = event(caller, "task_type.updated", &own, &kind, more);
    end(queue, tx, &own, told).await?;
    Ok(kind)
}
