//! CreateTaskType.

use reeve_auth::Caller;
use reeve_ids::{TaskTypeId, TenantId};
use reeve_postgres::Tx;
use reeve_status::Fault;
use serde_json::{Value as Json, json};

use super::{end, event};
use crate::domain::{MOST_SCHEMA_BYTES, MOST_TYPES, Own, TaskType};
use crate::{Error, Queue, storage};

/// Creates a type of the tenant's own, or finds the one that this request created before.
///
/// # Errors
/// ALREADY_EXISTS, FAILED_PRECONDITION for a reused request id, RESOURCE_EXHAUSTED.
pub async fn create_type(
    queue: &Queue,
    caller: &Caller,
    kind: TaskType,
    request: Option<(String, Vec<u8>)>,
) -> Result<TaskType, Fault> {
    Ok(try_create(queue, caller, kind, request).await?)
}

async fn try_create(
    queue: &Queue,
    caller: &Caller,
    mut kind: TaskType,
    request: Option<(String, Vec<u8>)>,
) -> Result<TaskType, Error> {
    let (tenant, now) = (caller.tenant(), queue.shared.clock.now());
    let mut tx = queue.shared.database.tenant(tenant).await?;
    storage::take_turn(&mut tx, tenant).await?;
    if let Some((request_id, digest)) = &request {
        let earlier = storage::type_by_request(&mut tx, tenant, request_id).await?;
        if let Some((earlier, of_earlier)) = earlier {
            if of_earlier != *digest {
                let request_id = request_id.clone();
                return Err(Error::RequestIdReused { request_id });
            }
            return Ok(earlier);
        }
    }
    if storage::get_type(&mut tx, tenant, &kind.name)
        .await?
        .is_some()
    {
        return Err(Error::TaskTypeExists(kind.name));
    }
    let types = check_room(&mut tx, tenant, &kind).await?;
    if types >= MOST_TYPES {
        return Err(Error::TooManyTaskTypes {
            tenant,
            what: "task types",
            limit: MOST_TYPES,
        });
    }
    let own = Own {
        tenant_id: tenant,
        id: TaskTypeId::new(),
        version: 1,
        create_time: now,
        update_time: now,
    };
    kind.own = Some(own);
    storage::insert_type(&mut tx, &own, &kind, request.as_ref()).await?;
    let told = event(caller, "task_type.created", &own, &kind, json!({}));
    end(queue, tx, &own, told).await?;
    Ok(kind)
}

/// Refuses a schema for which the tenant has no room left; answers how many types there are.
pub(super) async fn check_room(
    tx: &mut Tx,
    tenant: TenantId,
    kind: &TaskType,
) -> Result<i64, Error> {
    let count = storage::count_types(tx, tenant, &kind.name).await?;
    let more = kind
        .schema
        .as_ref()
        .map_or(0, |schema| Json::to_string(schema).len());
    let more = i64::try_from(more).unwrap_or(i64::MAX);
    if count.bytes.saturating_add(more) > MOST_SCHEMA_BYTES {
        return Err(Error::TooManyTaskTypes {
            tenant,
            what: "bytes of schemas",
            limit: MOST_SCHEMA_BYTES,
        });
    }
    Ok(count.types)
}
