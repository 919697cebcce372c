//! RedriveTasks: dead letters run again, many at once.

use std::collections::HashSet;

use reeve_auth::Caller;
use reeve_events::Actor;
use reeve_ids::TaskId;

use super::bulk::{Skip, Tally};
use super::events;
use super::retry::{revived, workflow_of};
use crate::core::Shared;
use crate::{Error, storage};

/// Redrives these tasks, as far as they are dead letters, in one transaction.
///
/// # Errors
/// When the database refuses.
pub async fn redrive_all(shared: &Shared, caller: &Caller, ids: &[TaskId]) -> Result<Tally, Error> {
    let (tenant, now, actor) = (caller.tenant(), shared.clock.now(), Actor::from(caller));
    let mut tally = Tally::default();
    let (mut told, mut ready) = (Vec::new(), Vec::new());
    let mut tx = shared.database.tenant(tenant).await?;
    storage::lock_outcomes(&mut tx, tenant, ids).await?;
    let tasks = storage::get_readable(&mut tx, tenant, ids, false).await?;
    let known: HashSet<_> = tasks.iter().map(|task| task.id).collect();
    for id in ids.iter().filter(|id| !known.contains(id)) {
        tally.skip(Skip::Changed, *id);
    }
    for task in &tasks {
        if !task.dead {
            tally.skip(Skip::Changed, task.id);
        } else if workflow_of(task).is_some() {
            tally.skip(Skip::WorkflowStep, task.id);
        } else if let Some(back) = revived(&mut tx, task, now).await? {
            tally.changed += 1;
            told.push(events::redriven(task, &actor, now));
            ready.push((task.spec.budget.is_some(), back));
        } else {
            tally.skip(Skip::Changed, task.id);
        }
    }
    shared.append(&mut tx, told).await?;
    tx.commit().await?;
    shared.wake.notify();
    if tasks.iter().any(|task| task.spec.is_demanding()) {
        shared.demands.tell(tenant);
    }
    if ready.iter().any(|(costs, _)| *costs) {
        shared.admission.notify_one();
    }
    let free = ready.into_iter().filter(|(costs, _)| !costs);
    shared
        .dispatch
        .announce(free.map(|(_, back)| back).collect());
    Ok(tally)
}
