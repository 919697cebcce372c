//! Writing what the domain decided about locked runs, and what follows from it.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use reeve_events::{Actor, NewEvent};
use reeve_ids::{AgentId, GateId, TaskId, TenantId, Uuid};
use reeve_redis::Charge;
use serde_json::Value as Json;
use sqlx::PgConnection;

use super::{events, release};
use crate::dispatch::{Place, ReadyTask, charge};
use crate::domain::{
    Admission, Artifact, AttemptEnd, Cause, DelegationOutcome, Follows, GateAsk, LeaseToken,
    Settled, State, Usage, order_score, settle,
};
use crate::storage::delegations::Closing;
use crate::storage::{self, Dependent, Ending, LockedRow, Made, NewGate, Requeue, Unblocked};
use crate::{Error, NAME};

/// What was decided about one locked run.
#[derive(Debug)]
pub struct Decision {
    /// The run.
    pub row: LockedRow,
    /// What becomes of it.
    pub settled: Settled,
    /// What the attempt consumed, as its end reports it.
    pub usage: Option<Vec<Usage>>,
    /// What the attempt made.
    pub artifacts: Vec<Artifact>,
    /// Why it is cancelled, if it is.
    pub cancel_reason: Option<String>,
    /// Who caused it.
    pub actor: Actor,
    /// What else belongs to it, where a gate opens or was answered.
    pub gate: AtGate,
}

/// What a decision has to do with gates.
#[derive(Debug, Default)]
pub enum AtGate {
    /// Nothing, or a gate that the server opens by itself.
    #[default]
    Nothing,
    /// The holder suspends the task.
    Suspended(Suspension),
    /// A gate was answered, or has expired, which ended the task.
    Passed(Passage),
}

/// A gate that a holder opens.
#[derive(Debug, Clone)]
pub struct Suspension {
    /// Its id.
    pub id: GateId,
    /// What it asks.
    pub ask: GateAsk,
    /// What the next attempt needs; nothing: what was left before.
    pub checkpoint: Option<Json>,
    /// How large the request was.
    pub bytes: usize,
}

/// A gate that a task leaves for its end.
#[derive(Debug)]
pub struct Passage {
    /// The gate.
    pub id: GateId,
    /// What came of the task, if a person says that it is done.
    pub result: Option<Json>,
    /// What the person says about it.
    pub comment: String,
}

/// What is to be done after the commit, and with it.
#[derive(Debug, Default)]
pub struct Effects {
    /// To be written in the same transaction.
    pub events: Vec<NewEvent>,
    /// To be announced.
    pub ready: Vec<ReadyTask>,
    /// To be taken out of the ready queues: they ended while they waited.
    pub gone: Vec<(Place, TaskId)>,
    /// Work that counts for lines that take turns.
    pub charges: Vec<Charge>,
    /// Of whose dependencies one more is met.
    pub unblocked: Vec<Unblocked>,
    /// Tasks that ended, for those who wait for them.
    pub ended: Vec<TaskId>,
    /// Whether a budget has to be asked.
    pub unadmitted: bool,
    /// Agents that lost a task to a cancellation or a lapse.
    pub bereft: Vec<(TenantId, Uuid)>,
}

impl Effects {
    fn add(&mut self, more: Self) {
        self.events.extend(more.events);
        self.ready.extend(more.ready);
        self.gone.extend(more.gone);
        self.charges.extend(more.charges);
        self.unblocked.extend(more.unblocked);
        self.unadmitted |= more.unadmitted;
        self.bereft.extend(more.bereft);
    }
}

/// Writes decisions, and what follows for the tasks that waited for one that ended otherwise than hoped.
///
/// # Errors
/// When the database refuses, or a row is corrupt.
pub async fn write(
    connection: &mut PgConnection,
    decisions: Vec<Decision>,
    now: DateTime<Utc>,
) -> Result<Effects, Error> {
    let mut effects = Effects::default();
    let mut wave = decisions;
    while !wave.is_empty() {
        write_wave(connection, &wave, now, &mut effects).await?;
        close_gates(connection, &wave, now).await?;
        let done = wave
            .iter()
            .filter(|one| one.settled.state == State::Completed);
        let done: Vec<_> = done.map(Decision::task).collect();
        let unblocked = release::after_completion(connection, &done, now).await?;
        effects.unblocked.extend(unblocked);
        let ended = wave
            .iter()
            .filter(|one| one.settled.state.is_ended() && one.settled.state != State::Completed);
        let ended: Ended = ended
            .map(|decision| (decision.task(), (decision.settled.state, false)))
            .collect();
        wave = followers(connection, &ended, now, &mut effects).await?;
    }
    Ok(effects)
}

/// Writes what follows for those that wait for dead letters which were discarded.
///
/// # Errors
/// When the database refuses, or a row is corrupt.
pub async fn after_discard(
    connection: &mut PgConnection,
    discarded: &[(TenantId, TaskId)],
    now: DateTime<Utc>,
) -> Result<Effects, Error> {
    let mut effects = Effects::default();
    let of = |task: &(TenantId, TaskId)| (*task, (State::Failed, true));
    let ended = discarded.iter().map(of).collect();
    let orphans = followers(connection, &ended, now, &mut effects).await?;
    let more = write(connection, orphans, now).await?;
    effects.add(more);
    Ok(effects)
}

async fn write_wave(
    connection: &mut PgConnection,
    decisions: &[Decision],
    now: DateTime<Utc>,
    effects: &mut Effects,
) -> Result<(), Error> {
    let silent = decisions.iter().filter(|decision| decision.says_nothing());
    let silent: Vec<_> = silent.map(|decision| &decision.row).collect();
    let reported = storage::progress_usage(connection, &silent).await?;
    let mut requeues = Vec::new();
    let mut endings = Vec::new();
    for decision in decisions {
        let usage = decision.all_usage(&reported);
        if decision.settled.state == State::Pending {
            requeues.push(decision.requeue(usage, now)?);
        } else {
            endings.push(decision.ending(usage));
        }
        let reason = decision.cancel_reason();
        let Decision {
            row,
            settled,
            actor,
            ..
        } = decision;
        effects
            .events
            .push(events::settled(row, settled, usage, reason, actor, now));
        if decision.settled.state.is_ended() {
            effects.ended.push(decision.task().1);
        }
        if decision.settled.state.is_ended() && row.state == State::Pending.number() {
            effects
                .gone
                .push((Place::from(&row.place), decision.task().1));
        }
        let is_held = row.lease_until.is_some() && !row.offered;
        let held_since = row.assign_time.filter(|_| is_held);
        effects.charges.extend(charge(&row.place, held_since, now));
        if let Some(agent) = row.agent_id.filter(|_| row.lease_until.is_some()) {
            effects
                .bereft
                .push((TenantId::from_uuid(row.tenant_id), agent));
        }
    }
    let made: Vec<_> = decisions.iter().map(Decision::made).collect();
    storage::insert_artifacts(connection, &made, now).await?;
    storage::requeue(connection, &requeues, now).await?;
    storage::end(connection, &endings, now).await?;
    open_gates(connection, decisions, now, effects).await?;
    let closings: Vec<_> = decisions.iter().filter_map(Decision::closing).collect();
    storage::delegations::close(connection, &closings, now).await?;
    for requeue in &requeues {
        if requeue.settled.gate.is_some() {
            continue;
        }
        if requeue.admission.lets_run() {
            effects.ready.push(requeue.ready_task(now));
        } else {
            effects.unadmitted = true;
        }
    }
    Ok(())
}

/// Writes the gates that open, with the checkpoints that holders leave.
async fn open_gates(
    connection: &mut PgConnection,
    decisions: &[Decision],
    now: DateTime<Utc>,
    effects: &mut Effects,
) -> Result<(), Error> {
    let asks = decisions.iter().filter_map(|one| Some((one, one.opens()?)));
    let asks: Vec<_> = asks.collect();
    let mut gates = Vec::with_capacity(asks.len());
    let mut checkpoints = Vec::new();
    for (decision, (id, ask)) in &asks {
        let Decision { row, actor, .. } = decision;
        effects
            .events
            .push(events::gate_opened(row, (*id, ask), actor, now));
        gates.push(NewGate {
            id: *id,
            row,
            ask,
            opener: actor,
        });
        if let AtGate::Suspended(Suspension {
            checkpoint: Some(checkpoint),
            ..
        }) = &decision.gate
        {
            let (tenant, task_id) = decision.task();
            let fence = row.fence;
            checkpoints.push((tenant, LeaseToken { task_id, fence }, checkpoint));
        }
    }
    storage::insert_gates(connection, &gates, now).await?;
    storage::put_checkpoints(connection, &checkpoints, now).await
}

/// Closes the gates of tasks that ended behind them, but not by an answer.
async fn close_gates(
    connection: &mut PgConnection,
    decisions: &[Decision],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let left = decisions
        .iter()
        .filter(|one| one.row.gate != 0 && matches!(one.gate, AtGate::Nothing));
    let left: Vec<_> = left.map(Decision::task).collect();
    storage::cancel_gates(connection, &left, now).await
}

/// Tasks that have ended, how, and whether they were discarded.
type Ended = HashMap<(TenantId, TaskId), (State, bool)>;

/// What follows for tasks that waited for some that ended and did not complete: some go on, some wait,
/// and some are to be cancelled.
async fn followers(
    connection: &mut PgConnection,
    ended: &Ended,
    now: DateTime<Utc>,
    effects: &mut Effects,
) -> Result<Vec<Decision>, Error> {
    if ended.is_empty() {
        return Ok(Vec::new());
    }
    let tasks: Vec<_> = ended.keys().copied().collect();
    let dependents = storage::dependents(connection, &tasks).await?;
    if dependents.is_empty() {
        return Ok(Vec::new());
    }
    let mut waiting: Vec<_> = dependents.iter().map(Dependent::id).collect();
    waiting.sort_unstable();
    waiting.dedup();
    let mut rows = storage::lock(connection, &waiting).await?;
    rows.retain(|row| row.state == State::Pending.number() && row.blocked_by > 0);
    let policies: HashMap<_, _> = rows
        .iter()
        .map(|row| (row.id(), row.facts.details.dependency_policy()))
        .collect();
    let follows = |one: &Dependent| {
        let (state, discarded) = ended.get(&(one.tenant_id, one.depends_on))?;
        Some(policies.get(&one.id())?.follows(*state, *discarded))
    };
    let of = |what| {
        let chosen = dependents
            .iter()
            .filter(move |one| follows(one) == Some(what));
        chosen.copied().collect::<Vec<_>>()
    };
    let (met, cancelled) = (of(Follows::Met), of(Follows::Cancelled));
    let cancelled: HashSet<_> = cancelled.iter().map(Dependent::id).collect();
    go_on(connection, &met, now, effects).await?;
    rows.into_iter()
        .filter(|row| cancelled.contains(&row.id()))
        .map(|row| {
            let settled = decide(&row, Cause::Cancel, now)?;
            Ok(Decision {
                row,
                settled,
                usage: None,
                artifacts: Vec::new(),
                cancel_reason: Some("DEPENDENCY_FAILED".to_owned()),
                actor: Actor::service(NAME),
                gate: AtGate::Nothing,
            })
        })
        .collect()
}

/// Dependencies that count as met though they did not complete. A redrive changes nothing about that.
async fn go_on(
    connection: &mut PgConnection,
    met: &[Dependent],
    now: DateTime<Utc>,
    effects: &mut Effects,
) -> Result<(), Error> {
    if met.is_empty() {
        return Ok(());
    }
    storage::release(connection, met).await?;
    let tasks: Vec<_> = met.iter().map(Dependent::id).collect();
    effects
        .unblocked
        .extend(storage::unblock(connection, &tasks, now).await?);
    Ok(())
}

/// Asks the domain, with fresh randomness for a backoff.
///
/// # Errors
/// When the lifecycle forbids it, or the row is corrupt.
pub fn decide(row: &LockedRow, cause: Cause, now: DateTime<Utc>) -> Result<Settled, Error> {
    let seed = rand::random_range(0.0..1.0);
    settle(&row.standing()?, cause, now, seed)
        .map_err(|forbidden| Error::forbidden(TaskId::from_uuid(row.task_id), forbidden))
}

impl Decision {
    fn task(&self) -> (TenantId, TaskId) {
        self.row.id()
    }

    fn made(&self) -> Made<'_> {
        let (tenant_id, task_id) = self.task();
        Made {
            tenant_id,
            task_id,
            attempt: self.row.attempt,
            artifacts: &self.artifacts,
        }
    }

    /// The gate that opens, if one does.
    fn opens(&self) -> Option<(GateId, GateAsk)> {
        let kind = self.settled.gate?;
        Some(match &self.gate {
            AtGate::Suspended(suspension) => (suspension.id, suspension.ask.clone()),
            _ => (GateId::new(), GateAsk::by_server(kind)),
        })
    }

    fn ending<'a>(&'a self, usage: Option<&'a Vec<Usage>>) -> Ending<'a> {
        let passage = match &self.gate {
            AtGate::Passed(passage) => Some(passage),
            _ => None,
        };
        let done = self.settled.state == State::Completed;
        Ending {
            row: &self.row,
            settled: &self.settled,
            usage,
            cancel_reason: self.cancel_reason(),
            gate: passage.map(|passage| passage.id),
            result: passage
                .filter(|_| done)
                .map(|passage| (passage.result.as_ref(), passage.comment.as_str())),
        }
    }

    /// What became of the delegation under which its agent has it, or was to have it.
    fn closing(&self) -> Option<Closing> {
        let outcome = match self.settled.state {
            State::Cancelled if self.row.offered => DelegationOutcome::Cancelled,
            _ if self.row.offered => DelegationOutcome::Expired,
            _ if self.settled.end == Some(AttemptEnd::Rejected) => DelegationOutcome::Rejected,
            _ => return None,
        };
        Some(Closing {
            id: self.row.delegation_id?,
            tenant_id: self.row.tenant_id,
            outcome,
        })
    }

    /// Whether an attempt ends without a word on what it consumed.
    fn says_nothing(&self) -> bool {
        self.settled.end.is_some() && self.usage.is_none()
    }

    /// What the attempt consumed: what its end says, else what progress said.
    fn all_usage<'a>(&'a self, reported: &'a HashMap<Uuid, Vec<Usage>>) -> Option<&'a Vec<Usage>> {
        let own = self.usage.as_ref();
        own.or_else(|| reported.get(&self.row.task_id))
            .filter(|usage| !usage.is_empty() && self.settled.end.is_some())
    }

    fn cancel_reason(&self) -> Option<&str> {
        let asked = self.row.cancel_reason.as_deref();
        self.cancel_reason
            .as_deref()
            .or(asked)
            .filter(|_| self.settled.state == State::Cancelled)
    }

    fn requeue<'a>(
        &'a self,
        usage: Option<&'a Vec<Usage>>,
        now: DateTime<Utc>,
    ) -> Result<Requeue<'a>, Error> {
        let Self { row, settled, .. } = self;
        let ready = settled.ready_time.unwrap_or(now);
        let priority = storage::priority(row.task_id, row.priority)?;
        let wait = row.facts.details.timeouts().schedule_to_start;
        let spent = matches!(settled.end, Some(AttemptEnd::Failed | AttemptEnd::Timeout));
        let admission = match Admission::from_number(row.admission) {
            // finance ends the hold of an attempt that failed, or after which a gate opened; the next
            // one needs its own.
            Some(Admission::Held) if spent || settled.gate.is_some() => Admission::Awaiting,
            Some(admission) => admission,
            None => Admission::Free,
        };
        Ok(Requeue {
            row,
            settled,
            // A task that comes back through no fault of its own keeps its place.
            order_score: if spent {
                order_score(ready, priority)
            } else {
                row.order_score
            },
            admission,
            start_deadline: wait
                .filter(|_| settled.gate.is_none())
                .map(|span| ready + span),
            gate_deadline: match &self.gate {
                AtGate::Suspended(suspension) => NewGate::expire_time(&suspension.ask, now),
                _ => None,
            },
            rejected: settled.end == Some(AttemptEnd::Rejected),
            failed: row.facts.details.avoids_failed()
                && (spent || settled.end == Some(AttemptEnd::LeaseLost)),
            usage,
        })
    }
}

impl Requeue<'_> {
    fn ready_task(&self, now: DateTime<Utc>) -> ReadyTask {
        let row = self.row;
        let rejected = row.agent_id.filter(|_| self.rejected);
        let shunned = row.rejected_by.iter().copied().chain(rejected);
        ReadyTask {
            place: Place::from(&row.place),
            id: TaskId::from_uuid(row.task_id),
            score: self.order_score,
            ready_time: self.settled.ready_time.unwrap_or(now),
            shunned: shunned.map(AgentId::from_uuid).collect(),
        }
    }
}
