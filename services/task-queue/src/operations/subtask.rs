//! CreateSubtask: a part of a held task becomes a task of its own.

use reeve_auth::Caller;
use reeve_events::Actor;
use reeve_ids::TenantId;
use reeve_status::Fault;
use sqlx::PgConnection;

use super::create::{self, Creation};
use crate::domain::{LeaseToken, NewTask, Refusal, Task};
use crate::lanes::{CreateFlush, CreateGroup, Created};
use crate::{Error, Queue, storage};

/// Tasks above a part, at most.
const MOST_ABOVE: usize = 8;
/// How often a transaction is tried again that collided.
const TRIES: u32 = 5;

/// Creates a part of the task that is held under a lease; answers with it as it is now.
///
/// # Errors
/// As a create; FAILED_PRECONDITION when the lease is lost, or for a part that must not be.
pub async fn create_subtask(
    queue: &Queue,
    caller: &Caller,
    lease: LeaseToken,
    creation: Creation,
) -> Result<Task, Fault> {
    create::refuse_unfit(queue, caller.tenant(), std::slice::from_ref(&creation)).await?;
    let group = CreateGroup {
        tasks: vec![create::new_task(queue, caller, creation)],
        actor: Actor::from(caller),
        path: |_| "spec".to_owned(),
    };
    let mut tries = 0;
    let created = loop {
        tries += 1;
        match attempt(queue, caller.tenant(), lease, &group).await {
            Err(error) if error.is_conflict() && tries < TRIES => {}
            other => break other?,
        }
    };
    let fresh = group.tasks.first().map(|task| task.id);
    let id = match created {
        Created::New { .. } => fresh.ok_or_else(Fault::internal)?,
        Created::Before(id) => id,
    };
    super::get(queue, caller.tenant(), id).await
}

/// The lease is held until the commit, so that a part is made under it or not at all.
async fn attempt(
    queue: &Queue,
    tenant: TenantId,
    lease: LeaseToken,
    group: &CreateGroup,
) -> Result<Created, Error> {
    let lane = CreateFlush {
        shared: queue.shared.clone(),
    };
    let mut tx = queue.shared.lane_transaction().await?;
    check_lease(&mut tx, tenant, lease).await?;
    for task in &group.tasks {
        check_above(&mut tx, lease, task).await?;
    }
    let written = lane.write(&mut tx, std::slice::from_ref(group)).await?;
    let mut answers = written.answers.into_iter();
    // A refusal writes nothing: the transaction ends with it.
    let created = answers.next().unwrap_or_else(|| Ok(Vec::new()))?;
    tx.commit().await?;
    queue.shared.wake.notify();
    lane.announce(&written.new);
    let created = created.first().copied();
    created.ok_or_else(|| Fault::internal().into())
}

async fn check_lease(
    connection: &mut PgConnection,
    tenant: TenantId,
    lease: LeaseToken,
) -> Result<(), Error> {
    let task_id = lease.task_id;
    let rows = storage::lock(connection, &[(tenant, task_id)]).await?;
    let is_held = |row: &storage::LockedRow| {
        row.fence == lease.fence && row.lease_until.is_some() && !row.offered
    };
    let row = rows.into_iter().find(is_held);
    let row = row.ok_or(Error::LeaseLost(task_id))?;
    if row.cancel_requested {
        let refusal = Refusal::CancelRequested;
        return Err(Error::NotDelegated { task_id, refusal });
    }
    Ok(())
}

async fn check_above(
    connection: &mut PgConnection,
    lease: LeaseToken,
    part: &NewTask,
) -> Result<(), Error> {
    let task_id = lease.task_id;
    let parent = (part.tenant_id, task_id);
    let above = storage::ancestors(connection, parent, &part.spec, MOST_ABOVE).await?;
    let refused = |refusal| Err(Error::NotDelegated { task_id, refusal });
    if above.contains(&true) {
        return refused(Refusal::PartAgain);
    }
    if above.len() > MOST_ABOVE {
        return refused(Refusal::PartTooDeep);
    }
    Ok(())
}
