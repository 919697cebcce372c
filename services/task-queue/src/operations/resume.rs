//! ResumeQueue and ResumeTasks: a brake is lifted.

use reeve_auth::Caller;
use reeve_events::Actor;
use reeve_ids::BrakeId;
use reeve_status::Fault;

use super::{Expected, events};
use crate::core::Shared;
use crate::dispatch::ReadyTask;
use crate::domain::Brake;
use crate::storage::{self, delegations};
use crate::{Error, Queue};

/// Tasks that are put back into their lanes at once. The comparison of the ready queues with the
/// table puts the rest there while these are worked off.
const AT_ONCE: i64 = 5_000;

/// Lifts the pause of a queue, if there is one.
///
/// # Errors
/// ABORTED for a stale etag.
pub async fn resume_queue(
    queue: &Queue,
    caller: &Caller,
    name: &str,
    reason: &str,
    expected: Expected,
) -> Result<(), Fault> {
    let check = |brake| expected.check(name, brake);
    lift(&queue.shared, caller, &Brake::pause_of(name), reason, check).await?;
    Ok(())
}

/// Lifts a brake; answers with it as it was.
///
/// # Errors
/// NOT_FOUND.
pub async fn resume_tasks(
    queue: &Queue,
    caller: &Caller,
    name: &str,
    reason: &str,
) -> Result<Brake, Fault> {
    let lifted = lift(&queue.shared, caller, name, reason, |_| Ok(())).await?;
    Ok(lifted.ok_or_else(|| Error::NoBrake(name.to_owned()))?)
}

/// Lifts a brake if there is one and `check` agrees, and makes known what it held.
async fn lift(
    shared: &Shared,
    caller: &Caller,
    name: &str,
    reason: &str,
    check: impl Fn(Option<BrakeId>) -> Result<(), Error>,
) -> Result<Option<Brake>, Error> {
    let tenant = caller.tenant();
    let mut tx = shared.database.tenant(tenant).await?;
    // The check comes after the removal, which nobody sees if it fails: between a look and a removal
    // somebody else could come.
    let lifted = storage::remove_brake(&mut tx, tenant, name).await?;
    check(lifted.as_ref().map(|brake| brake.id))?;
    let Some(brake) = lifted else {
        return Ok(None);
    };
    let now = shared.clock.now();
    let event = events::released(&brake, reason, &Actor::from(caller), now);
    shared.append(&mut tx, vec![event]).await?;
    tx.commit().await?;
    shared.wake.notify();
    tracing::info!(%tenant, brake = name, "tasks are resumed");
    let (release, held) = (shared.clone(), brake.clone());
    reeve_runtime::spawn("release brake", async move {
        announce(&release, &held).await;
    });
    Ok(Some(brake))
}

/// Puts what the brake held back into its lanes, wakes who waits for it, and has budgets asked that
/// were not. Should the process end before, the comparison of the ready queues does the same later.
async fn announce(shared: &Shared, brake: &Brake) {
    shared.admission.notify_one();
    let now = shared.clock.now();
    let pool = shared.database.internal_pool();
    match storage::released(pool, brake, now, AT_ONCE).await {
        Ok(rows) => {
            let ready: Vec<_> = rows
                .iter()
                .map(|row| ReadyTask::from_row(row, now))
                .collect();
            shared.dispatch.admit(&ready).await;
        }
        Err(error) => tracing::debug!(%error, "what was paused is found by the sweep"),
    }
    match delegations::offered(pool).await {
        Ok(offered) => {
            for (_, agent) in offered
                .iter()
                .filter(|(tenant, _)| *tenant == brake.tenant_id)
            {
                shared.offers.note(brake.tenant_id, *agent);
                let topic = Shared::agent_topic(brake.tenant_id, *agent);
                shared.wakeups.publish(&topic);
            }
        }
        Err(error) => tracing::debug!(%error, "agents find what was offered to them by asking"),
    }
}
