//! Hands through which tasks go.

use chrono::{DateTime, Utc};
use reeve_ids::{AgentId, DelegationId, TaskId, TenantId, Uuid};
use serde::Serialize;
use serde_json::Value as Json;
use sqlx::types::Json as Stored;
use sqlx::{FromRow as _, PgConnection, PgPool, Row as _};

use super::delegation_rows::StoredDelegation;
use super::lease::Leased;
use super::rows::LockedRow;
use crate::Error;
use crate::domain::{Actor, Delegation, DelegationOutcome, DelegationType, LeaseToken, Usage};

/// A link to be added to the chain of a locked task.
#[derive(Debug)]
pub struct NewDelegation<'a> {
    /// Its id.
    pub id: DelegationId,
    /// The task, as it was locked.
    pub row: &'a LockedRow,
    /// Who has it.
    pub from: AgentId,
    /// Who is to have it.
    pub to: AgentId,
    /// How that one was found.
    pub kind: DelegationType,
    /// Why.
    pub reason: &'a str,
    /// Free-form facts.
    pub metadata: Option<&'a Json>,
    /// Who delegates.
    pub actor: &'a Actor,
    /// Whether an operator does, and not the holder.
    pub by_operator: bool,
    /// The client's request id with the digest of its body.
    pub request: Option<&'a (String, Vec<u8>)>,
    /// When.
    pub time: DateTime<Utc>,
    /// Until when it may be fetched.
    pub offer_until: DateTime<Utc>,
}

/// Adds a link; nothing when its request id was used meanwhile.
///
/// # Errors
/// When the database refuses.
pub async fn insert(
    connection: &mut PgConnection,
    new: &NewDelegation<'_>,
) -> Result<Option<Delegation>, Error> {
    let row: Option<StoredDelegation> =
        sqlx::query_as(include_str!("queries/task_delegation/insert.sql"))
            .bind(new.id.uuid())
            .bind(new.row.tenant_id)
            .bind(new.row.task_id)
            .bind(new.row.attempt)
            .bind(new.row.fence)
            .bind(new.from.uuid())
            .bind(new.to.uuid())
            .bind(new.kind.number())
            .bind(new.reason)
            .bind(new.metadata)
            .bind(new.actor.kind)
            .bind(&new.actor.subject)
            .bind(&new.actor.display_name)
            .bind(new.request.map(|(id, _)| id))
            .bind(new.request.map(|(_, digest)| digest))
            .bind(new.time)
            .bind(new.offer_until)
            .bind(new.by_operator)
            .fetch_optional(connection)
            .await?;
    row.map(StoredDelegation::into_delegation).transpose()
}

/// Ends the delivery of a locked task and offers it under a delegation.
///
/// # Errors
/// When the database refuses.
pub async fn hand_over(
    connection: &mut PgConnection,
    row: &LockedRow,
    delegation: &Delegation,
    fence_step: i64,
    usage: Option<&Vec<Usage>>,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/task_run/hand_over.sql"))
        .bind(row.task_id)
        .bind(row.tenant_id)
        .bind(row.fence)
        .bind(fence_step)
        .bind(delegation.to.uuid())
        .bind(delegation.time)
        .bind(delegation.offer_until)
        .bind(usage.map(Stored))
        .bind(delegation.id.uuid())
        .execute(connection)
        .await?;
    Ok(())
}

/// Stores what the next agent needs to go on.
///
/// # Errors
/// When the database refuses.
pub async fn put_checkpoint(
    connection: &mut PgConnection,
    row: &LockedRow,
    checkpoint: &Json,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/task_progress/hand_over.sql"))
        .bind(row.task_id)
        .bind(row.tenant_id)
        .bind(row.fence)
        .bind(checkpoint)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

/// Makes offers leases of their agent.
///
/// # Errors
/// When the database refuses.
pub async fn take(
    connection: &mut PgConnection,
    (tenant, agent): (TenantId, AgentId),
    (lease_ms, start, fence_step): (i64, bool, i64),
    (capabilities, versions): (Vec<&str>, Vec<Option<String>>),
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Leased, Error> {
    let rows = sqlx::query(include_str!("queries/task_run/take.sql"))
        .bind(tenant.uuid())
        .bind(agent.uuid())
        .bind(now)
        .bind(lease_ms)
        .bind(start)
        .bind(limit)
        .bind(fence_step)
        .bind(capabilities)
        .bind(versions)
        .fetch_all(connection)
        .await?;
    Leased::read(rows)
}

/// What an agent is offered and has not fetched.
///
/// # Errors
/// When the database refuses.
pub async fn offered_to(
    pool: &PgPool,
    tenant: TenantId,
    agent: AgentId,
) -> Result<Vec<LeaseToken>, Error> {
    let rows: Vec<(Uuid, Uuid, i64)> =
        sqlx::query_as(include_str!("queries/task_run/offered_to.sql"))
            .bind(tenant.uuid())
            .bind(agent.uuid())
            .fetch_all(pool)
            .await?;
    let token = |(id, _, fence)| LeaseToken {
        task_id: TaskId::from_uuid(id),
        fence,
    };
    Ok(rows.into_iter().map(token).collect())
}

/// The agents that are offered something.
///
/// # Errors
/// When the database refuses.
pub async fn offered(pool: &PgPool) -> Result<Vec<(TenantId, AgentId)>, Error> {
    let rows: Vec<(Uuid, Uuid)> =
        sqlx::query_as(include_str!("queries/task_delegation/offered.sql"))
            .fetch_all(pool)
            .await?;
    let who = |(tenant, agent)| (TenantId::from_uuid(tenant), AgentId::from_uuid(agent));
    Ok(rows.into_iter().map(who).collect())
}

/// A delegation of which it is known what became of it.
#[derive(Debug, Clone, Copy)]
pub struct Closing {
    /// The delegation.
    pub id: Uuid,
    /// Its owner.
    pub tenant_id: Uuid,
    /// What became of it.
    pub outcome: DelegationOutcome,
}

/// Notes what became of delegations.
///
/// # Errors
/// When the database refuses.
pub async fn close(
    connection: &mut PgConnection,
    closings: &[Closing],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if closings.is_empty() {
        return Ok(());
    }
    let outcomes = closings.iter().map(|one| one.outcome.number());
    sqlx::query(include_str!("queries/task_delegation/close.sql"))
        .bind(closings.iter().map(|one| one.id).collect::<Vec<_>>())
        .bind(closings.iter().map(|one| one.tenant_id).collect::<Vec<_>>())
        .bind(outcomes.collect::<Vec<_>>())
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

/// The last links of a locked task's chain, newest first.
///
/// # Errors
/// When the database refuses, or a row is corrupt.
pub async fn chain(
    connection: &mut PgConnection,
    row: &LockedRow,
) -> Result<Vec<Delegation>, Error> {
    if row.delegations == 0 {
        return Ok(Vec::new());
    }
    let rows: Vec<StoredDelegation> =
        sqlx::query_as(include_str!("queries/task_delegation/chain.sql"))
            .bind(row.task_id)
            .bind(row.tenant_id)
            .bind(i64::from(row.delegations))
            .fetch_all(connection)
            .await?;
    read(rows)
}

/// The delegation that a holder made with a lease.
///
/// # Errors
/// When the database refuses, or the row is corrupt.
pub async fn by_lease(
    connection: &mut PgConnection,
    tenant: TenantId,
    token: LeaseToken,
) -> Result<Option<Delegation>, Error> {
    let row: Option<StoredDelegation> =
        sqlx::query_as(include_str!("queries/task_delegation/by_fence.sql"))
            .bind(token.task_id.uuid())
            .bind(tenant.uuid())
            .bind(token.fence)
            .fetch_optional(connection)
            .await?;
    row.map(StoredDelegation::into_delegation).transpose()
}

/// The delegation that an operator's request made, with the digest of its body.
///
/// # Errors
/// When the database refuses, or the row is corrupt.
pub async fn by_request(
    connection: &mut PgConnection,
    tenant: TenantId,
    request_id: &str,
) -> Result<Option<(Delegation, Vec<u8>)>, Error> {
    let row = sqlx::query(include_str!("queries/task_delegation/by_request.sql"))
        .bind(tenant.uuid())
        .bind(request_id)
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let digest: Vec<u8> = row.try_get("digest")?;
    Ok(Some((
        StoredDelegation::from_row(&row)?.into_delegation()?,
        digest,
    )))
}

/// Chooses delegations; what is empty or `None` chooses all. Serialized, it binds page tokens.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DelegationFilter {
    /// Of this task.
    pub task_id: Option<TaskId>,
    /// From this agent.
    pub from: Option<AgentId>,
    /// To this agent.
    pub to: Option<AgentId>,
    /// One of these types, by number.
    pub kinds: Vec<i16>,
    /// One of these outcomes, by number.
    pub outcomes: Vec<i16>,
    /// Made then or later.
    pub since: Option<DateTime<Utc>>,
    /// Made before.
    pub before: Option<DateTime<Utc>>,
}

/// Delegations of a tenant, newest first, older than one.
///
/// # Errors
/// When the database refuses, or a row is corrupt.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    filter: &DelegationFilter,
    after: Option<DelegationId>,
    limit: i64,
) -> Result<Vec<Delegation>, Error> {
    let rows: Vec<StoredDelegation> =
        sqlx::query_as(include_str!("queries/task_delegation/list.sql"))
            .bind(tenant.uuid())
            .bind(after.map(DelegationId::uuid))
            .bind(filter.from.map(AgentId::uuid))
            .bind(filter.to.map(AgentId::uuid))
            .bind(&filter.kinds)
            .bind(&filter.outcomes)
            .bind(filter.since)
            .bind(filter.before)
            .bind(limit)
            .fetch_all(connection)
            .await?;
    read(rows)
}

/// A task's chain in its order, after a place in it.
///
/// # Errors
/// When the database refuses, or a row is corrupt.
pub async fn list_of_task(
    connection: &mut PgConnection,
    (tenant, task): (TenantId, TaskId),
    filter: &DelegationFilter,
    after: i32,
    limit: i64,
) -> Result<Vec<Delegation>, Error> {
    let rows: Vec<StoredDelegation> =
        sqlx::query_as(include_str!("queries/task_delegation/of_task.sql"))
            .bind(tenant.uuid())
            .bind(task.uuid())
            .bind(after)
            .bind(filter.from.map(AgentId::uuid))
            .bind(filter.to.map(AgentId::uuid))
            .bind(&filter.kinds)
            .bind(&filter.outcomes)
            .bind(filter.since)
            .bind(filter.before)
            .bind(limit)
            .fetch_all(connection)
            .await?;
    read(rows)
}

fn read(rows: Vec<StoredDelegation>) -> Result<Vec<Delegation>, Error> {
    let rows = rows.into_iter();
    rows.map(StoredDelegation::into_delegation).collect()
}
