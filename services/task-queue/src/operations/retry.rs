//! RetryTask: a dead letter runs again.

use chrono::{DateTime, Utc};
use reeve_auth::Caller;
use reeve_events::Actor;
use reeve_ids::TaskId;
use reeve_status::Fault;
use sqlx::PgConnection;

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
    storage::lock_outcomes(&mut tx, tenant, &[id]).await?;
    let found = storage::get(&mut tx, tenant, &[id], false).await?;
    let task = found.into_iter().next().ok_or(Error::NoTask(id))?;
    if etag.is_some_and(|version| version != task.version) {
        return Err(Error::EtagMismatch {
            task_id: id,
            version: task.version,
        });
    }
    if let Some(execution) = workflow_of(&task) {
        return Err(Error::OwnRetries {
            task_id: id,
            execution: execution.to_owned(),
        });
    }
    if task.discard.is_some() {
        return Err(Error::Discarded(id));
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
    let Some(ready) = revived(&mut tx, &task, now).await? else {
        let (from, to) = (State::Pending, State::Pending);
        return Err(Error::Forbidden {
            task_id: id,
            from,
            to,
        });
    };
    let event = events::redriven(&task, &Actor::from(caller), now);
    shared.append(&mut tx, vec![event]).await?;
    tx.commit().await?;
    shared.wake.notify();
    if task.spec.is_demanding() {
        shared.demands.tell(tenant);
    }
    if task.spec.budget.is_some() {
        shared.admission.notify_one();
    } else {
        shared.dispatch.announce(vec![ready]);
    }
    Ok(())
}

/// The execution of which the task is a step.
pub fn workflow_of(task: &Task) -> Option<&str> {
    let origin = task.spec.origin.as_ref()?;
    (origin.kind == WORKFLOW).then_some(origin.resource_id.as_str())
}

/// Turns an outcome into a run; nothing when it is no dead letter any more.
///
/// # Errors
/// When the database refuses; RESOURCE_EXHAUSTED when there is no room for what it asks of agents.
pub async fn revived(
    connection: &mut PgConnection,
    task: &Task,
    now: DateTime<Utc>,
) -> Result<Option<ReadyTask>, Error> {
    let Some(outcome) = storage::remove_outcome(connection, task.tenant_id, task.id).await? else {
        return Ok(None);
    };
    if task.spec.is_demanding() {
        let wanted = [(task.tenant_id, &task.spec)];
        let no_room = storage::put_demands(connection, &wanted, now).await?;
        if !no_room.is_empty() {
            return Err(Error::TooManyDemands(task.tenant_id));
        }
    }
    let ready = storage::revive(connection, &outcome, task, now).await?;
    Ok(Some(ReadyTask::from_row(&ready, now)))
}
