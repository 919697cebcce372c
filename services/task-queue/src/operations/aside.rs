//! Taking tasks that a brake or a full limit holds out of a lane, all of them at once: whoever looks
//! for work must not meet them one by one. They come back when the brake is lifted, or when there is
//! room.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use reeve_ids::{TaskId, TenantId};
use reeve_redis::{POP_LIMIT, Popped};

use super::limit;
use crate::Error;
use crate::core::Shared;
use crate::dispatch::LaneKey;
use crate::storage;

/// Lanes that are being cleared in this process.
#[derive(Debug, Default)]
pub struct Asides(Mutex<HashSet<LaneKey>>);

impl Asides {
    fn lanes(&self) -> MutexGuard<'_, HashSet<LaneKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Clears lanes of what is held up, unless that is being done. Nobody waits for it; whoever
/// passed the lanes over meanwhile is woken when it is done.
pub fn set_aside(shared: &Shared, tenant: TenantId, lanes: Vec<LaneKey>) {
    for lane in lanes {
        if !shared.asides.lanes().insert(lane.clone()) {
            continue;
        }
        let shared = shared.clone();
        reeve_runtime::spawn("set aside", async move {
            let left = clear(&shared, tenant, &lane).await;
            shared.asides.lanes().remove(&lane);
            if left > 0 {
                shared.dispatch.ring(&lane, left, &[]);
            }
        });
    }
}

/// Until none of the first tasks of the lane is held; answers how many are there.
async fn clear(shared: &Shared, tenant: TenantId, lane: &LaneKey) -> usize {
    let dispatch = &shared.dispatch;
    loop {
        let popped = match dispatch.pop(std::slice::from_ref(lane), POP_LIMIT).await {
            Ok(popped) if popped.is_empty() => return 0,
            Ok(popped) => popped,
            Err(error) => {
                tracing::debug!(%error, "a lane is not cleared of tasks that are held up");
                return 0;
            }
        };
        let ids: Vec<_> = popped.iter().filter_map(id_of).collect();
        let tasks: Vec<_> = ids.iter().map(|id| (tenant, *id)).collect();
        let held = held_up(shared, tenant, &tasks)
            .await
            .unwrap_or_else(|error| {
                tracing::debug!(%error, "a lane is not cleared of tasks that are held up");
                HashSet::new()
            });
        let is_held = |one: &Popped| id_of(one).is_some_and(|id| held.contains(&id));
        let (aside, free): (Vec<_>, Vec<_>) = popped.into_iter().partition(is_held);
        let (cleared, left) = (aside.is_empty(), free.len());
        dispatch.put_back(&free).await;
        dispatch.confirm(aside);
        if cleared {
            return left;
        }
    }
}

/// Of some tasks that are ready: those that a brake holds, and those for which a limit has no room,
/// which are parked from now on.
async fn held_up(
    shared: &Shared,
    tenant: TenantId,
    tasks: &[(TenantId, TaskId)],
) -> Result<HashSet<TaskId>, Error> {
    let mut held = storage::braked(shared.database.internal_pool(), tasks).await?;
    let free = tasks.iter().map(|(_, task)| *task);
    let free: Vec<_> = free.filter(|task| !held.contains(task)).collect();
    if !free.is_empty() {
        held.extend(limit::park_full(shared, tenant, &free).await?);
    }
    Ok(held)
}

fn id_of(popped: &Popped) -> Option<TaskId> {
    popped.id.parse().ok()
}
