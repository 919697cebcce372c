//! PauseQueue and PauseTasks: a brake is set.

use reeve_auth::Caller;
use reeve_events::Actor;
use reeve_ids::BrakeId;
use reeve_status::Fault;

use super::events;
use crate::core::Shared;
use crate::domain::{Brake, Selector};
use crate::storage;
use crate::{Error, Queue};

/// The brakes that a tenant may have: each is looked at for each task that is handed out.
const MOST: i64 = 200;

/// What the caller expects of a brake of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Anything.
    Any,
    /// That there is none.
    None,
    /// This one.
    Brake(BrakeId),
}

impl Expected {
    /// Whether that is how it is.
    ///
    /// # Errors
    /// ETAG_MISMATCH.
    pub fn check(self, queue: &str, brake: Option<BrakeId>) -> Result<(), Error> {
        let right = match self {
            Self::Any => true,
            Self::None => brake.is_none(),
            Self::Brake(id) => brake == Some(id),
        };
        if right {
            return Ok(());
        }
        let queue = queue.to_owned();
        Err(Error::QueueChanged { queue, brake })
    }
}

/// Pauses a queue; a pause that is there stays as it is.
///
/// # Errors
/// ABORTED for a stale etag, RESOURCE_EXHAUSTED for too many brakes.
pub async fn pause_queue(
    queue: &Queue,
    caller: &Caller,
    name: &str,
    reason: &str,
    expected: Expected,
) -> Result<(), Fault> {
    let selector = Selector::of_queue(name);
    let brake = new_brake(queue, caller, Brake::pause_of(name), selector, reason);
    let set = set(&queue.shared, caller, brake, |standing| {
        expected.check(name, standing.map(|brake| brake.id))
    });
    set.await?;
    Ok(())
}

/// Sets a brake; one of that name and selector stays as it is.
///
/// # Errors
/// ALREADY_EXISTS for another selector, RESOURCE_EXHAUSTED for too many brakes.
pub async fn pause_tasks(
    queue: &Queue,
    caller: &Caller,
    name: String,
    selector: Selector,
    reason: &str,
) -> Result<Brake, Fault> {
    let brake = new_brake(queue, caller, name, selector.normal(), reason);
    let selector = brake.selector.clone();
    let set = set(&queue.shared, caller, brake, |standing| match standing {
        Some(brake) if brake.selector != selector => Err(Error::BrakeExists(brake.name.clone())),
        _ => Ok(()),
    });
    Ok(set.await?)
}

fn new_brake(
    queue: &Queue,
    caller: &Caller,
    name: String,
    selector: Selector,
    reason: &str,
) -> Brake {
    Brake {
        id: BrakeId::new(),
        tenant_id: caller.tenant(),
        name,
        selector,
        reason: reason.to_owned(),
        creator: super::create::creator(caller),
        create_time: queue.shared.clock.now(),
    }
}

/// Sets a brake unless its name is taken; answers with the one that is set. `check` says whether the
/// one that stands before the call is as the caller expects.
///
/// A grant that is being written has not seen it. So each holds a lock that is waited for here, and
/// that holds up those that come: before this is answered the ones have ended, and the others see it.
async fn set(
    shared: &Shared,
    caller: &Caller,
    brake: Brake,
    check: impl Fn(Option<&Brake>) -> Result<(), Error>,
) -> Result<Brake, Error> {
    let mut tx = shared.database.tenant(brake.tenant_id).await?;
    let standing = storage::get_brake(&mut tx, brake.tenant_id, &brake.name).await?;
    check(standing.as_ref())?;
    if let Some(standing) = standing {
        return Ok(standing);
    }
    // Also orders those who set one at the same time, so the count is right.
    storage::wait_for_grants(&mut tx, brake.tenant_id).await?;
    if storage::count_brakes(&mut tx, brake.tenant_id).await? >= MOST {
        return Err(Error::TooManyBrakes { limit: MOST });
    }
    if !storage::insert_brake(&mut tx, &brake).await? {
        let standing = storage::get_brake(&mut tx, brake.tenant_id, &brake.name).await?;
        check(standing.as_ref())?;
        return standing.ok_or(Error::BrakeMoved(brake.name));
    }
    let event = events::braked(&brake, &Actor::from(caller));
    shared.append(&mut tx, vec![event]).await?;
    tx.commit().await?;
    shared.wake.notify();
    tracing::info!(tenant = %brake.tenant_id, brake = brake.name, "tasks are paused");
    Ok(brake)
}
