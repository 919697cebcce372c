//! BulkCancelTasks: what waits is cancelled, and who holds a task is asked to let go.

use std::collections::HashSet;

use reeve_auth::Caller;
use reeve_events::Actor;
use reeve_ids::{AgentId, TaskId};

use super::bulk::{Skip, Tally};
use super::{events, settling};
use crate::Error;
use crate::core::Shared;
use crate::domain::Cause;
use crate::storage::{self, LockedRow};

/// Cancels these tasks, as far as they are not over, in one transaction.
///
/// # Errors
/// When the database refuses.
pub async fn cancel_all(
    shared: &Shared,
    caller: &Caller,
    reason: &str,
    ids: &[TaskId],
) -> Result<Tally, Error> {
    let (tenant, now, actor) = (caller.tenant(), shared.clock.now(), Actor::from(caller));
    let mut tally = Tally::default();
    let mut tx = shared.database.tenant(tenant).await?;
    let tasks: Vec<_> = ids.iter().map(|id| (tenant, *id)).collect();
    let rows = storage::lock(&mut tx, &tasks).await?;
    let open: HashSet<_> = rows.iter().map(id_of).collect();
    for id in ids.iter().filter(|id| !open.contains(id)) {
        tally.skip(Skip::Changed, *id);
    }
    let (waiting, held): (Vec<_>, Vec<_>) = rows.into_iter().partition(LockedRow::has_no_holder);
    let (asked, held): (Vec<_>, Vec<_>) = held.into_iter().partition(|row| row.cancel_requested);
    for row in &asked {
        tally.skip(Skip::CancelRequested, id_of(row));
    }
    tally.changed = i64::try_from(waiting.len()).unwrap_or(i64::MAX);
    tally.asked = i64::try_from(held.len()).unwrap_or(i64::MAX);
    let mut decisions = Vec::with_capacity(waiting.len());
    for row in waiting {
        decisions.push(settling::Decision {
            settled: settling::decide(&row, Cause::Cancel, now)?,
            row,
            usage: None,
            artifacts: Vec::new(),
            cancel_reason: Some(reason.to_owned()),
            actor: actor.clone(),
            gate: settling::AtGate::Nothing,
        });
    }
    let mut effects = settling::write(&mut tx, decisions, now).await?;
    let holding: Vec<_> = held.iter().map(id_of).collect();
    storage::request_cancel(&mut tx, tenant, &holding, reason, now).await?;
    let asks = held
        .iter()
        .map(|row| events::cancel_requested(row, reason, &actor, now));
    let told = std::mem::take(&mut effects.events)
        .into_iter()
        .chain(asks)
        .collect();
    shared.append(&mut tx, told).await?;
    tx.commit().await?;
    shared.follow(effects, now);
    shared.ends.ring(holding);
    let agents: HashSet<_> = held.iter().filter_map(|row| row.agent_id).collect();
    for agent in agents {
        let topic = Shared::agent_topic(tenant, AgentId::from_uuid(agent));
        shared.wakeups.publish(&topic);
    }
    Ok(tally)
}

fn id_of(row: &LockedRow) -> TaskId {
    TaskId::from_uuid(row.task_id)
}
