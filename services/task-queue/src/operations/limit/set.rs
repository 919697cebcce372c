//! SetLimit.

use reeve_auth::Caller;
use reeve_events::Actor;
use reeve_ids::{LimitId, TenantId};
use reeve_status::Fault;
use sqlx::PgConnection;

use super::super::{create::creator, events};
use crate::core::Shared;
use crate::domain::{Limit, Per, Rate, Selector};
use crate::storage::{self, limits};
use crate::{Error, Queue};

/// The limits that a tenant may have: each is looked at for each task that is leased.
const MOST: i64 = 100;

/// What a limit is to be.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Its name.
    pub name: String,
    /// Which tasks.
    pub selector: Selector,
    /// Which of them share an allowance.
    pub per: Per,
    /// Of concurrency keys those that begin with this.
    pub key_prefix: String,
    /// How many at a time.
    pub max_running: Option<i32>,
    /// How many in a time.
    pub rate: Option<Rate>,
    /// Why.
    pub reason: String,
    /// What the limit must be now, if that matters.
    pub etag: Option<LimitId>,
}

/// Sets a limit, or puts it in the place of the one of its name.
///
/// # Errors
/// ABORTED for a stale etag, RESOURCE_EXHAUSTED for too many limits.
pub async fn set(queue: &Queue, caller: &Caller, ask: Ask) -> Result<Limit, Fault> {
    Ok(write(&queue.shared, caller, ask).await?)
}

async fn write(shared: &Shared, caller: &Caller, ask: Ask) -> Result<Limit, Error> {
    let tenant = caller.tenant();
    let now = shared.clock.now();
    let mut tx = shared.database.tenant(tenant).await?;
    // Grants that are under way have not seen it; those that come will. It also orders those who set
    // limits at the same time.
    storage::wait_for_grants(&mut tx, tenant).await?;
    let standing = limits::get(&mut tx, tenant, &ask.name).await?;
    check(&ask.name, ask.etag, standing.as_ref())?;
    let limit = Limit {
        tenant_id: tenant,
        id: LimitId::new(),
        name: ask.name,
        selector: ask.selector.normal(),
        per: ask.per,
        key_prefix: ask.key_prefix,
        max_running: ask.max_running,
        rate: ask.rate,
        reason: ask.reason,
        actor: creator(caller),
        create_time: standing.as_ref().map_or(now, |limit| limit.create_time),
        update_time: now,
    };
    match standing {
        Some(standing) if standing.says_as(&limit) => return Ok(standing),
        None if limits::count(&mut tx, tenant).await? >= MOST => {
            return Err(Error::TooManyLimits {
                tenant,
                limit: MOST,
            });
        }
        _ => {}
    }
    limits::put(&mut tx, &limit).await?;
    count_held(&mut tx, tenant, &limit).await?;
    limits::wait_again(&mut tx, tenant).await?;
    let event = events::limit("limit.set", &limit, &Actor::from(caller), now);
    shared.append(&mut tx, vec![event]).await?;
    tx.commit().await?;
    shared.wake.notify();
    shared.limits.changed();
    Ok(limit)
}

/// Whether the limit is what the caller expects.
pub fn check(name: &str, etag: Option<LimitId>, standing: Option<&Limit>) -> Result<(), Error> {
    let id = standing.map(|limit| limit.id);
    if etag.is_none() || etag == id {
        return Ok(());
    }
    let name = name.to_owned();
    Err(Error::LimitChanged { name, id })
}

/// Tasks that are with agents count from the beginning.
async fn count_held(
    connection: &mut PgConnection,
    tenant: TenantId,
    limit: &Limit,
) -> Result<(), Error> {
    let held = limits::held_tasks(connection, tenant).await?;
    let places: Vec<_> = held
        .iter()
        .flat_map(|(_, task, limited)| {
            let places = limit.places(limited).into_iter();
            places.map(move |allowance| (*task, allowance))
        })
        .collect();
    let slots: Vec<_> = places
        .iter()
        .map(|(task, allowance)| (tenant, *task, allowance.as_str()))
        .collect();
    limits::take(connection, &slots).await
}
