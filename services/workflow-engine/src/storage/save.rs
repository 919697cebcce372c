//! Applying a transition's writes: everything in the caller's transaction.

use reeve_ids::TenantId;
use serde_json::{Value, json};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::Error;
use super::rows::{StepJson, StoppingJson, Stored, Tip};
use crate::domain::canonical::hex;
use crate::domain::event::Actor;
use crate::domain::plan::Plan;
use crate::domain::run::Run;
use crate::domain::state::ApprovalState;
use crate::domain::writes::{ApprovalWrite, Command, NewApproval, Writes};

/// Writes a new execution with all its steps and what starting it brought.
///
/// # Errors
/// When the database refuses; a unique violation when another call used the request_id meanwhile.
pub async fn create(
    connection: &mut PgConnection,
    plan: &Plan,
    stored: &mut Stored,
    request_id: &str,
    writes: &Writes,
    actor: &Actor,
) -> Result<(), Error> {
    let chain = extend(&mut stored.tip, &stored.run, writes);
    insert(connection, stored, request_id).await?;
    let all: Vec<_> = (0..plan.steps().len()).collect();
    steps(connection, plan, &stored.run, &all).await?;
    rest(connection, plan, &stored.run, writes, chain, actor).await
}

/// Writes what a transition changed of a locked execution.
///
/// # Errors
/// When the database refuses.
pub async fn update(
    connection: &mut PgConnection,
    plan: &Plan,
    stored: &mut Stored,
    writes: &Writes,
    actor: &Actor,
) -> Result<(), Error> {
    let chain = extend(&mut stored.tip, &stored.run, writes);
    let run = &stored.run;
    sqlx::query(include_str!("queries/execution/update.sql"))
        .bind(run.tenant.uuid())
        .bind(run.id.uuid())
        .bind(run.state.as_str())
        .bind(stopping(run))
        .bind(&run.output)
        .bind(run.error.as_ref().map(Json))
        .bind(stored.tip.sequence)
        .bind(stored.tip.hash.as_slice())
        .bind(run.start_time)
        .bind(run.end_time)
        .bind(run.deadline_time)
        .bind(run.update_time)
        .execute(&mut *connection)
        .await?;
    let changed: Vec<_> = writes.steps.iter().copied().collect();
    steps(connection, plan, run, &changed).await?;
    rest(connection, plan, run, writes, chain, actor).await
}

async fn rest(
    connection: &mut PgConnection,
    plan: &Plan,
    run: &Run,
    writes: &Writes,
    chain: Vec<Value>,
    actor: &Actor,
) -> Result<(), Error> {
    let scoped = Scope {
        tenant: run.tenant,
        run,
    };
    scoped
        .unpack(
            connection,
            include_str!("queries/history/insert.sql"),
            chain,
        )
        .await?;
    timers(connection, plan, &scoped, writes).await?;
    commands(connection, plan, run, writes).await?;
    for write in &writes.approvals {
        match write {
            ApprovalWrite::Open(approval) => open(connection, plan, run, approval).await?,
            ApprovalWrite::Close { id, state, comment } => {
                // Nobody decided one that expired or went with its execution.
                let decided = matches!(state, ApprovalState::Approved | ApprovalState::Rejected);
                let by = Some(actor).filter(|_| decided);
                sqlx::query(include_str!("queries/approval/close.sql"))
                    .bind(run.tenant.uuid())
                    .bind(id.uuid())
                    .bind(state.as_str())
                    .bind(by.map_or("", |by| by.subject.as_str()))
                    .bind(by.map_or("", |by| by.display_name.as_str()))
                    .bind(comment)
                    .bind(run.update_time)
                    .execute(&mut *connection)
                    .await?;
            }
        }
    }
    Ok(())
}

/// A statement that unpacks a list of JSON objects into rows of one execution.
struct Scope<'a> {
    tenant: TenantId,
    run: &'a Run,
}

impl Scope<'_> {
    async fn unpack(
        &self,
        connection: &mut PgConnection,
        query: &'static str,
        rows: Vec<Value>,
    ) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query(query)
            .bind(self.tenant.uuid())
            .bind(self.run.id.uuid())
            .bind(Value::Array(rows))
            .execute(connection)
            .await?;
        Ok(())
    }
}

async fn insert(
    connection: &mut PgConnection,
    stored: &Stored,
    request_id: &str,
) -> Result<(), Error> {
    let run = &stored.run;
    sqlx::query(include_str!("queries/execution/insert.sql"))
        .bind(run.id.uuid())
        .bind(run.tenant.uuid())
        .bind(run.workflow_id.uuid())
        .bind(run.version)
        .bind(&stored.workflow_name)
        .bind(run.state.as_str())
        .bind(stopping(run))
        .bind(&run.input)
        .bind(&run.context)
        .bind(Json(&run.labels))
        .bind(&run.initiated_by)
        .bind(run.project_id.map(reeve_ids::ProjectId::uuid))
        .bind(run.budget_id.map(reeve_ids::BudgetId::uuid))
        .bind(run.priority.as_str())
        .bind(&run.traceparent)
        .bind(&run.output)
        .bind(run.error.as_ref().map(Json))
        .bind(Some(request_id).filter(|request_id| !request_id.is_empty()))
        .bind(stored.request_digest.as_slice())
        .bind(stored.tip.sequence)
        .bind(stored.tip.hash.as_slice())
        .bind(run.create_time)
        .bind(run.start_time)
        .bind(run.end_time)
        .bind(run.deadline_time)
        .bind(run.update_time)
        .execute(connection)
        .await?;
    Ok(())
}

fn stopping(run: &Run) -> Option<Json<StoppingJson>> {
    let stopping = run.stopping.clone()?;
    Some(Json(StoppingJson {
        target: stopping.target,
        error: stopping.error,
    }))
}

async fn steps(
    connection: &mut PgConnection,
    plan: &Plan,
    run: &Run,
    indexes: &[usize],
) -> Result<(), Error> {
    let rows = indexes.iter().map(|index| {
        let step = &run.steps[*index];
        let row = StepJson {
            step_id: &plan.steps()[*index].id,
            position: *index,
            state: step.state.as_str(),
            attempt: step.attempt,
            agent_id: &step.agent_id,
            produced_by: &step.produced_by,
            error: step.error.as_ref(),
            note: &step.note,
            output: step.output.as_ref(),
            approval_id: step.approval_id.map(reeve_ids::ApprovalId::uuid),
            approved_digest: step.approved_digest.as_deref(),
            start_time: step.start_time,
            end_time: step.end_time,
            retry_time: step.retry_time,
        };
        serde_json::to_value(row).expect("a row is plain data")
    });
    let rows = rows.collect();
    let scope = Scope {
        tenant: run.tenant,
        run,
    };
    scope
        .unpack(
            connection,
            include_str!("queries/step_run/upsert.sql"),
            rows,
        )
        .await
}

/// Chains the transition's entries behind the tip, and moves it.
fn extend(tip: &mut Tip, run: &Run, writes: &Writes) -> Vec<Value> {
    let rows = writes.entries.iter().map(|entry| {
        let previous = tip.hash;
        tip.sequence += 1;
        tip.hash = entry.hash(run.id, tip.sequence, &previous);
        json!({
            "sequence": tip.sequence, "type": entry.kind.as_str(), "step_id": entry.step_id,
            "attempt": entry.attempt, "actor_kind": entry.actor.kind.as_str(),
            "actor_subject": entry.actor.subject, "actor_name": entry.actor.display_name,
            "data": entry.data, "occur_time": entry.time,
            "previous_hash": hex(&previous), "hash": hex(&tip.hash),
        })
    });
    rows.collect()
}

async fn timers(
    connection: &mut PgConnection,
    plan: &Plan,
    scope: &Scope<'_>,
    writes: &Writes,
) -> Result<(), Error> {
    let step_id = |step: Option<usize>| step.map_or("", |index| plan.steps()[index].id.as_str());
    let mut set = Vec::new();
    let mut cleared = Vec::new();
    for (key, timer) in &writes.timers {
        let (step_id, kind) = (step_id(key.step), key.kind.as_str());
        match timer {
            Some(timer) => set.push(json!({
                "step_id": step_id, "kind": kind, "attempt": timer.attempt,
                "fire_time": timer.fire_time,
            })),
            None => cleared.push(json!({"step_id": step_id, "kind": kind})),
        }
    }
    scope
        .unpack(connection, include_str!("queries/timer/clear.sql"), cleared)
        .await?;
    scope
        .unpack(connection, include_str!("queries/timer/set.sql"), set)
        .await
}

async fn commands(
    connection: &mut PgConnection,
    plan: &Plan,
    run: &Run,
    writes: &Writes,
) -> Result<(), Error> {
    if writes.commands.is_empty() {
        return Ok(());
    }
    let rows = writes.commands.iter().map(|command| match command {
        Command::CreateTask {
            step,
            attempt,
            order,
        } => json!({
            "step_id": plan.steps()[*step].id, "attempt": attempt, "kind": "CREATE_TASK",
            "body": order,
        }),
        Command::CancelTask {
            step,
            attempt,
            reason,
        } => json!({
            "step_id": plan.steps()[*step].id, "attempt": attempt, "kind": "CANCEL_TASK",
            "body": {"reason": reason},
        }),
    });
    sqlx::query(include_str!("queries/command/insert.sql"))
        .bind(run.tenant.uuid())
        .bind(run.id.uuid())
        .bind(Value::Array(rows.collect()))
        .bind(run.update_time)
        .execute(connection)
        .await?;
    Ok(())
}

async fn open(
    connection: &mut PgConnection,
    plan: &Plan,
    run: &Run,
    approval: &NewApproval,
) -> Result<(), Error> {
    sqlx::query(include_str!("queries/approval/insert.sql"))
        .bind(approval.id.uuid())
        .bind(run.tenant.uuid())
        .bind(run.id.uuid())
        .bind(&plan.steps()[approval.step].id)
        .bind(&approval.title)
        .bind(&approval.description)
        .bind(&approval.subject)
        .bind(&approval.digest)
        .bind(&approval.producers)
        .bind(approval.forbid_initiator)
        .bind(approval.allow_agents)
        .bind(run.update_time)
        .bind(approval.expire_time)
        .execute(connection)
        .await?;
    Ok(())
}
