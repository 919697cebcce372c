//! Tables `event`, `tenant_log` and `recorded_source`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use reeve_ids::{EventId, TenantId, Uuid};
use serde::Serialize;
use serde_json::Value as Json;
use sqlx::PgConnection;

use super::Error;
use super::rows::{EventRow, HeadRow};
use crate::domain::canonical::GENESIS;
use crate::domain::evidence::MOST_ATTEMPTS;
use crate::domain::logged::{Head, Logged};

/// Which events a list holds; what is empty selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// Of any of these sources.
    pub sources: Vec<String>,
    /// Of any of these types,
    pub types: Vec<String>,
    /// or with any of these nouns before the dot.
    pub nouns: Vec<String>,
    /// About this kind of resource.
    pub resource_type: String,
    /// About this resource.
    pub resource_id: String,
    /// By this principal.
    pub principal: String,
    /// Of this call.
    pub request_id: String,
    /// At or after this time, in microseconds since 1970.
    pub min_occur_micros: Option<i64>,
    /// Before this time.
    pub max_occur_micros: Option<i64>,
}

impl Filter {
    /// Whether an index finds what it selects. Nothing else bounds what a list has to look at.
    pub fn is_indexed(&self) -> bool {
        let by_type = !self.types.is_empty() && self.nouns.is_empty();
        let words = [&self.resource_id, &self.principal, &self.request_id];
        by_type || words.into_iter().any(|word| !word.is_empty())
    }
}

/// Which way a list runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Direction {
    /// Oldest first.
    Ascending,
    /// Newest first.
    Descending,
}

/// Locks the ends of these tenants' chains until the transaction ends.
pub async fn lock_heads(
    connection: &mut PgConnection,
    tenants: &[TenantId],
) -> Result<BTreeMap<TenantId, Head>, Error> {
    let ids: Vec<Uuid> = tenants.iter().map(|tenant| tenant.uuid()).collect();
    sqlx::query(include_str!("queries/event/make_heads.sql"))
        .bind(&ids)
        .bind(GENESIS.as_slice())
        .execute(&mut *connection)
        .await?;
    let rows: Vec<HeadRow> = sqlx::query_as(include_str!("queries/event/lock_heads.sql"))
        .bind(&ids)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(|row| Ok(row.try_into()?)).collect()
}

/// Writes where the chains now end.
pub async fn save_heads(
    connection: &mut PgConnection,
    heads: &BTreeMap<TenantId, Head>,
) -> Result<(), Error> {
    let ids: Vec<Uuid> = heads.keys().map(|tenant| tenant.uuid()).collect();
    let positions: Vec<i64> = heads.values().map(|head| head.position).collect();
    let hashes: Vec<Vec<u8>> = heads.values().map(|head| head.hash.to_vec()).collect();
    sqlx::query(include_str!("queries/event/save_heads.sql"))
        .bind(ids)
        .bind(positions)
        .bind(hashes)
        .execute(connection)
        .await?;
    Ok(())
}

/// The newest sequence of a source that is recorded, 0 for none. Nobody else records of it until the
/// transaction ends.
pub async fn recorded(connection: &mut PgConnection, source: &str) -> Result<i64, Error> {
    let query = sqlx::query_scalar(include_str!("queries/event/recorded.sql"));
    let sequence: Option<i64> = query.bind(source).fetch_optional(connection).await?;
    Ok(sequence.unwrap_or(0))
}

/// Says that a source is recorded up to a sequence.
pub async fn record_up_to(
    connection: &mut PgConnection,
    source: &str,
    sequence: i64,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/event/record_up_to.sql"))
        .bind(source)
        .bind(sequence)
        .execute(connection)
        .await?;
    Ok(())
}

/// Appends entries in one statement.
pub async fn append(connection: &mut PgConnection, entries: &[Logged]) -> Result<(), Error> {
    let texts = |of: fn(&Logged) -> &str| -> Vec<String> {
        entries.iter().map(|entry| of(entry).to_owned()).collect()
    };
    let uuids = |of: fn(&Logged) -> Uuid| -> Vec<Uuid> { entries.iter().map(of).collect() };
    let numbers = |of: fn(&Logged) -> i64| -> Vec<i64> { entries.iter().map(of).collect() };
    let times = |of: fn(&Logged) -> DateTime<Utc>| -> Vec<DateTime<Utc>> {
        entries.iter().map(of).collect()
    };
    let hashes = |of: fn(&Logged) -> Vec<u8>| -> Vec<Vec<u8>> { entries.iter().map(of).collect() };
    let data: Vec<Json> = entries
        .iter()
        .map(|entry| entry.fact.data.clone())
        .collect();
    sqlx::query(include_str!("queries/event/append.sql"))
        .bind(uuids(|entry| entry.fact.tenant_id.uuid()))
        .bind(numbers(|entry| entry.position))
        .bind(uuids(|entry| entry.fact.id.uuid()))
        .bind(texts(|entry| &entry.fact.source))
        .bind(numbers(|entry| entry.fact.sequence))
        .bind(texts(|entry| &entry.fact.kind))
        .bind(texts(|entry| &entry.fact.resource_type))
        .bind(texts(|entry| &entry.fact.resource_id))
        .bind(times(|entry| entry.fact.occur_time))
        .bind(texts(|entry| entry.fact.actor.kind.as_str()))
        .bind(texts(|entry| &entry.fact.actor.subject))
        .bind(texts(|entry| &entry.fact.actor.display_name))
        .bind(texts(|entry| &entry.fact.request_id))
        .bind(texts(|entry| &entry.fact.traceparent))
        .bind(data)
        .bind(times(|entry| entry.record_time))
        .bind(hashes(|entry| entry.previous_hash.to_vec()))
        .bind(hashes(|entry| entry.hash.to_vec()))
        .execute(connection)
        .await?;
    Ok(())
}

/// Position of a tenant's newest entry; 0 for an empty log.
pub async fn head(connection: &mut PgConnection, tenant: TenantId) -> Result<i64, Error> {
    let query = sqlx::query_scalar(include_str!("queries/event/head.sql"));
    Ok(query.bind(tenant.uuid()).fetch_one(connection).await?)
}

/// Which part of a tenant's log a list reads.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Which way.
    pub direction: Direction,
    /// Beyond this position.
    pub beyond: Option<i64>,
    /// Up to this position, inclusive.
    pub up_to: Option<i64>,
    /// Entries, at most.
    pub limit: i64,
}

/// Entries of a part of the log.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    filter: &Filter,
    part: Part,
) -> Result<Vec<Logged>, Error> {
    let sql = match part.direction {
        Direction::Ascending => include_str!("queries/event/list_ascending.sql"),
        Direction::Descending => include_str!("queries/event/list_descending.sql"),
    };
    let rows: Vec<EventRow> = sqlx::query_as(sql)
        .bind(tenant.uuid())
        .bind(part.beyond)
        .bind(&filter.sources)
        .bind(&filter.types)
        .bind(&filter.nouns)
        .bind(&filter.resource_type)
        .bind(&filter.resource_id)
        .bind(&filter.principal)
        .bind(&filter.request_id)
        .bind(
            filter
                .min_occur_micros
                .and_then(DateTime::from_timestamp_micros),
        )
        .bind(
            filter
                .max_occur_micros
                .and_then(DateTime::from_timestamp_micros),
        )
        .bind(part.limit)
        .bind(part.up_to)
        .fetch_all(connection)
        .await?;
    logged(rows)
}

/// One entry by its event's id.
pub async fn get(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: EventId,
) -> Result<Option<Logged>, Error> {
    let row: Option<EventRow> = sqlx::query_as(include_str!("queries/event/get.sql"))
        .bind(tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(Logged::try_from).transpose()?)
}

/// Entries of a range, oldest first.
pub async fn range(
    connection: &mut PgConnection,
    tenant: TenantId,
    (first, last): (i64, i64),
    limit: i64,
) -> Result<Vec<Logged>, Error> {
    let rows: Vec<EventRow> = sqlx::query_as(include_str!("queries/event/range.sql"))
        .bind(tenant.uuid())
        .bind(first)
        .bind(last)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    logged(rows)
}

/// Entries of certain types after one position and up to another, oldest first.
pub async fn signals(
    connection: &mut PgConnection,
    tenant: TenantId,
    types: &[String],
    (after, up_to): (i64, i64),
    limit: i64,
) -> Result<Vec<Logged>, Error> {
    let rows: Vec<EventRow> = sqlx::query_as(include_str!("queries/event/signals.sql"))
        .bind(tenant.uuid())
        .bind(types)
        .bind(after)
        .bind(up_to)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    logged(rows)
}

/// Failed attempts of a task or of a run's tasks, oldest first, up to a position.
pub async fn attempts(
    connection: &mut PgConnection,
    tenant: TenantId,
    (task_id, execution_id): (&str, &str),
    up_to: i64,
) -> Result<Vec<Logged>, Error> {
    if task_id.is_empty() && execution_id.is_empty() {
        return Ok(Vec::new());
    }
    let mut rows: Vec<EventRow> = sqlx::query_as(include_str!("queries/event/attempts.sql"))
        .bind(tenant.uuid())
        .bind(task_id)
        .bind(execution_id)
        .bind(up_to)
        .bind(MOST_ATTEMPTS)
        .fetch_all(connection)
        .await?;
    rows.reverse();
    logged(rows)
}

/// Amounts that were booked for these tasks, by currency.
pub async fn costs(
    connection: &mut PgConnection,
    tenant: TenantId,
    tasks: &[String],
) -> Result<Vec<(Option<String>, Option<String>)>, Error> {
    let query = sqlx::query_as(include_str!("queries/event/costs.sql"));
    Ok(query
        .bind(tenant.uuid())
        .bind(tasks)
        .fetch_all(connection)
        .await?)
}

fn logged(rows: Vec<EventRow>) -> Result<Vec<Logged>, Error> {
    rows.into_iter().map(|row| Ok(row.try_into()?)).collect()
}
