//! Executions and their steps.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use reeve_ids::{ExecutionId, TaskId, TenantId, Uuid, WorkflowId};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::Error;
use super::rows::{ExecutionRow, Listed, ListedRow, Standing, StandingRow, StepRow, Stored};
use crate::domain::run::StepRun;

/// One execution with its steps but not their outputs, locked until the transaction ends.
///
/// # Errors
/// When the database refuses or a row is corrupt.
pub async fn lock(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: ExecutionId,
) -> Result<Option<Stored>, Error> {
    read(
        connection,
        tenant,
        id,
        include_str!("queries/execution/lock.sql"),
    )
    .await
}

/// One execution with its steps but not their outputs.
///
/// # Errors
/// When the database refuses or a row is corrupt.
pub async fn get(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: ExecutionId,
) -> Result<Option<Stored>, Error> {
    read(
        connection,
        tenant,
        id,
        include_str!("queries/execution/get.sql"),
    )
    .await
}

/// One execution with its steps, locked until the transaction ends, without anything that users put
/// into it: to end one whose payloads cannot be read.
///
/// # Errors
/// When the database refuses or a row is corrupt.
pub async fn lock_bare(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: ExecutionId,
) -> Result<Option<Stored>, Error> {
    let row: Option<ExecutionRow> = sqlx::query_as(include_str!("queries/execution/lock_bare.sql"))
        .bind(tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let steps: Vec<StepRow> = sqlx::query_as(include_str!("queries/step_run/list_bare.sql"))
        .bind(tenant.uuid())
        .bind(id.uuid())
        .fetch_all(connection)
        .await?;
    let steps = steps.into_iter().map(StepRun::try_from);
    Ok(Some(row.with_steps(steps.collect::<Result<_, _>>()?)?))
}

async fn read(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: ExecutionId,
    query: &'static str,
) -> Result<Option<Stored>, Error> {
    let row: Option<ExecutionRow> = sqlx::query_as(query)
        .bind(tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let steps = steps(connection, tenant, id).await?;
    Ok(Some(row.with_steps(steps)?))
}

async fn steps(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: ExecutionId,
) -> Result<Vec<StepRun>, Error> {
    let rows: Vec<StepRow> = sqlx::query_as(include_str!("queries/step_run/list.sql"))
        .bind(tenant.uuid())
        .bind(id.uuid())
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(StepRun::try_from)
        .collect::<Result<_, _>>()?)
}

/// Reads the outputs of some of an execution's steps, by their places; where there is a bound, the
/// first that together stay within so many bytes.
///
/// # Errors
/// When the database refuses.
pub async fn read_outputs(
    connection: &mut PgConnection,
    stored: &mut Stored,
    places: &[usize],
    bound: Option<i64>,
) -> Result<(), Error> {
    let wanted = places.iter().filter_map(|place| i32::try_from(*place).ok());
    let wanted: Vec<_> = wanted.collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let query = match bound {
        Some(_) => include_str!("queries/step_run/outputs_within.sql"),
        None => include_str!("queries/step_run/outputs.sql"),
    };
    let mut query = sqlx::query_as::<_, (i32, Value)>(query)
        .bind(stored.run.tenant.uuid())
        .bind(stored.run.id.uuid())
        .bind(wanted);
    if let Some(bound) = bound {
        query = query.bind(bound);
    }
    let outputs = query.fetch_all(connection).await?;
    for (place, output) in outputs {
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        if let Some(step) = stored.run.steps.get_mut(place) {
            step.output = Some(output);
        }
    }
    Ok(())
}

/// The execution that a request_id started, with its steps.
///
/// # Errors
/// When the database refuses or a row is corrupt.
pub async fn by_request(
    connection: &mut PgConnection,
    tenant: TenantId,
    request_id: &str,
) -> Result<Option<Stored>, Error> {
    let row: Option<ExecutionRow> =
        sqlx::query_as(include_str!("queries/execution/get_by_request.sql"))
            .bind(tenant.uuid())
            .bind(request_id)
            .fetch_optional(&mut *connection)
            .await?;
    let Some(row) = row else { return Ok(None) };
    let mut stored = row.with_steps(Vec::new())?;
    stored.run.steps = steps(connection, tenant, stored.run.id).await?;
    Ok(Some(stored))
}

/// Which executions to list.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Filter {
    /// Only these states; empty means all.
    pub states: Vec<String>,
    /// Only of this workflow.
    pub workflow_id: Option<WorkflowId>,
    /// Only with all of these labels.
    pub labels: BTreeMap<String, String>,
}

/// A page of executions without steps and payloads, newest first, before an id.
///
/// # Errors
/// When the database refuses or a row is corrupt.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    filter: &Filter,
    before: Option<ExecutionId>,
    limit: i64,
) -> Result<Vec<Listed>, Error> {
    let rows: Vec<ListedRow> = sqlx::query_as(include_str!("queries/execution/list.sql"))
        .bind(tenant.uuid())
        .bind(&filter.states)
        .bind(filter.workflow_id.map(WorkflowId::uuid))
        .bind(Json(&filter.labels))
        .bind(before.map(ExecutionId::uuid))
        .bind(limit)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(Listed::try_from)
        .collect::<Result<_, _>>()?)
}

/// Where one execution stands, in figures.
///
/// # Errors
/// When the database refuses or the row is corrupt.
pub async fn standing(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: ExecutionId,
) -> Result<Option<Standing>, Error> {
    let row: Option<StandingRow> = sqlx::query_as(include_str!("queries/execution/standing.sql"))
        .bind(tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| row.of(id)).transpose()?)
}

/// The newest attempts' tasks by step, and since when task-queue has them.
///
/// # Errors
/// When the database refuses.
pub async fn tasks_of(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: ExecutionId,
) -> Result<BTreeMap<String, (TaskId, DateTime<Utc>)>, Error> {
    let rows: Vec<(String, Uuid, DateTime<Utc>)> =
        sqlx::query_as(include_str!("queries/dispatch/tasks_of.sql"))
            .bind(tenant.uuid())
            .bind(id.uuid())
            .fetch_all(connection)
            .await?;
    let tasks = rows
        .into_iter()
        .map(|(step, task, since)| (step, (TaskId::from_uuid(task), since)));
    Ok(tasks.collect())
}

/// Median duration in seconds of the workflow's last completed executions.
///
/// # Errors
/// When the database refuses.
pub async fn median_duration(
    connection: &mut PgConnection,
    tenant: TenantId,
    workflow: WorkflowId,
) -> Result<Option<f64>, Error> {
    let median = sqlx::query_scalar(include_str!("queries/execution/median_duration.sql"))
        .bind(tenant.uuid())
        .bind(workflow.uuid())
        .fetch_one(connection)
        .await?;
    Ok(median)
}
