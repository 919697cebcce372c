//! GetQueue, ListQueues and ListBrakes.

use chrono::{DateTime, Utc};
use reeve_ids::TenantId;
use reeve_status::Fault;

use super::figures::{self, Snapshot};
use crate::domain::{Brake, Load};
use crate::storage::{self, FiguresRow};
use crate::{Error, Queue};

/// More brakes than a tenant can have.
const ALL: i64 = 1_000;

/// A queue as it is shown.
#[derive(Debug, Clone)]
pub struct QueueView {
    /// Its name.
    pub name: String,
    /// Whether it hands out nothing.
    pub paused: bool,
    /// Its own pause.
    pub pause: Option<Brake>,
    /// Names of the other brakes that may choose tasks in it.
    pub brakes: Vec<String>,
    /// What waits and runs, all capabilities together.
    pub counts: FiguresRow,
    /// When that was counted.
    pub time: DateTime<Utc>,
}

/// A queue; with zeros when it has nothing.
///
/// # Errors
/// UNAVAILABLE.
pub async fn get_queue(queue: &Queue, tenant: TenantId, name: &str) -> Result<QueueView, Fault> {
    let brakes = all_brakes(queue, tenant).await?;
    let snapshot = figures::snapshot(&queue.shared).await?;
    Ok(view(tenant, name, &brakes, &snapshot))
}

/// Queues that have something or are paused, by name, after one.
///
/// # Errors
/// UNAVAILABLE.
pub async fn list_queues(
    queue: &Queue,
    tenant: TenantId,
    after: &str,
    limit: usize,
) -> Result<Vec<QueueView>, Fault> {
    let brakes = all_brakes(queue, tenant).await?;
    let snapshot = figures::snapshot(&queue.shared).await?;
    let paused = brakes.iter().filter_map(Brake::paused_queue);
    let paused = paused.filter(|name| *name > after);
    let mut names: Vec<_> = snapshot.queues(tenant, after).chain(paused).collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(limit);
    let views = names.into_iter();
    Ok(views
        .map(|name| view(tenant, name, &brakes, &snapshot))
        .collect())
}

/// Brakes that are set, by name, after one.
///
/// # Errors
/// UNAVAILABLE.
pub async fn list_brakes(
    queue: &Queue,
    tenant: TenantId,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Brake>, Fault> {
    let read = async {
        let mut tx = queue.shared.database.tenant(tenant).await?;
        let brakes = storage::list_brakes(&mut tx, tenant, after, limit).await?;
        tx.commit().await?;
        Ok::<_, Error>(brakes)
    };
    Ok(read.await?)
}

/// How much work there is in a queue, for one capability or all.
///
/// # Errors
/// UNAVAILABLE.
pub async fn load(
    queue: &Queue,
    tenant: TenantId,
    name: &str,
    capability: Option<&str>,
) -> Result<Load, Fault> {
    let snapshot = figures::snapshot(&queue.shared).await?;
    let rows = snapshot.queue(tenant, name).iter();
    let rows = rows.filter(|row| capability.is_none_or(|wanted| row.capability == wanted));
    let rows: Vec<_> = rows.collect();
    let with_agents = |row: &FiguresRow| row.assigned + row.accepted + row.in_progress;
    let depth = rows.iter().map(|row| row.ready + with_agents(row)).sum();
    let oldest = rows.iter().filter_map(|row| row.oldest_ready_time).min();
    Ok(Load { depth, oldest })
}

async fn all_brakes(queue: &Queue, tenant: TenantId) -> Result<Vec<Brake>, Fault> {
    list_brakes(queue, tenant, None, ALL).await
}

fn view(tenant: TenantId, name: &str, brakes: &[Brake], snapshot: &Snapshot) -> QueueView {
    let is_pause = |brake: &&Brake| brake.paused_queue() == Some(name);
    let others = brakes
        .iter()
        .filter(|brake| brake.paused_queue().is_none() && brake.selector.may_touch(name));
    let paused = brakes.iter().any(|brake| brake.selector.covers(name));
    let mut counts = sum(tenant, name, snapshot.queue(tenant, name));
    if paused {
        // The count may be from before the brake.
        counts.paused += counts.ready + counts.over_budget + counts.awaiting_budget;
        counts.paused += counts.throttled;
        (counts.ready, counts.over_budget, counts.awaiting_budget) = (0, 0, 0);
        counts.throttled = 0;
        counts.oldest_ready_time = None;
    }
    QueueView {
        name: name.to_owned(),
        paused,
        pause: brakes.iter().find(is_pause).cloned(),
        brakes: others.map(|brake| brake.name.clone()).collect(),
        counts,
        time: snapshot.time,
    }
}

/// Capabilities together.
fn sum(tenant: TenantId, name: &str, rows: &[FiguresRow]) -> FiguresRow {
    let of = |count: fn(&FiguresRow) -> i64| rows.iter().map(count).sum();
    FiguresRow {
        tenant_id: tenant.uuid(),
        queue: name.to_owned(),
        capability: String::new(),
        ready: of(|row| row.ready),
        scheduled: of(|row| row.scheduled),
        blocked: of(|row| row.blocked),
        paused: of(|row| row.paused),
        over_budget: of(|row| row.over_budget),
        awaiting_budget: of(|row| row.awaiting_budget),
        throttled: of(|row| row.throttled),
        awaiting_input: of(|row| row.awaiting_input),
        awaiting_approval: of(|row| row.awaiting_approval),
        assigned: of(|row| row.assigned),
        accepted: of(|row| row.accepted),
        in_progress: of(|row| row.in_progress),
        oldest_ready_time: rows.iter().filter_map(|row| row.oldest_ready_time).min(),
    }
}
