//! Gates: what people see of them, and how tasks leave them.

mod answer;
mod expire;
mod list;
mod refusal;

use chrono::{DateTime, Utc};
use reeve_events::{Actor, NewEvent};
use reeve_ids::{AgentId, GateId, TaskId, TenantId};
use serde_json::Value as Json;

use super::settling::{self, AtGate, Decision, Passage};
use crate::Error;
use crate::core::Shared;
use crate::dispatch::ReadyTask;
use crate::domain::{Admission, Cause, Ruling, State};
use crate::storage::{self, LockedRow, ReadyRow};

pub use answer::{AnswerAsk, answer_gate};
pub use expire::expire;
pub use list::list_gates;
pub use refusal::closed;

/// A task that leaves its gate. The run is locked, and the gate is closed already.
struct Leaving {
    tx: reeve_postgres::Tx,
    row: LockedRow,
    gate: GateId,
    /// That the gate closed.
    told: NewEvent,
    ruling: Ruling,
    /// What came of the task, if a person says that it is done.
    result: Option<Json>,
    comment: String,
    actor: Actor,
}

impl Leaving {
    /// Writes what becomes of the task, and makes it known after the commit.
    async fn leave(self, shared: &Shared, now: DateTime<Utc>) -> Result<(), Error> {
        let cause = Cause::Pass(self.ruling.clone());
        let settled = settling::decide(&self.row, cause, now)?;
        if settled.state == State::Pending {
            return self.go_on(shared, now).await;
        }
        let Self {
            mut tx,
            row,
            gate,
            told,
            result,
            comment,
            actor,
            ..
        } = self;
        let cancel_reason = (settled.state == State::Cancelled).then(|| comment.clone());
        let passage = Passage {
            id: gate,
            result,
            comment,
        };
        let decision = Decision {
            row,
            settled,
            usage: None,
            artifacts: Vec::new(),
            cancel_reason,
            actor,
            gate: AtGate::Passed(passage),
        };
        let mut effects = settling::write(&mut tx, vec![decision], now).await?;
        effects.events.insert(0, told);
        shared
            .append(&mut tx, std::mem::take(&mut effects.events))
            .await?;
        tx.commit().await?;
        shared.follow(effects, now);
        Ok(())
    }

    /// The task is offered again. A crash after the commit delays it until the comparison of the ready
    /// queues finds it.
    async fn go_on(self, shared: &Shared, now: DateTime<Utc>) -> Result<(), Error> {
        let Self {
            mut tx, row, told, ..
        } = self;
        let wait = row.facts.details.timeouts().schedule_to_start;
        storage::pass(&mut tx, &row, wait.map(|span| now + span), now).await?;
        shared.append(&mut tx, vec![told]).await?;
        tx.commit().await?;
        shared.wake.notify();
        if Admission::from_number(row.admission).is_some_and(Admission::lets_run) {
            shared.dispatch.announce(vec![ready(row, now)]);
        }
        // Also what has outwaited its hold behind the gate.
        shared.admission.notify_one();
        Ok(())
    }
}

fn ready(row: LockedRow, now: DateTime<Utc>) -> ReadyTask {
    let shunned = row.rejected_by.into_iter();
    let shunned = shunned.map(AgentId::from_uuid).collect();
    let row = ReadyRow {
        task_id: row.task_id,
        order_score: row.order_score,
        place: row.place,
    };
    ReadyTask {
        shunned,
        ..ReadyTask::from_row(&row, now)
    }
}

/// A task's run, locked; nothing when the task is over.
async fn lock(
    tx: &mut reeve_postgres::Tx,
    task: (TenantId, TaskId),
) -> Result<Option<LockedRow>, Error> {
    Ok(storage::lock(tx, &[task]).await?.into_iter().next())
}

/// A gate whose time seems to be over.
#[derive(Debug, Clone, Copy)]
pub struct Late {
    /// The task.
    pub task: (TenantId, TaskId),
    /// Before when its gate must have expired.
    pub limit: DateTime<Utc>,
}
