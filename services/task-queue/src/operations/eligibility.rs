//! What a task waits for, which depends on the agents there are.

use crate::Queue;
use crate::domain::{PendingReason, Task, Waits};

/// What a task waits for now; nothing unless it is PENDING. Of the agents only as much is said as is
/// known.
pub async fn waits_for(queue: &Queue, task: &Task) -> Option<Waits> {
    let reason = task.waiting(None)?.reason(queue.shared.clock.now());
    if reason != PendingReason::Ready {
        return Some(reason.into());
    }
    let fleet = queue.shared.agents.fleet(task.tenant_id).await;
    let ineligibility = fleet.and_then(|fleet| task.want().judge(&fleet));
    Some(match ineligibility {
        Some(_) => Waits {
            reason: PendingReason::NoEligibleAgent,
            ineligibility,
        },
        None => reason.into(),
    })
}
