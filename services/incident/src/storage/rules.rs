//! Tables `rule` and `rule_cursor`.

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::{RuleId, TenantId, Uuid};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::Error;
use super::rows::RuleRow;
use crate::domain::rule::Rule;

async fn write(
    sql: &'static str,
    connection: &mut PgConnection,
    rule: &Rule,
) -> Result<u64, Error> {
    let written = sqlx::query(sql)
        .bind(rule.id.uuid())
        .bind(rule.tenant_id.uuid())
        .bind(rule.version)
        .bind(&rule.name)
        .bind(&rule.description)
        .bind(rule.enabled)
        .bind(&rule.event_types)
        .bind(Json(&rule.conditions))
        .bind(&rule.group_by)
        .bind(rule.threshold)
        .bind(rule.window.map(|window| window.num_seconds()))
        .bind(&rule.correlation)
        .bind(rule.severity.as_str())
        .bind(rule.priority.as_str())
        .bind(rule.category.as_str())
        .bind(&rule.title_template)
        .bind(TimeDelta::num_seconds(&rule.reopen))
        .bind(rule.built_in)
        .bind(rule.create_time)
        .bind(rule.update_time)
        .execute(connection)
        .await?;
    Ok(written.rows_affected())
}

/// Adds a rule.
pub async fn insert(connection: &mut PgConnection, rule: &Rule) -> Result<(), Error> {
    write(include_str!("queries/rule/insert.sql"), connection, rule)
        .await
        .map(drop)
}

/// Writes a rule whose row the transaction holds locked, and whose version it has raised.
pub async fn update(connection: &mut PgConnection, rule: &Rule) -> Result<(), Error> {
    match write(include_str!("queries/rule/update.sql"), connection, rule).await? {
        1 => Ok(()),
        _ => Err(reeve_postgres::Error::RowNotFound.into()),
    }
}

/// Reads a rule.
pub async fn get(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: RuleId,
) -> Result<Option<Rule>, Error> {
    one(include_str!("queries/rule/get.sql"), connection, tenant, id).await
}

/// Reads and locks a rule.
pub async fn lock(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: RuleId,
) -> Result<Option<Rule>, Error> {
    one(
        include_str!("queries/rule/lock.sql"),
        connection,
        tenant,
        id,
    )
    .await
}

async fn one(
    sql: &'static str,
    connection: &mut PgConnection,
    tenant: TenantId,
    id: RuleId,
) -> Result<Option<Rule>, Error> {
    let row: Option<RuleRow> = sqlx::query_as(sql)
        .bind(tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(Rule::try_from).transpose()?)
}

/// Rules whose name comes after a text, by name.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    after: &str,
    limit: i64,
) -> Result<Vec<Rule>, Error> {
    let rows: Vec<RuleRow> = sqlx::query_as(include_str!("queries/rule/list.sql"))
        .bind(tenant.uuid())
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rules(rows)
}

/// The rules that are applied.
pub async fn enabled(connection: &mut PgConnection, tenant: TenantId) -> Result<Vec<Rule>, Error> {
    let rows: Vec<RuleRow> = sqlx::query_as(include_str!("queries/rule/enabled.sql"))
        .bind(tenant.uuid())
        .fetch_all(connection)
        .await?;
    rules(rows)
}

/// How many rules a tenant has.
pub async fn count(connection: &mut PgConnection, tenant: TenantId) -> Result<i64, Error> {
    let query = sqlx::query_scalar(include_str!("queries/rule/count.sql"));
    Ok(query.bind(tenant.uuid()).fetch_one(connection).await?)
}

/// Deletes a rule.
pub async fn delete(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: RuleId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/rule/delete.sql"))
        .bind(tenant.uuid())
        .bind(id.uuid())
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

/// Tenants whose log has grown since the rules were last applied to it, those after one first.
pub async fn tenants_behind(
    connection: &mut PgConnection,
    after: TenantId,
    limit: i64,
) -> Result<Vec<TenantId>, Error> {
    let query = sqlx::query_scalar(include_str!("queries/rule/tenants_behind.sql"));
    let query = query.bind(limit).bind(after.uuid());
    let found: Vec<Uuid> = query.fetch_all(connection).await?;
    Ok(found.into_iter().map(TenantId::from_uuid).collect())
}

/// Makes a tenant's cursor; true when this transaction made it.
pub async fn claim_cursor(connection: &mut PgConnection, tenant: TenantId) -> Result<bool, Error> {
    let query = sqlx::query_scalar(include_str!("queries/rule/claim_cursor.sql"));
    Ok(query.bind(tenant.uuid()).fetch_one(connection).await?)
}

/// Reads and locks how far the rules were applied to a tenant's log.
pub async fn lock_cursor(connection: &mut PgConnection, tenant: TenantId) -> Result<i64, Error> {
    let query = sqlx::query_scalar(include_str!("queries/rule/lock_cursor.sql"));
    Ok(query.bind(tenant.uuid()).fetch_one(connection).await?)
}

/// Writes how far the rules were applied.
pub async fn move_cursor(
    connection: &mut PgConnection,
    tenant: TenantId,
    position: i64,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/rule/move_cursor.sql"))
        .bind(tenant.uuid())
        .bind(position)
        .execute(connection)
        .await?;
    Ok(())
}

fn rules(rows: Vec<RuleRow>) -> Result<Vec<Rule>, Error> {
    rows.into_iter().map(|row| Ok(row.try_into()?)).collect()
}
