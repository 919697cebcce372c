//! A gate's time is over.

use reeve_events::Actor;

use super::{Late, Leaving, lock};
use crate::operations::events;
use crate::storage;
use crate::{Error, NAME, Queue};

/// Closes the gate of a task whose time is over, and lets the task go as the gate says. Does nothing
/// when somebody was quicker: all is checked again under the run's lock, and written in one
/// transaction.
///
/// # Errors
/// When the database refuses.
pub async fn expire(queue: &Queue, late: Late) -> Result<(), Error> {
    let shared = &queue.shared;
    let (tenant, task_id) = late.task;
    let mut tx = shared.database.internal().await?;
    let Some(row) = lock(&mut tx, late.task).await?.filter(|row| row.gate != 0) else {
        return Ok(());
    };
    let Some(gate) = storage::open_gate(&mut tx, tenant, task_id).await? else {
        return Ok(());
    };
    if gate.expire_time.is_none_or(|time| time >= late.limit) {
        return Ok(());
    }
    let (now, actor) = (shared.clock.now(), Actor::service(NAME));
    storage::expire_gate(&mut tx, (tenant, gate.id), now).await?;
    let leaving = Leaving {
        tx,
        told: events::gate_expired(&row, &gate, &actor, now),
        row,
        gate: gate.id,
        ruling: gate.expired(),
        result: None,
        comment: String::new(),
        actor,
    };
    leaving.leave(shared, now).await
}
