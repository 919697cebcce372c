//! How attempts and tasks end.

use std::collections::HashMap;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use reeve_ids::{GateId, TaskId, TenantId, Uuid};
use serde_json::Value as Json;
use sqlx::PgConnection;
use sqlx::types::Json as Stored;

use super::dependencies::columns;
use super::rows::{CompletedRow, EndedRow, LockedRow};
use crate::Error;
use crate::domain::{
    Admission, Artifact, GateKind, LeaseToken, Settled, State, TaskError, Usage, completable,
};

/// A task that its holder completes.
#[derive(Debug, Clone)]
pub struct Completion {
    /// The lease.
    pub token: LeaseToken,
    /// The holder's tenant.
    pub tenant_id: TenantId,
    /// What came of it.
    pub result: Option<Json>,
    /// Sentence for people.
    pub message: String,
    /// What it consumed; nothing: what progress said.
    pub usage: Option<Vec<Usage>>,
    /// What it made.
    pub artifacts: Vec<Artifact>,
    /// How large the report was.
    pub bytes: usize,
}

/// Completes tasks; those that are not returned were not held under these tokens.
///
/// # Errors
/// When the database refuses.
pub async fn complete(
    connection: &mut PgConnection,
    completions: &[&Completion],
    now: DateTime<Utc>,
) -> Result<Vec<CompletedRow>, Error> {
    static FROM: LazyLock<Vec<i16>> =
        LazyLock::new(|| completable().into_iter().map(State::number).collect());
    let rows = sqlx::query_as(include_str!("queries/task_run/complete.sql"))
        .bind(
            completions
                .iter()
                .map(|one| one.token.task_id.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(
            completions
                .iter()
                .map(|one| one.tenant_id.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(
            completions
                .iter()
                .map(|one| one.token.fence)
                .collect::<Vec<_>>(),
        )
        .bind(
            completions
                .iter()
                .map(|one| one.result.as_ref())
                .collect::<Vec<_>>(),
        )
        .bind(
            completions
                .iter()
                .map(|one| one.message.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            completions
                .iter()
                .map(|one| one.usage.as_ref().map(Stored))
                .collect::<Vec<_>>(),
        )
        .bind(now)
        .bind(FROM.as_slice())
        .fetch_all(connection)
        .await?;
    Ok(rows)
}

/// How the attempts that these tokens name ended.
///
/// # Errors
/// When the database refuses.
pub async fn ended_attempts(
    connection: &mut PgConnection,
    tokens: &[(TenantId, LeaseToken)],
) -> Result<Vec<EndedRow>, Error> {
    let rows = sqlx::query_as(include_str!("queries/attempt/how_ended.sql"))
        .bind(
            tokens
                .iter()
                .map(|(_, token)| token.task_id.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(
            tokens
                .iter()
                .map(|(tenant, _)| tenant.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(
            tokens
                .iter()
                .map(|(_, token)| token.fence)
                .collect::<Vec<_>>(),
        )
        .fetch_all(connection)
        .await?;
    Ok(rows)
}

/// Locks the runs of those tasks that are not over.
///
/// # Errors
/// When the database refuses.
pub async fn lock(
    connection: &mut PgConnection,
    tasks: &[(TenantId, TaskId)],
) -> Result<Vec<LockedRow>, Error> {
    let (tenants, tasks) = columns(tasks);
    let rows = sqlx::query_as(include_str!("queries/task_run/lock.sql"))
        .bind(tasks)
        .bind(tenants)
        .fetch_all(connection)
        .await?;
    Ok(rows)
}

/// What attempts that are locked said with progress that they consumed.
///
/// # Errors
/// When the database refuses.
pub async fn progress_usage(
    connection: &mut PgConnection,
    rows: &[&LockedRow],
) -> Result<HashMap<Uuid, Vec<Usage>>, Error> {
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<(Uuid, Stored<Vec<Usage>>)> =
        sqlx::query_as(include_str!("queries/task_progress/usage.sql"))
            .bind(rows.iter().map(|row| row.task_id).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.tenant_id).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.fence).collect::<Vec<_>>())
            .fetch_all(connection)
            .await?;
    Ok(found.into_iter().map(|(id, usage)| (id, usage.0)).collect())
}

/// A locked run that goes back to PENDING.
#[derive(Debug)]
pub struct Requeue<'a> {
    /// The run.
    pub row: &'a LockedRow,
    /// What the domain decided.
    pub settled: &'a Settled,
    /// Its place from now on.
    pub order_score: i64,
    /// Whether a hold has to be got again.
    pub admission: Admission,
    /// When it must have begun.
    pub start_deadline: Option<DateTime<Utc>>,
    /// Whether its agent is not to be asked again.
    pub rejected: bool,
    /// Whether its agent is to be asked again only if nobody else is there.
    pub failed: bool,
    /// What the attempt consumed.
    pub usage: Option<&'a Vec<Usage>>,
    /// When the gate that opens with it expires.
    pub gate_deadline: Option<DateTime<Utc>>,
}

/// Sends locked runs back to PENDING.
///
/// # Errors
/// When the database refuses.
pub async fn requeue(
    connection: &mut PgConnection,
    requeues: &[Requeue<'_>],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if requeues.is_empty() {
        return Ok(());
    }
    let errors: Vec<_> = requeues
        .iter()
        .map(|one| one.settled.error.as_ref())
        .collect();
    let (codes, messages, details) = error_columns(&errors);
    sqlx::query(include_str!("queries/task_run/requeue.sql"))
        .bind(
            requeues
                .iter()
                .map(|one| one.row.task_id)
                .collect::<Vec<_>>(),
        )
        .bind(
            requeues
                .iter()
                .map(|one| one.row.tenant_id)
                .collect::<Vec<_>>(),
        )
        .bind(requeues.iter().map(|one| one.row.fence).collect::<Vec<_>>())
        .bind(
            requeues
                .iter()
                .map(|one| one.settled.end.map(|end| end.number()))
                .collect::<Vec<_>>(),
        )
        .bind(
            requeues
                .iter()
                .map(|one| one.settled.failures)
                .collect::<Vec<_>>(),
        )
        .bind(
            requeues
                .iter()
                .map(|one| one.settled.lost_leases)
                .collect::<Vec<_>>(),
        )
        .bind(
            requeues
                .iter()
                .map(|one| one.admission.number())
                .collect::<Vec<_>>(),
        )
        .bind(
            requeues
                .iter()
                .map(|one| one.settled.ready_time.unwrap_or(now))
                .collect::<Vec<_>>(),
        )
        .bind(
            requeues
                .iter()
                .map(|one| one.order_score)
                .collect::<Vec<_>>(),
        )
        .bind(
            requeues
                .iter()
                .map(|one| one.start_deadline)
                .collect::<Vec<_>>(),
        )
        .bind(
            requeues
                .iter()
                .map(|one| one.row.agent_id.filter(|_| one.rejected))
                .collect::<Vec<_>>(),
        )
        .bind(codes)
        .bind(messages)
        .bind(details)
        .bind(
            requeues
                .iter()
                .map(|one| one.usage.map(Stored))
                .collect::<Vec<_>>(),
        )
        .bind(now)
        .bind(
            requeues
                .iter()
                .map(|one| one.settled.gate.map_or(0, GateKind::number))
                .collect::<Vec<_>>(),
        )
        .bind(
            requeues
                .iter()
                .map(|one| one.gate_deadline)
                .collect::<Vec<_>>(),
        )
        .bind(
            requeues
                .iter()
                .map(|one| one.row.agent_id.filter(|_| one.failed))
                .collect::<Vec<_>>(),
        )
        .bind(
            requeues
                .iter()
                .map(|one| one.settled.rule)
                .collect::<Vec<_>>(),
        )
        .bind(
            requeues
                .iter()
                .map(|one| array(&one.settled.by_rule))
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await?;
    Ok(())
}

/// A locked run that is over.
#[derive(Debug)]
pub struct Ending<'a> {
    /// The run.
    pub row: &'a LockedRow,
    /// What the domain decided.
    pub settled: &'a Settled,
    /// What the attempt consumed.
    pub usage: Option<&'a Vec<Usage>>,
    /// Why it was cancelled, if it was.
    pub cancel_reason: Option<&'a str>,
    /// The gate whose answer or expiry ended it.
    pub gate: Option<GateId>,
    /// What came of it, and a sentence about it, if a person says that it is done.
    pub result: Option<(Option<&'a Json>, &'a str)>,
}

/// Ends locked runs.
///
/// # Errors
/// When the database refuses.
pub async fn end(
    connection: &mut PgConnection,
    endings: &[Ending<'_>],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if endings.is_empty() {
        return Ok(());
    }
    let errors: Vec<_> = endings
        .iter()
        .map(|one| one.settled.error.as_ref())
        .collect();
    let (codes, messages, details) = error_columns(&errors);
    sqlx::query(include_str!("queries/task_run/end.sql"))
        .bind(
            endings
                .iter()
                .map(|one| one.row.task_id)
                .collect::<Vec<_>>(),
        )
        .bind(
            endings
                .iter()
                .map(|one| one.row.tenant_id)
                .collect::<Vec<_>>(),
        )
        .bind(endings.iter().map(|one| one.row.fence).collect::<Vec<_>>())
        .bind(
            endings
                .iter()
                .map(|one| one.settled.state.number())
                .collect::<Vec<_>>(),
        )
        .bind(
            endings
                .iter()
                .map(|one| one.settled.end.map(|end| end.number()))
                .collect::<Vec<_>>(),
        )
        .bind(
            endings
                .iter()
                .map(|one| one.settled.failures)
                .collect::<Vec<_>>(),
        )
        .bind(
            endings
                .iter()
                .map(|one| one.settled.lost_leases)
                .collect::<Vec<_>>(),
        )
        .bind(codes)
        .bind(messages)
        .bind(details)
        .bind(
            endings
                .iter()
                .map(|one| one.usage.map(Stored))
                .collect::<Vec<_>>(),
        )
        .bind(
            endings
                .iter()
                .map(|one| one.cancel_reason)
                .collect::<Vec<_>>(),
        )
        .bind(now)
        .bind(
            endings
                .iter()
                .map(|one| one.result.and_then(|(result, _)| result))
                .collect::<Vec<_>>(),
        )
        .bind(
            endings
                .iter()
                .map(|one| one.result.map(|(_, message)| message))
                .collect::<Vec<_>>(),
        )
        .bind(
            endings
                .iter()
                .map(|one| one.gate.map(GateId::uuid))
                .collect::<Vec<_>>(),
        )
        .bind(
            endings
                .iter()
                .map(|one| one.settled.rule)
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await?;
    Ok(())
}

/// Numbers as PostgreSQL writes an array, because a column of arrays cannot be taken apart; nothing for
/// none.
fn array(numbers: &[i32]) -> Option<String> {
    let numbers: Vec<_> = numbers.iter().map(ToString::to_string).collect();
    (!numbers.is_empty()).then(|| format!("{{{}}}", numbers.join(",")))
}

type ErrorColumns<'a> = (
    Vec<Option<&'a str>>,
    Vec<Option<&'a str>>,
    Vec<Option<&'a Json>>,
);

fn error_columns<'a>(errors: &[Option<&'a TaskError>]) -> ErrorColumns<'a> {
    (
        errors
            .iter()
            .map(|error| error.map(|error| error.code.as_str()))
            .collect(),
        errors
            .iter()
            .map(|error| error.map(|error| error.message.as_str()))
            .collect(),
        errors
            .iter()
            .map(|error| error.and_then(|error| error.details.as_ref()))
            .collect(),
    )
}
