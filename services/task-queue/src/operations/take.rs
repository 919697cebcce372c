//! What was handed to an agent becomes its lease, before anything that waits in the queues.

use reeve_status::Fault;

use super::{LeaseAsk, Post, events};
use crate::lanes::{Grant, Leases, answers_of};
use crate::storage::delegations;
use crate::{Error, Queue};

/// How often a transaction is tried again that collided.
const TRIES: u32 = 5;

/// Fetches up to `most` tasks that are offered to the agent. While nothing may be, it asks nobody.
///
/// # Errors
/// UNAVAILABLE.
pub async fn take(
    queue: &Queue,
    ask: &LeaseAsk,
    post: &Post,
    most: usize,
) -> Result<Leases, Fault> {
    let offers = &queue.shared.offers;
    if !offers.look(ask.tenant_id, ask.agent_id) {
        return Ok(Leases::default());
    }
    let mut tried = 0;
    let taken = loop {
        tried += 1;
        match attempt(queue, ask, post, most).await {
            Err(error) if error.is_conflict() && tried < TRIES => {}
            other => break other,
        }
    };
    // There may be more, or it was not possible to look.
    if taken.as_ref().map_or(true, |taken| taken.len() == most) {
        offers.note(ask.tenant_id, ask.agent_id);
    }
    Ok(taken?)
}

/// The offer, the delivery and their events in one transaction; after a crash before its commit the
/// offer still stands, after it the lease lapses.
async fn attempt(queue: &Queue, ask: &LeaseAsk, post: &Post, most: usize) -> Result<Leases, Error> {
    let shared = &queue.shared;
    let now = shared.clock.now();
    let who = (ask.tenant_id, ask.agent_id);
    let fence_step = rand::random_range(1..1_i64 << 31);
    let how = (ask.lease_ms, ask.start, fence_step);
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let mut tx = shared
        .grant_transaction(std::iter::once(ask.tenant_id))
        .await?;
    let offers = post.capabilities();
    let leased = delegations::take(&mut tx, who, how, offers, now, limit).await?;
    if leased.tasks.is_empty() || !leased.unreadable.is_empty() {
        shared
            .metrics
            .unreadable
            .inc_by(leased.unreadable.len() as u64);
        tx.rollback().await?;
        return Ok(Leases::default());
    }
    let told = leased.tasks.iter();
    let told = told.flat_map(|(task, ..)| {
        let version = post.version_of(&task.spec.capability);
        events::assigned(task, version.as_deref(), &ask.actor, now, ask.start)
    });
    shared.append(&mut tx, told.collect()).await?;
    let mut answers = answers_of(&mut tx, &leased).await?;
    tx.commit().await?;
    shared.wake.notify();
    let grants = leased.tasks.into_iter();
    let grants = grants.map(|(task, token, checkpoint)| Grant {
        answers: answers.remove(&task.id).unwrap_or_default(),
        task,
        token,
        checkpoint,
    });
    Ok(Leases::new(
        grants.collect(),
        &queue.lanes.settle,
        &ask.actor,
    ))
}
