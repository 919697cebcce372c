//! RetryTask: a dead letter runs again.

use reeve_auth::Caller;
use reeve_events::Actor;
use reeve_ids::TaskId;
use reeve_status::Fault;

use super::events;
use crate::core::Shared;
use crate::dispatch::ReadyTask;
use crate::domain::{State, Task};
use crate::{Error, Queue, storage};

/// The kind of origin whose owner retries by itself.
const WORKFLOW: &str = "workflow";

/// Puts a dead letter back to PENDING.
///
/// # Errors
/// NOT_FOUND, FAILED_PRECONDITION in any other state, ABORTED for a stale etag.
pub async fn retry(
    queue: &Queue,
    caller: &Caller,
    id: TaskId,
    etag: Option<i32>,
) -> Result<Task, Fault> {
    attempt(&queue.shared, caller, id, etag).await?;
    super::get(queue, caller.tenant(), id).await
}

async fn attempt(
    shared: &Shared,
    caller: &Caller,
    id: TaskId,
    etag: Option<i32>,
) -> Result<(), Error> {
    let (tenant, now) = (caller.tenant(), shared.clock.now());
    let mut tx = shared.database.tenant(tenant).await?;
    let found = storage::get(&mut tx, tenant, &[id], false).await?;
    let task = found.into_iter().next().ok_or(Error::NoTask(id))?;
    if etag.is_some_and(|version| version != task.version) {
        return Err(Error::EtagMismatch {
            task_id: id,
            version: task.version,
        });
    }
    if let Some(origin) = task
        .spec
        .origin
        .clone()
        .filter(|origin| origin.kind == WORKFLOW)
    {
        return Err(Error::OwnRetries {
            task_id: id,
            execution: origin.resource_id,
        });
    }
    if !task.state.is_ended() {
        return Err(Error::Forbidden {
            task_id: id,
            from: task.state,
            to: State::Pending,
        });
    }
    task.state
        .becomes(State::Pending)
        .map_err(|forbidden| Error::forbidden(id, forbidden))?;
    // Someone else may have redriven it since it was read; then the outcome is gone.
    let Some(outcome) = storage::remove_outcome(&mut tx, tenant, id).await? else {
        let (from, to) = (State::Pending, State::Pending);
        return Err(Error::Forbidden {
            task_id: id,
            from,
            to,
        });
    };
    let ready = storage::revive(&mut tx, &outcome, &task, now).await?;
    let event = events::redriven(&task, &Actor::from(caller), now);
    shared.append(&mut tx, vec![event]).await?;
    tx.commit().await?;
    shared.wake.notify();
    if task.spec.budget.is_some() {
        shared.admission.notify_one();
    } else {
        shared
            .dispatch
            .announce(vec![ReadyTask::from_row(&ready, now)]);
    }
    Ok(())
}
