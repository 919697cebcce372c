//! Table `agent`.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use reeve_ids::{AgentId, TenantId, Uuid};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow as _, PgConnection, PgPool, Row as _};

use super::Error;
use super::rows::{AgentRow, AgentViewRow, Member, MemberRow, capabilities_json};
use crate::domain::agent::Agent;
use crate::domain::workload::Status;

/// Which agents a list holds; nothing selects all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selection {
    /// In any of these states.
    pub states: Option<Vec<String>>,
    /// Of any of these types.
    pub types: Option<Vec<String>>,
    /// With these names.
    pub names: Option<Vec<String>>,
    /// Offers a capability of this name.
    pub capability: Option<String>,
    /// Carries these labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// With these ids.
    pub ids: Option<Vec<Uuid>>,
}

/// Adds an agent unless its name is taken.
pub async fn insert_if_new(connection: &mut PgConnection, agent: &Agent) -> Result<bool, Error> {
    let inserted = sqlx::query(include_str!("queries/agent/insert_if_new.sql"))
        .bind(agent.id.uuid())
        .bind(agent.tenant_id.uuid())
        .bind(&agent.name)
        .bind(&agent.spec.kind)
        .bind(&agent.spec.model_id)
        .bind(agent.state.as_str())
        .bind(&agent.state_reason)
        .bind(capabilities_json(&agent.spec.capabilities))
        .bind(agent.spec.max_concurrent_tasks)
        .bind(Json(&agent.spec.labels))
        .bind(&agent.spec.metadata)
        .bind(agent.epoch)
        .bind(agent.version)
        .bind(&agent.registered_by)
        .bind(agent.create_time)
        .execute(connection)
        .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Reads and locks the agent of a name.
pub async fn lock_by_name(
    connection: &mut PgConnection,
    tenant: TenantId,
    name: &str,
) -> Result<Option<Agent>, Error> {
    let row: Option<AgentRow> = sqlx::query_as(include_str!("queries/agent/lock_by_name.sql"))
        .bind(tenant.uuid())
        .bind(name)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(Agent::try_from).transpose()?)
}

/// Reads and locks an agent.
pub async fn lock(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: AgentId,
) -> Result<Option<Agent>, Error> {
    let row: Option<AgentRow> = sqlx::query_as(include_str!("queries/agent/lock.sql"))
        .bind(tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(Agent::try_from).transpose()?)
}

/// Reads and locks an agent, waiting a second at most for whoever else is changing it.
pub async fn lock_soon(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: AgentId,
) -> Result<Option<Agent>, Error> {
    sqlx::query("set local lock_timeout = '1s'")
        .execute(&mut *connection)
        .await?;
    lock(connection, tenant, id).await
}

/// Reads and locks those of the given processes that are still current and owe heartbeats, of all
/// tenants.
pub async fn lock_lapsed(
    connection: &mut PgConnection,
    processes: &[(AgentId, i64)],
) -> Result<Vec<Agent>, Error> {
    let ids: Vec<Uuid> = processes.iter().map(|(id, _)| id.uuid()).collect();
    let epochs: Vec<i64> = processes.iter().map(|(_, epoch)| *epoch).collect();
    let rows: Vec<AgentRow> = sqlx::query_as(include_str!("queries/agent/lock_lapsed.sql"))
        .bind(ids)
        .bind(epochs)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(|row| Ok(row.try_into()?)).collect()
}

/// Which of the given processes are still current and owe heartbeats, locked or not, of all tenants.
pub async fn still_owing(
    pool: &PgPool,
    processes: &[(AgentId, i64)],
) -> Result<Vec<(AgentId, i64)>, Error> {
    let ids: Vec<Uuid> = processes.iter().map(|(id, _)| id.uuid()).collect();
    let epochs: Vec<i64> = processes.iter().map(|(_, epoch)| *epoch).collect();
    let rows: Vec<(Uuid, i64)> = sqlx::query_as(include_str!("queries/agent/still_owing.sql"))
        .bind(ids)
        .bind(epochs)
        .fetch_all(pool)
        .await?;
    Ok(rows.into_iter().map(process).collect())
}

fn process((id, epoch): (Uuid, i64)) -> (AgentId, i64) {
    (AgentId::from_uuid(id), epoch)
}

/// Reads an agent with what its heartbeats said.
pub async fn get(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: AgentId,
) -> Result<Option<(Agent, Status)>, Error> {
    let row: Option<AgentViewRow> = sqlx::query_as(include_str!("queries/agent/get.sql"))
        .bind(tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(TryInto::try_into).transpose()?)
}

/// Bytes of rows after which a read ends, so that no page needs much memory.
const READ_BYTES: usize = 2 * 1024 * 1024;

/// Reads agents after an id, in order of id: at most `limit`, fewer when they are large, and one at
/// least if there is any; and whether there are more.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    after: Option<Uuid>,
    selection: &Selection,
    limit: usize,
) -> Result<(Vec<(Agent, Status)>, bool), Error> {
    let capability = selection
        .capability
        .as_ref()
        .map(|name| serde_json::json!([{ "name": name }]));
    let one_more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut rows = sqlx::query(include_str!("queries/agent/list.sql"))
        .bind(tenant.uuid())
        .bind(after)
        .bind(selection.states.as_ref())
        .bind(selection.types.as_ref())
        .bind(selection.names.as_ref())
        .bind(capability)
        .bind(selection.labels.as_ref().map(Json))
        .bind(selection.ids.as_ref())
        .bind(one_more)
        .fetch(connection);
    let (mut found, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.try_next().await? {
        if found.len() >= limit || bytes >= READ_BYTES {
            return Ok((found, true));
        }
        bytes += size_of(&row);
        found.push(AgentViewRow::from_row(&row)?.try_into()?);
    }
    Ok((found, false))
}

/// The bytes of a row as PostgreSQL sent it.
fn size_of(row: &PgRow) -> usize {
    let value = |column| {
        let value = row.try_get_raw(column).ok()?;
        value.as_bytes().ok().map(<[u8]>::len)
    };
    (0..row.len()).filter_map(value).sum()
}

/// Writes a locked agent back.
pub async fn save(connection: &mut PgConnection, agent: &Agent) -> Result<(), Error> {
    let saved = sqlx::query(include_str!("queries/agent/save.sql"))
        .bind(agent.tenant_id.uuid())
        .bind(agent.id.uuid())
        .bind(&agent.spec.kind)
        .bind(&agent.spec.model_id)
        .bind(agent.state.as_str())
        .bind(&agent.state_reason)
        .bind(capabilities_json(&agent.spec.capabilities))
        .bind(agent.spec.max_concurrent_tasks)
        .bind(Json(&agent.spec.labels))
        .bind(&agent.spec.metadata)
        .bind(agent.epoch)
        .bind(agent.version)
        .bind(&agent.registered_by)
        .bind(agent.update_time)
        .bind(agent.register_time)
        .bind(agent.transition_time)
        .execute(connection)
        .await?;
    match saved.rows_affected() {
        1 => Ok(()),
        _ => Err(reeve_postgres::Error::RowNotFound.into()),
    }
}

/// Deletes an agent that is OFFLINE.
pub async fn delete(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: AgentId,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/agent/delete.sql"))
        .bind(tenant.uuid())
        .bind(id.uuid())
        .execute(connection)
        .await?;
    Ok(())
}

/// Processes of all tenants that owe heartbeats, after an id.
pub async fn owing_heartbeats(
    pool: &PgPool,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<(AgentId, i64)>, Error> {
    let rows: Vec<(Uuid, i64)> = sqlx::query_as(include_str!("queries/agent/owing_heartbeats.sql"))
        .bind(after)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    Ok(rows.into_iter().map(process).collect())
}

/// What heartbeats of these agents must be compared with; the tenant is compared too, by the caller.
pub async fn members(pool: &PgPool, ids: &[AgentId]) -> Result<Vec<Member>, Error> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows: Vec<MemberRow> = sqlx::query_as(include_str!("queries/agent/members.sql"))
        .bind(ids)
        .fetch_all(pool)
        .await?;
    rows.into_iter().map(|row| Ok(row.try_into()?)).collect()
}

/// Tenants with agents that owe heartbeats.
pub async fn owing_tenants(connection: &mut PgConnection) -> Result<Vec<TenantId>, Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(include_str!("queries/agent/owing_tenants.sql"))
        .fetch_all(connection)
        .await?;
    Ok(ids.into_iter().map(TenantId::from_uuid).collect())
}
