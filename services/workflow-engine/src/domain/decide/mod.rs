//! `decide(plan, run, event) -> writes`: one event applied to one execution.
//!
//! Applying an event twice changes nothing the second time: every branch compares the step's state
//! and attempt first. After each event the run is advanced as far as it can go by itself, and what
//! is left waits for something that will come: a task, a timer, a person.

mod advance;
mod control;
mod dispatch;
mod report;
mod stop;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::event::{Actor, Event, TimerKind};
use super::expression::{Members, References, Supply, Variables};
use super::failure::{Failure, FailureClass};
use super::history::{Entry, EntryKind};
use super::plan::Plan;
use super::run::Run;
use super::state::{ExecutionState, StepState};
use super::writes::{Timer, TimerKey, Writes};

/// The circumstances of a decision.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// What time it is.
    pub now: DateTime<Utc>,
    /// Who caused the event.
    pub actor: Actor,
    /// How long tasks have to confirm that they stopped.
    pub grace: TimeDelta,
    /// How long an approval stays open when its step does not say.
    pub approval_timeout: TimeDelta,
}

/// The lifecycle forbids what a caller asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Where the execution stands.
    pub from: ExecutionState,
    /// Where it was to go.
    pub to: ExecutionState,
    /// Where a caller may make it go.
    pub legal: Vec<ExecutionState>,
}

/// Applies one event to a run in place and returns what to write.
///
/// # Errors
/// When a caller asks for what the lifecycle forbids; the run is unchanged then.
pub fn decide(
    plan: &Plan,
    run: &mut Run,
    event: Event,
    circumstances: &Circumstances,
) -> Result<Writes, Refusal> {
    let mut transition = Transition {
        plan,
        run,
        at: circumstances,
        writes: Writes::default(),
        supply: Supply::new(),
    };
    match event {
        Event::Start => transition.start(),
        Event::Pause(reason) => transition.pause(&reason)?,
        Event::Resume => transition.resume()?,
        Event::Cancel(reason) => transition.cancel(&reason)?,
        Event::Task(report) => transition.report(report),
        Event::Decided {
            step,
            approved,
            comment,
            digest,
        } => {
            transition.decided(step, approved, &comment, &digest);
        }
        Event::Timer {
            kind,
            step,
            attempt,
        } => transition.timer(kind, step, attempt),
    }
    // A run that heads for its end may have nothing left to stop, and then no step changed.
    if !transition.writes.is_empty() || transition.run.stopping.is_some() {
        transition.advance();
        transition.run.update_time = circumstances.now;
    }
    Ok(transition.writes)
}

/// How a failed execution ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Once its tasks have confirmed that they stopped.
    Orderly,
    /// At once, because news of its tasks cannot be applied; they are told to stop all the same.
    AtOnce,
}

/// Fails an execution because of a bug of the engine, when `decide` cannot go on.
pub fn give_up(plan: &Plan, run: &mut Run, circumstances: &Circumstances, end: Ending) -> Writes {
    let mut transition = Transition {
        plan,
        run,
        at: circumstances,
        writes: Writes::default(),
        supply: Supply::new(),
    };
    if !transition.run.state.is_final() {
        // A paused execution ends as one that failed, too.
        transition.run.state = ExecutionState::Running;
        let message = "the engine met a bug; please report it with the execution's id";
        let failure = Failure::new(FailureClass::Engine, message);
        transition.stop(ExecutionState::Failed, Some(failure), message);
        if end == Ending::AtOnce {
            transition.grace_over();
        }
        transition.settle();
        transition.run.update_time = circumstances.now;
    }
    transition.writes
}

/// A decision under way.
struct Transition<'a> {
    plan: &'a Plan,
    run: &'a mut Run,
    at: &'a Circumstances,
    writes: Writes,
    supply: Supply,
}

impl Transition<'_> {
    /// Changes a step's state. The table is checked here once for all branches.
    fn become_step(&mut self, index: usize, state: StepState) {
        let step = &mut self.run.steps[index];
        debug_assert!(
            step.state.may_become(state),
            "{:?} to {state:?}",
            step.state
        );
        step.state = state;
        if state.is_final() {
            step.end_time = Some(self.at.now);
            step.retry_time = None;
        }
        if !state.is_in_flight() && state != StepState::WaitingApproval {
            self.clear(TimerKey {
                step: Some(index),
                kind: TimerKind::StepTimeout,
            });
        }
        self.writes.steps.insert(index);
    }

    fn become_execution(&mut self, state: ExecutionState) {
        debug_assert!(
            self.run.state.may_become(state),
            "{:?} to {state:?}",
            self.run.state
        );
        self.run.state = state;
    }

    /// Records what happened to a step.
    fn note(&mut self, index: usize, kind: EntryKind, data: Value) {
        let entry = Entry {
            kind,
            step_id: self.plan.steps()[index].id.clone(),
            attempt: self.run.steps[index].attempt,
            actor: self.at.actor.clone(),
            time: self.at.now,
            data,
        };
        self.writes.entries.push(entry);
    }

    /// Records what happened to the execution.
    fn note_execution(&mut self, kind: EntryKind, data: Value) {
        let entry = Entry {
            kind,
            step_id: String::new(),
            attempt: 0,
            actor: self.at.actor.clone(),
            time: self.at.now,
            data,
        };
        self.writes.entries.push(entry);
    }

    fn set(&mut self, key: TimerKey, attempt: u32, fire_time: DateTime<Utc>) {
        self.writes
            .timers
            .insert(key, Some(Timer { attempt, fire_time }));
    }

    fn clear(&mut self, key: TimerKey) {
        self.writes.timers.insert(key, None);
    }

    /// What expressions see that read these names and steps.
    fn variables(&self, references: &References) -> Variables<'_> {
        let reads = |name: &str| references.variables.contains(name);
        let mut values = Members::new();
        if reads("input") {
            values.insert("input", Cow::Borrowed(&self.run.input));
        }
        if reads("execution") {
            values.insert("execution", Cow::Owned(self.execution_variable()));
        }
        let steps = self.plan.read_by(&references.steps).into_iter();
        let steps = steps.map(|index| {
            let id = self.plan.steps()[index].id.as_str();
            (id, self.run.steps[index].as_variable())
        });
        Variables {
            values,
            steps: steps.collect(),
        }
    }

    fn execution_variable(&self) -> Value {
        json!({
            "id": self.run.id.to_string(),
            "workflow": self.plan.definition.name,
            "version": self.run.version,
            "initiated_by": self.run.initiated_by,
            "context": self.run.context,
            "labels": self.run.labels,
        })
    }

    /// Whether new work may begin.
    fn is_advancing(&self) -> bool {
        self.run.state == ExecutionState::Running && self.run.stopping.is_none()
    }
}

/// A span that a definition gave in milliseconds, whose bounds were validated.
fn span(ms: u64) -> TimeDelta {
    TimeDelta::milliseconds(i64::try_from(ms).unwrap_or(i64::MAX / 1_000_000))
}
