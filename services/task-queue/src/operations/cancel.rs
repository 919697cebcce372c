//! CancelTask.

use reeve_auth::Caller;
use reeve_events::Actor;
use reeve_ids::{AgentId, TaskId, TenantId};
use reeve_status::Fault;

use super::{events, settling};
use crate::core::Shared;
use crate::domain::{Cause, State, Task};
use crate::storage::{self, LockedRow};
use crate::{Error, Queue};

/// Cancels a task, or asks its holder to let go.
///
/// # Errors
/// NOT_FOUND, FAILED_PRECONDITION when it is over otherwise, ABORTED for a stale etag.
pub async fn cancel(
    queue: &Queue,
    caller: &Caller,
    id: TaskId,
    reason: &str,
    etag: Option<i32>,
) -> Result<Task, Fault> {
    let tenant = caller.tenant();
    let mut tries = 0;
    loop {
        tries += 1;
        match attempt(&queue.shared, caller, id, reason, etag).await {
            Err(error) if error.is_conflict() && tries < 5 => {}
            Err(error) => return Err(error.into()),
            Ok(()) => return super::get(queue, tenant, id).await,
        }
    }
}

async fn attempt(
    shared: &Shared,
    caller: &Caller,
    id: TaskId,
    reason: &str,
    etag: Option<i32>,
) -> Result<(), Error> {
    let tenant = caller.tenant();
    let mut tx = shared.database.tenant(tenant).await?;
    let row = storage::lock(&mut tx, &[(tenant, id)])
        .await?
        .into_iter()
        .next();
    let Some(row) = row.filter(|row| row.tenant_id == tenant.uuid()) else {
        return over(&mut tx, tenant, id).await;
    };
    if let Some(version) = etag.filter(|version| *version != row.version) {
        tracing::debug!(version, current = row.version, "stale etag");
        return Err(Error::EtagMismatch {
            task_id: id,
            version: row.version,
        });
    }
    let actor = Actor::from(caller);
    if row.has_no_holder() {
        cancel_waiting(shared, tx, row, reason, actor).await
    } else {
        ask_holder(shared, tx, row, reason, &actor).await
    }
}

async fn cancel_waiting(
    shared: &Shared,
    mut tx: reeve_postgres::Tx,
    row: LockedRow,
    reason: &str,
    actor: Actor,
) -> Result<(), Error> {
    let now = shared.clock.now();
    let settled = settling::decide(&row, Cause::Cancel, now)?;
    let cancel_reason = Some(reason.to_owned());
    let decision = settling::Decision {
        row,
        settled,
        usage: None,
        artifacts: Vec::new(),
        cancel_reason,
        actor,
        gate: settling::AtGate::Nothing,
    };
    let mut effects = settling::write(&mut tx, vec![decision], now).await?;
    shared
        .append(&mut tx, std::mem::take(&mut effects.events))
        .await?;
    tx.commit().await?;
    shared.follow(effects, now);
    Ok(())
}

async fn ask_holder(
    shared: &Shared,
    mut tx: reeve_postgres::Tx,
    row: LockedRow,
    reason: &str,
    actor: &Actor,
) -> Result<(), Error> {
    if row.cancel_requested {
        return Ok(());
    }
    let now = shared.clock.now();
    let tenant = TenantId::from_uuid(row.tenant_id);
    let task = TaskId::from_uuid(row.task_id);
    storage::request_cancel(&mut tx, tenant, &[task], reason, now).await?;
    let event = events::cancel_requested(&row, reason, actor, now);
    shared.append(&mut tx, vec![event]).await?;
    tx.commit().await?;
    shared.wake.notify();
    shared.ends.ring([task]);
    if let Some(agent) = row.agent_id {
        shared
            .wakeups
            .publish(&Shared::agent_topic(tenant, AgentId::from_uuid(agent)));
    }
    Ok(())
}

/// A task without a run is over, or is not there.
async fn over(
    connection: &mut sqlx::PgConnection,
    tenant: TenantId,
    id: TaskId,
) -> Result<(), Error> {
    let found = storage::get(connection, tenant, &[id], false).await?;
    match found.first().map(|task| task.state) {
        None => Err(Error::NoTask(id)),
        Some(State::Cancelled) => Ok(()),
        Some(from) => Err(Error::Forbidden {
            task_id: id,
            from,
            to: State::Cancelled,
        }),
    }
}
