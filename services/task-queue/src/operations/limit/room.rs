//! Giving tasks room within limits, in the transaction that leases them.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use reeve_ids::{TaskId, TenantId};
use sqlx::PgConnection;

use crate::Error;
use crate::core::Shared;
use crate::domain::{Admitted, Key, Limit, Needs, Room, admit, needs};
use crate::storage::limits;

/// Tasks that ask for room, in their order, with what is there.
struct Asked {
    tasks: Vec<(TenantId, TaskId, Needs)>,
    rooms: HashMap<Key, Room>,
}

impl Asked {
    /// Reads both, and keeps everybody else from taking of the same until the transaction ends.
    async fn read(
        connection: &mut PgConnection,
        tasks: &[(TenantId, TaskId)],
    ) -> Result<Self, Error> {
        let tenants: BTreeSet<_> = tasks.iter().map(|(tenant, _)| *tenant).collect();
        let tenants: Vec<_> = tenants.into_iter().collect();
        let all = limits::of_tenants(connection, &tenants).await?;
        let of = |tenant| all.get(&tenant).map_or(&[] as &[Limit], Vec::as_slice);
        let found = limits::waiting_tasks(connection, tasks).await?;
        let tasks: Vec<_> = found
            .iter()
            .map(|(tenant, task, limited)| (*tenant, *task, needs(of(*tenant), limited)))
            .collect();
        let keys: BTreeSet<Key> = tasks
            .iter()
            .flat_map(|(tenant, _, needs)| {
                let allowances = needs.bounds.keys();
                allowances.map(move |allowance| (*tenant, allowance.clone()))
            })
            .collect();
        let keys: Vec<_> = keys.into_iter().collect();
        limits::take_turns(connection, &keys).await?;
        let rooms = limits::rooms(connection, &keys).await?;
        Ok(Self { tasks, rooms })
    }

    /// Gives room, and lets those wait that find none.
    async fn admit(
        &mut self,
        connection: &mut PgConnection,
        now: DateTime<Utc>,
    ) -> Result<Admitted, Error> {
        let tasks: Vec<_> = self
            .tasks
            .iter()
            .map(|(tenant, task, needs)| (*tenant, *task, needs))
            .collect();
        let admitted = admit(&tasks, &mut self.rooms, now);
        let owners: HashMap<_, _> = tasks.iter().map(|(of, task, _)| (*task, *of)).collect();
        let parked: Vec<_> = admitted
            .parked
            .iter()
            .filter_map(|(task, at)| Some((*owners.get(task)?, *task, at.as_str())))
            .collect();
        limits::park(connection, &parked).await?;
        Ok(admitted)
    }
}

/// Gives tasks room that a limit may choose, takes their places, and lets those wait that find none.
///
/// # Errors
/// When the database refuses.
pub async fn make_room(
    connection: &mut PgConnection,
    tasks: &[(TenantId, TaskId)],
    now: DateTime<Utc>,
) -> Result<Admitted, Error> {
    let mut asked = Asked::read(connection, tasks).await?;
    let admitted = asked.admit(connection, now).await?;
    let leased: HashSet<_> = admitted.leased.iter().copied().collect();
    let with_room = || {
        asked
            .tasks
            .iter()
            .filter(|(_, task, _)| leased.contains(task))
    };
    let slots: Vec<_> = with_room()
        .flat_map(|(tenant, task, needs)| {
            let slots = needs.slots.iter();
            slots.map(move |allowance| (*tenant, *task, allowance.as_str()))
        })
        .collect();
    limits::take(connection, &slots).await?;
    let rated: BTreeSet<Key> = with_room()
        .flat_map(|(tenant, _, needs)| {
            let bounds = needs.bounds.iter();
            let rated = bounds.filter(|(_, bound)| bound.rate.is_some());
            rated.map(move |(allowance, _)| (*tenant, allowance.clone()))
        })
        .collect();
    let buckets: Vec<_> = rated
        .iter()
        .filter_map(|key| Some((key, asked.rooms.get(key)?.bucket?)))
        .collect();
    limits::fill(connection, &buckets).await?;
    Ok(admitted)
}

/// Of tasks of a tenant that are ready: lets those wait for which there is no room, all at once, and
/// answers which.
///
/// # Errors
/// When the database refuses.
pub async fn park_full(
    shared: &Shared,
    tenant: TenantId,
    tasks: &[TaskId],
) -> Result<HashSet<TaskId>, Error> {
    let tasks: Vec<_> = tasks.iter().map(|task| (tenant, *task)).collect();
    let mut tx = shared.grant_transaction([tenant].into_iter()).await?;
    let mut asked = Asked::read(&mut tx, &tasks).await?;
    let admitted = asked.admit(&mut tx, shared.clock.now()).await?;
    tx.commit().await?;
    if !admitted.parked.is_empty() {
        shared.limits.wait();
    }
    Ok(admitted.parked.into_iter().map(|(task, _)| task).collect())
}
