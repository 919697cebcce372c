//! DiscardTask and DiscardTasks: dead letters that nobody will redrive.

use std::collections::HashSet;

use reeve_auth::Caller;
use reeve_events::Actor;
use reeve_ids::TaskId;
use reeve_status::Fault;

use super::bulk::{Skip, Tally};
use super::create::creator;
use super::{events, settling};
use crate::core::Shared;
use crate::domain::{Discard, Task};
use crate::{Error, Queue, storage};

/// Discards a dead letter; one that is discarded stays as it is.
///
/// # Errors
/// NOT_FOUND, FAILED_PRECONDITION when it is no dead letter, ABORTED for a stale etag.
pub async fn discard(
    queue: &Queue,
    caller: &Caller,
    id: TaskId,
    reason: &str,
    etag: Option<i32>,
) -> Result<Task, Fault> {
    one(&queue.shared, caller, id, reason, etag).await?;
    super::get(queue, caller.tenant(), id).await
}

async fn one(
    shared: &Shared,
    caller: &Caller,
    id: TaskId,
    reason: &str,
    etag: Option<i32>,
) -> Result<(), Error> {
    let tenant = caller.tenant();
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
    if task.discard.is_some() {
        return Ok(());
    }
    if !task.dead {
        return Err(Error::NotDead {
            task_id: id,
            state: task.state,
        });
    }
    write(shared, tx, caller, &[task], reason).await
}

/// Discards these tasks, as far as they are dead letters, in one transaction.
///
/// # Errors
/// When the database refuses.
pub async fn discard_all(
    shared: &Shared,
    caller: &Caller,
    reason: &str,
    ids: &[TaskId],
) -> Result<Tally, Error> {
    let tenant = caller.tenant();
    let mut tally = Tally::default();
    let mut tx = shared.database.tenant(tenant).await?;
    storage::lock_outcomes(&mut tx, tenant, ids).await?;
    let mut tasks = storage::get_readable(&mut tx, tenant, ids, false).await?;
    tasks.retain(|task| task.dead);
    let dead: HashSet<_> = tasks.iter().map(|task| task.id).collect();
    for id in ids.iter().filter(|id| !dead.contains(id)) {
        tally.skip(Skip::Changed, *id);
    }
    tally.changed = i64::try_from(tasks.len()).unwrap_or(i64::MAX);
    write(shared, tx, caller, &tasks, reason).await?;
    Ok(tally)
}

async fn write(
    shared: &Shared,
    mut tx: reeve_postgres::Tx,
    caller: &Caller,
    tasks: &[Task],
    reason: &str,
) -> Result<(), Error> {
    let discard = Discard {
        reason: reason.to_owned(),
        actor: creator(caller),
        time: shared.clock.now(),
    };
    let ids: Vec<_> = tasks.iter().map(|task| task.id).collect();
    storage::insert_discards(&mut tx, caller.tenant(), &ids, &discard).await?;
    let actor = Actor::from(caller);
    let told = tasks
        .iter()
        .map(|task| events::discarded(task, &discard, &actor));
    let mut told: Vec<_> = told.collect();
    let discarded: Vec<_> = ids.iter().map(|id| (caller.tenant(), *id)).collect();
    let mut effects = settling::after_discard(&mut tx, &discarded, discard.time).await?;
    told.append(&mut effects.events);
    shared.append(&mut tx, told).await?;
    tx.commit().await?;
    shared.follow(effects, discard.time);
    Ok(())
}
