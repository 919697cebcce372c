//! Table `task_gate`, and runs that wait behind gates.

use chrono::{DateTime, Utc};
use reeve_events::Actor as Opener;
use reeve_ids::{GateId, TaskId, TenantId};
use serde::Serialize;
use serde_json::Value as Json;
use sqlx::PgConnection;

use super::dependencies::columns;
use super::gate_rows::GateRow;
use super::rows::LockedRow;
use crate::Error;
use crate::domain::{Actor, Answer, Gate, GateAsk, LeaseToken, Said};

/// A gate to be opened.
#[derive(Debug)]
pub struct NewGate<'a> {
    /// Its id.
    pub id: GateId,
    /// The run that waits behind it, as it was locked.
    pub row: &'a LockedRow,
    /// What it asks.
    pub ask: &'a GateAsk,
    /// Who opens it.
    pub opener: &'a Opener,
}

impl NewGate<'_> {
    /// When it expires.
    pub fn expire_time(ask: &GateAsk, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        ask.expire.map(|(span, _)| now + span)
    }
}

/// Opens gates.
///
/// # Errors
/// When the database refuses.
pub async fn insert_gates(
    connection: &mut PgConnection,
    gates: &[NewGate<'_>],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if gates.is_empty() {
        return Ok(());
    }
    fn all<'a, T>(gates: &'a [NewGate<'a>], of: impl Fn(&'a NewGate<'a>) -> T) -> Vec<T> {
        gates.iter().map(of).collect()
    }
    let expiry = |gate: &NewGate<'_>| gate.ask.expire.map(|(_, expiry)| expiry.number());
    sqlx::query(include_str!("queries/task_gate/insert.sql"))
        .bind(all(gates, |gate| gate.id.uuid()))
        .bind(all(gates, |gate| gate.row.tenant_id))
        .bind(all(gates, |gate| gate.row.task_id))
        .bind(all(gates, |gate| gate.row.facts.queue.as_str()))
        .bind(all(gates, |gate| gate.row.facts.kind.as_str()))
        .bind(all(gates, |gate| gate.ask.kind.number()))
        .bind(all(gates, |gate| gate.ask.prompt.as_str()))
        .bind(all(gates, |gate| gate.ask.answer_schema.as_ref()))
        .bind(all(gates, |gate| gate.ask.content_digest.as_str()))
        .bind(all(gates, |gate| NewGate::expire_time(gate.ask, now)))
        .bind(all(gates, expiry))
        .bind(all(gates, |gate| gate.row.attempt))
        .bind(all(gates, |gate| gate.row.fence))
        .bind(all(gates, |gate| gate.row.agent_id))
        .bind(all(gates, |gate| gate.opener.kind() as i16))
        .bind(all(gates, |gate| gate.opener.subject()))
        .bind(all(gates, |gate| gate.opener.display_name()))
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

/// Gates of a task, oldest first.
///
/// # Errors
/// When the database refuses.
pub async fn gates_of(
    connection: &mut PgConnection,
    tenant: TenantId,
    task: TaskId,
) -> Result<Vec<GateRow>, Error> {
    let rows = sqlx::query_as(include_str!("queries/task_gate/of_task.sql"))
        .bind(task.uuid())
        .bind(tenant.uuid())
        .fetch_all(connection)
        .await?;
    Ok(rows)
}

/// One gate of a task.
///
/// # Errors
/// When the database refuses.
pub async fn get_gate(
    connection: &mut PgConnection,
    tenant: TenantId,
    task: TaskId,
    gate: GateId,
) -> Result<Option<GateRow>, Error> {
    let row = sqlx::query_as(include_str!("queries/task_gate/get.sql"))
        .bind(gate.uuid())
        .bind(task.uuid())
        .bind(tenant.uuid())
        .fetch_optional(connection)
        .await?;
    Ok(row)
}

/// The open gate of a task.
///
/// # Errors
/// When the database refuses, or the row is corrupt.
pub async fn open_gate(
    connection: &mut PgConnection,
    tenant: TenantId,
    task: TaskId,
) -> Result<Option<Gate>, Error> {
    let row: Option<GateRow> = sqlx::query_as(include_str!("queries/task_gate/open.sql"))
        .bind(task.uuid())
        .bind(tenant.uuid())
        .fetch_optional(connection)
        .await?;
    row.map(GateRow::into_gate).transpose()
}

/// Of each of these tasks the last gates that were answered or expired, oldest first.
///
/// # Errors
/// When the database refuses, or a row is corrupt.
pub async fn answers(
    connection: &mut PgConnection,
    tasks: &[(TenantId, TaskId)],
    each: i64,
) -> Result<Vec<Gate>, Error> {
    if tasks.is_empty() {
        return Ok(Vec::new());
    }
    let (tenants, tasks) = columns(tasks);
    let rows: Vec<GateRow> = sqlx::query_as(include_str!("queries/task_gate/answers.sql"))
        .bind(tasks)
        .bind(tenants)
        .bind(each)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(GateRow::into_gate).collect()
}

/// Who answers a gate, with what and by which request.
#[derive(Debug)]
pub struct AnswerBy<'a> {
    /// The answer.
    pub answer: &'a Answer,
    /// Its digest.
    pub digest: &'a [u8],
    /// The client's request id; empty for none.
    pub request_id: &'a str,
    /// Who.
    pub by: &'a Actor,
}

/// Answers an open gate.
///
/// # Errors
/// When the database refuses.
pub async fn answer_gate(
    connection: &mut PgConnection,
    (tenant, gate): (TenantId, GateId),
    answered: AnswerBy<'_>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let AnswerBy {
        answer,
        digest,
        request_id,
        by,
    } = answered;
    let (input, decision) = match &answer.said {
        Said::Input(input) => (Some(input), None),
        Said::Decision(decision) => (None, Some(decision.number())),
    };
    sqlx::query(include_str!("queries/task_gate/answer.sql"))
        .bind(gate.uuid())
        .bind(tenant.uuid())
        .bind(input)
        .bind(decision)
        .bind(&answer.comment)
        .bind(digest)
        .bind((!request_id.is_empty()).then_some(request_id))
        .bind(by.kind)
        .bind(&by.subject)
        .bind(&by.display_name)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

/// Closes an open gate whose time is over.
///
/// # Errors
/// When the database refuses.
pub async fn expire_gate(
    connection: &mut PgConnection,
    (tenant, gate): (TenantId, GateId),
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/task_gate/expire.sql"))
        .bind(gate.uuid())
        .bind(tenant.uuid())
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

/// Closes the open gates of tasks that ended otherwise.
///
/// # Errors
/// When the database refuses.
pub async fn cancel_gates(
    connection: &mut PgConnection,
    tasks: &[(TenantId, TaskId)],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if tasks.is_empty() {
        return Ok(());
    }
    let (tenants, tasks) = columns(tasks);
    sqlx::query(include_str!("queries/task_gate/cancel.sql"))
        .bind(tasks)
        .bind(tenants)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

/// Lets a locked run out of its gate.
///
/// # Errors
/// When the database refuses.
pub async fn pass(
    connection: &mut PgConnection,
    row: &LockedRow,
    start_deadline: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/task_run/pass.sql"))
        .bind(row.task_id)
        .bind(row.tenant_id)
        .bind(now)
        .bind(start_deadline)
        .execute(connection)
        .await?;
    Ok(())
}

/// Stores checkpoints of attempts that are suspended; at most one for each task.
///
/// # Errors
/// When the database refuses.
pub async fn put_checkpoints(
    connection: &mut PgConnection,
    checkpoints: &[(TenantId, LeaseToken, &Json)],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if checkpoints.is_empty() {
        return Ok(());
    }
    let each = || checkpoints.iter();
    sqlx::query(include_str!("queries/task_progress/checkpoint.sql"))
        .bind(
            each()
                .map(|(_, token, _)| token.task_id.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(each().map(|(tenant, ..)| tenant.uuid()).collect::<Vec<_>>())
        .bind(each().map(|(_, token, _)| token.fence).collect::<Vec<_>>())
        .bind(each().map(|(.., json)| *json).collect::<Vec<_>>())
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

/// Chooses gates; what is empty chooses all. Serialized, it binds page tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct GateFilter {
    /// One of these kinds, by number.
    pub kinds: Vec<i16>,
    /// Of tasks in one of these queues.
    pub queues: Vec<String>,
    /// Of tasks of one of these types.
    pub task_types: Vec<String>,
}

/// Open gates of a tenant after one, oldest first.
///
/// # Errors
/// When the database refuses, or a row is corrupt.
pub async fn list_gates(
    connection: &mut PgConnection,
    tenant: TenantId,
    filter: &GateFilter,
    after: Option<GateId>,
    limit: i64,
) -> Result<Vec<Gate>, Error> {
    let rows: Vec<GateRow> = sqlx::query_as(include_str!("queries/task_gate/list.sql"))
        .bind(after.map(GateId::uuid))
        .bind(tenant.uuid())
        .bind(&filter.kinds)
        .bind(&filter.queues)
        .bind(&filter.task_types)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(GateRow::into_gate).collect()
}
