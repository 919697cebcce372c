//! Table `demand`.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use reeve_ids::{TenantId, Uuid};
use serde_json::Value as Json;
use sqlx::types::Json as Stored;
use sqlx::{PgConnection, PgPool};

use super::details::Wish;
use crate::Error;
use crate::domain::{Demand, MOST_DEMANDS, Spec};

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: String,
    capability: String,
    terms: Stored<Wish>,
}

/// Every demand of a tenant, without those that this version cannot read.
///
/// # Errors
/// When the database refuses.
pub async fn all_demands(
    connection: &mut PgConnection,
    tenant: TenantId,
) -> Result<Vec<Demand>, Error> {
    let rows: Vec<Row> = sqlx::query_as(include_str!("queries/demand/all.sql"))
        .bind(tenant.uuid())
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().filter_map(readable).collect())
}

fn readable(row: Row) -> Option<Demand> {
    let placement = row.terms.placement();
    let placement = placement.inspect_err(|error| {
        tracing::error!(%error, demand = row.id, "a demand cannot be read, so nobody meets it");
    });
    let placement = placement.ok()?;
    Some(Demand {
        id: row.id,
        capability: row.capability,
        requirement: placement.requirement,
        pinned: placement.pinned,
    })
}

/// Writes down what tasks ask of agents; answers what there is no room for. One transaction at a time
/// does so for a tenant: whoever takes other locks, too, takes them afterwards.
///
/// # Errors
/// When the database refuses.
pub async fn put_demands(
    connection: &mut PgConnection,
    tasks: &[(TenantId, &Spec)],
    now: DateTime<Utc>,
) -> Result<HashSet<(TenantId, String)>, Error> {
    let mut tenants = BTreeMap::<TenantId, BTreeMap<&str, (&str, Json)>>::new();
    for (tenant, spec) in tasks {
        let terms = Wish::terms(&spec.placement);
        let wanted = tenants.entry(*tenant).or_default();
        wanted.insert(&spec.demand, (&spec.capability, terms));
    }
    let mut refused = HashSet::new();
    for (tenant, wanted) in tenants {
        let there = put(connection, tenant, &wanted, now).await?;
        let missing = wanted.keys().filter(|id| !there.contains(**id));
        refused.extend(missing.map(|id| (tenant, (*id).to_owned())));
    }
    Ok(refused)
}

/// Writes down what a tenant wants; answers what is there now.
async fn put(
    connection: &mut PgConnection,
    tenant: TenantId,
    wanted: &BTreeMap<&str, (&str, Json)>,
    now: DateTime<Utc>,
) -> Result<HashSet<String>, Error> {
    sqlx::query(include_str!("queries/demand/take_turn.sql"))
        .bind(tenant.uuid())
        .execute(&mut *connection)
        .await?;
    let ids: Vec<_> = wanted.keys().copied().collect();
    let known: Vec<String> = sqlx::query_scalar(include_str!("queries/demand/use.sql"))
        .bind(tenant.uuid())
        .bind(&ids)
        .bind(now)
        .fetch_all(&mut *connection)
        .await?;
    let mut there: HashSet<_> = known.into_iter().collect();
    let new = || wanted.iter().filter(|(id, _)| !there.contains(**id));
    if new().next().is_none() {
        return Ok(there);
    }
    let added: Vec<String> = sqlx::query_scalar(include_str!("queries/demand/insert.sql"))
        .bind(tenant.uuid())
        .bind(new().map(|(id, _)| *id).collect::<Vec<_>>())
        .bind(
            new()
                .map(|(_, (capability, _))| *capability)
                .collect::<Vec<_>>(),
        )
        .bind(new().map(|(_, (_, terms))| terms).collect::<Vec<_>>())
        .bind(now)
        .bind(MOST_DEMANDS)
        .fetch_all(connection)
        .await?;
    there.extend(added);
    Ok(there)
}

/// Deletes demands of which no task is left and that were last wanted before a time; answers whose
/// they were.
///
/// # Errors
/// When the database refuses.
pub async fn expire_demands(
    pool: &PgPool,
    before: DateTime<Utc>,
) -> Result<HashSet<TenantId>, Error> {
    let tenants: Vec<Uuid> = sqlx::query_scalar(include_str!("queries/demand/expire.sql"))
        .bind(before)
        .fetch_all(pool)
        .await?;
    Ok(tenants.into_iter().map(TenantId::from_uuid).collect())
}
