//! The catalogue of task types: one file for each verb.

mod create;
mod delete;
mod read;
mod update;

use reeve_auth::Caller;
use reeve_events::NewEvent;
use reeve_postgres::Tx;
use serde_json::{Value as Json, json};

use crate::domain::{Own, TaskType};
use crate::{Error, Queue};

pub use create::create_type;
pub use delete::delete_type;
pub use read::{TypeFilter, get_type, list_types};
pub use update::update_type;

/// Commits a change of a type with its event, and tells every replica.
async fn end(queue: &Queue, mut tx: Tx, own: &Own, event: NewEvent) -> Result<(), Error> {
    let shared = &queue.shared;
    shared.append(&mut tx, vec![event]).await?;
    let ended = tx.commit().await;
    // Where nobody knows whether it was committed, they look.
    shared.catalogues.tell(own.tenant_id);
    ended?;
    shared.wake.notify();
    Ok(())
}

/// What others hear of a change. The schema is left out: whoever needs it reads it.
fn event(caller: &Caller, kind: &'static str, own: &Own, of: &TaskType, more: Json) -> NewEvent {
    let mut data = json!({
        "name": of.name, "category": of.category.word(), "capability": of.capability,
        "etag": own.etag(),
    });
    if let (Json::Object(data), Json::Object(more)) = (&mut data, more) {
        data.extend(more);
    }
    let resource = ("task_type", own.id);
    NewEvent::new(
        own.tenant_id,
        caller.into(),
        own.update_time,
        kind,
        resource,
    )
    .with(data)
}

/// The locked type that a change is about, and what makes it the tenant's.
fn found(
    name: &str,
    etag: Option<&str>,
    locked: Option<TaskType>,
) -> Result<(TaskType, Own), Error> {
    let absent = || Error::NoTaskType(name.to_owned());
    let kind = locked.ok_or_else(absent)?;
    let own = kind.own.ok_or_else(absent)?;
    let current = own.etag();
    if etag.is_some_and(|etag| etag != current) {
        return Err(Error::TaskTypeChanged {
            name: kind.name,
            etag: current,
        });
    }
    Ok((kind, own))
}
