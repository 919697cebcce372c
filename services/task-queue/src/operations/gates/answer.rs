//! AnswerGate: a person says how a task goes on.

use reeve_auth::Caller;
use reeve_events::Actor;
use reeve_ids::{GateId, TaskId};
use reeve_status::Fault;

use super::{Leaving, lock};
use crate::core::Shared;
use crate::domain::{self, Answer, Gate, GateState, Task};
use crate::operations::{create::creator, events};
use crate::storage::{self, AnswerBy, GateRow};
use crate::{Error, Queue};

/// An answer that somebody gives.
#[derive(Debug)]
pub struct AnswerAsk {
    /// The task.
    pub task_id: TaskId,
    /// Its gate.
    pub gate_id: GateId,
    /// The answer.
    pub answer: Answer,
    /// Its digest.
    pub digest: Vec<u8>,
    /// The version that the task must have.
    pub etag: Option<i32>,
    /// The client's request id; empty for none.
    pub request_id: String,
    /// What the decision is about, as it was seen; may be empty.
    pub seen_digest: String,
}

/// Answers a gate, or finds that it was answered so before.
///
/// # Errors
/// NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT for what does not suit the gate,
/// FAILED_PRECONDITION when it is closed otherwise, ABORTED for a stale etag or digest.
pub async fn answer_gate(queue: &Queue, caller: &Caller, ask: &AnswerAsk) -> Result<Task, Fault> {
    let mut tries = 0;
    loop {
        tries += 1;
        match attempt(&queue.shared, caller, ask).await {
            Err(error) if error.is_conflict() && tries < 5 => {}
            Err(error) => return Err(error.into()),
            Ok(()) => return super::super::get(queue, caller.tenant(), ask.task_id).await,
        }
    }
}

async fn attempt(shared: &Shared, caller: &Caller, ask: &AnswerAsk) -> Result<(), Error> {
    let (tenant, by) = (caller.tenant(), creator(caller));
    let objection = |objection| Error::Objection {
        gate_id: ask.gate_id,
        objection,
    };
    Gate::may_answer(&by).map_err(objection)?;
    let mut tx = shared.database.tenant(tenant).await?;
    let run = lock(&mut tx, (tenant, ask.task_id)).await?;
    let found = storage::get_gate(&mut tx, tenant, ask.task_id, ask.gate_id).await?;
    let found = found.ok_or(Error::NoGate(ask.gate_id))?;
    if repeats(&found, ask, &by)? {
        return Ok(());
    }
    let gate = found.into_gate()?;
    let (GateState::Open, Some(row)) = (gate.state, run) else {
        return Err(Error::GateClosed {
            gate_id: gate.id,
            state: gate.state,
        });
    };
    if ask.etag.is_some_and(|version| version != row.version) {
        return Err(Error::EtagMismatch {
            task_id: ask.task_id,
            version: row.version,
        });
    }
    let now = shared.clock.now();
    let ruling = gate
        .rule(&by, &ask.answer, &ask.seen_digest, now)
        .map_err(objection)?;
    let answered = AnswerBy {
        answer: &ask.answer,
        digest: &ask.digest,
        request_id: &ask.request_id,
        by: &by,
    };
    storage::answer_gate(&mut tx, (tenant, gate.id), answered, now).await?;
    let actor = Actor::from(caller);
    let told = events::gate_answered(&row, &gate, &ask.answer.said, &actor, now);
    let leaving = Leaving {
        tx,
        row,
        gate: gate.id,
        told,
        ruling,
        result: ask.answer.result.clone(),
        comment: ask.answer.comment.clone(),
        actor,
    };
    leaving.leave(shared, now).await
}

/// Whether the gate was answered by this very answer before.
fn repeats(gate: &GateRow, ask: &AnswerAsk, by: &domain::Actor) -> Result<bool, Error> {
    let Some(digest) = &gate.answer_digest else {
        return Ok(false);
    };
    let same = *digest == ask.digest;
    let named = !ask.request_id.is_empty() && gate.request_id.as_ref() == Some(&ask.request_id);
    if named && !same {
        let request_id = ask.request_id.clone();
        return Err(Error::RequestIdReused { request_id });
    }
    let own = gate.answerer_subject.as_ref() == Some(&by.subject);
    Ok(same && (named || own))
}
