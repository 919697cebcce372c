//! How dead letters run again.

use chrono::{DateTime, Utc};
use reeve_ids::{TaskId, TenantId, Uuid};
use serde_json::Value as Json;
use sqlx::types::Json as Stored;
use sqlx::{FromRow, PgConnection};

use super::rows::{PlaceRow, ReadyRow};
use crate::Error;
use crate::domain::{Admission, Task, Usage};

/// A dead letter's outcome, for a redrive.
#[derive(Debug, FromRow)]
pub struct OutcomeRow {
    pub task_id: Uuid,
    pub tenant_id: Uuid,
    pub state: i16,
    pub version: i32,
    pub attempt: i32,
    pub fence: i64,
    pub agent_id: Option<Uuid>,
    pub attempt_end: Option<i16>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub error_details: Option<Json>,
    pub usage: Option<Stored<Vec<Usage>>>,
    pub assign_time: Option<DateTime<Utc>>,
    pub start_time: Option<DateTime<Utc>>,
    pub end_time: DateTime<Utc>,
    pub retry_rule: Option<i16>,
    pub capability_version: Option<String>,
}

/// Takes a dead letter's outcome away; nothing when the task is no dead letter.
///
/// # Errors
/// When the database refuses.
pub async fn remove_outcome(
    connection: &mut PgConnection,
    tenant: TenantId,
    task: TaskId,
) -> Result<Option<OutcomeRow>, Error> {
    let row = sqlx::query_as(include_str!("queries/task_outcome/remove.sql"))
        .bind(task.uuid())
        .bind(tenant.uuid())
        .fetch_optional(connection)
        .await?;
    Ok(row)
}

/// Makes a dead letter run again, with its last attempt kept.
///
/// # Errors
/// When the database refuses.
pub async fn revive(
    connection: &mut PgConnection,
    outcome: &OutcomeRow,
    task: &Task,
    now: DateTime<Utc>,
) -> Result<ReadyRow, Error> {
    if let Some(end) = outcome.attempt_end {
        sqlx::query(include_str!("queries/attempt/keep.sql"))
            .bind(outcome.task_id)
            .bind(outcome.attempt)
            .bind(outcome.tenant_id)
            .bind(outcome.fence)
            .bind(outcome.agent_id)
            .bind(end)
            .bind(&outcome.error_code)
            .bind(&outcome.error_message)
            .bind(&outcome.error_details)
            .bind(&outcome.usage)
            .bind(outcome.assign_time)
            .bind(outcome.start_time)
            .bind(outcome.end_time)
            .bind(outcome.state)
            .bind(&outcome.capability_version)
            .bind(outcome.retry_rule)
            .execute(&mut *connection)
            .await?;
    }
    let spec = &task.spec;
    let order_score = crate::domain::order_score(now, spec.priority);
    let admission = if spec.budget.is_some() {
        Admission::Awaiting
    } else {
        Admission::Free
    };
    sqlx::query(include_str!("queries/task_run/revive.sql"))
        .bind(outcome.task_id)
        .bind(outcome.tenant_id)
        .bind(spec.timeouts.heartbeat.map(|span| span.num_milliseconds()))
        .bind(
            spec.timeouts
                .start_to_close
                .map(|span| span.num_milliseconds()),
        )
        .bind(outcome.version + 1)
        .bind(outcome.attempt)
        .bind(outcome.fence)
        .bind(admission.number())
        .bind(order_score)
        .bind(now)
        .bind(spec.timeouts.schedule_to_start.map(|span| now + span))
        .bind(&spec.demand)
        .bind(spec.line())
        .bind(spec.line_weight())
        .bind(!spec.concurrency_keys.is_empty())
        .bind(
            spec.placement
                .avoid
                .iter()
                .map(|agent| agent.uuid())
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await?;
    Ok(ReadyRow {
        task_id: outcome.task_id,
        order_score,
        place: PlaceRow {
            tenant_id: outcome.tenant_id,
            queue: spec.queue.clone(),
            capability: spec.capability.clone(),
            demand: spec.demand.clone(),
            line: spec.line(),
            line_weight: spec.line_weight(),
        },
    })
}
