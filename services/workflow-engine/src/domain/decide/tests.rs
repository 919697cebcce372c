//! Every pattern and every way to fail, played against `decide` with a clock of numbers.

mod approvals;
mod endings;
mod patterns;
mod random;
mod retries;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta};
use reeve_ids::{ExecutionId, TenantId, WorkflowId};
use serde_json::{Value, json};

use super::{Circumstances, decide};
use crate::domain::definition::{Definition, Step, StepType, WorkflowType};
use crate::domain::event::{Actor, ActorKind, Event, TaskNews, TaskReport, TimerKind};
use crate::domain::failure::Failure;
use crate::domain::history::EntryKind;
use crate::domain::plan::Plan;
use crate::domain::run::{Run, StepRun};
use crate::domain::state::{ExecutionState, Priority, StepState};
use crate::domain::writes::{ApprovalWrite, Command, NewApproval, Timer, TimerKey, Writes};

/// A task step that may run at once.
fn task(id: &str) -> Step {
    Step {
        action: format!("do.{id}"),
        ..Step::new(id, StepType::Task)
    }
}

/// A task step after others.
fn after(id: &str, dependencies: &[&str]) -> Step {
    let dependencies = dependencies.iter().map(|name| (*name).to_owned()).collect();
    Step {
        dependencies,
        ..task(id)
    }
}

fn definition(steps: Vec<Step>) -> Definition {
    Definition {
        name: "test".into(),
        kind: WorkflowType::Parallel,
        description: String::new(),
        agents: serde_json::Map::new(),
        steps,
        config: serde_json::Map::new(),
        tags: Vec::new(),
        input_schema: None,
        output: serde_json::Map::new(),
        timeout_ms: None,
        fail_fast: false,
    }
}

/// What an entry says of its step.
fn step_state(kind: EntryKind) -> Option<StepState> {
    match kind {
        EntryKind::StepStarted | EntryKind::StepLeaseLost => Some(StepState::Dispatched),
        EntryKind::StepRunning => Some(StepState::Running),
        EntryKind::StepCompleted => Some(StepState::Completed),
        EntryKind::StepFailed => Some(StepState::Failed),
        EntryKind::StepRetried => Some(StepState::WaitingRetry),
        EntryKind::StepSkipped => Some(StepState::Skipped),
        EntryKind::StepCancelled => Some(StepState::Cancelled),
        EntryKind::ApprovalRequested => Some(StepState::WaitingApproval),
        _ => None,
    }
}

/// What an entry says of the run.
fn run_state(kind: EntryKind) -> Option<ExecutionState> {
    match kind {
        EntryKind::ExecutionStarted | EntryKind::ExecutionResumed => Some(ExecutionState::Running),
        EntryKind::ExecutionPaused => Some(ExecutionState::Paused),
        EntryKind::ExecutionCompleted => Some(ExecutionState::Completed),
        EntryKind::ExecutionFailed => Some(ExecutionState::Failed),
        EntryKind::ExecutionCancelled => Some(ExecutionState::Cancelled),
        EntryKind::ExecutionTimedOut => Some(ExecutionState::Timeout),
        _ => None,
    }
}

/// An execution in memory, with what storage would keep of it.
struct Play {
    plan: Plan,
    run: Run,
    at: Circumstances,
    /// Tasks asked for and not yet over, as (step, attempt).
    tasks: Vec<(usize, u32)>,
    /// Tasks asked to be cancelled.
    cancelled: Vec<(usize, u32)>,
    timers: BTreeMap<TimerKey, Timer>,
    approvals: Vec<NewApproval>,
    history: Vec<(EntryKind, String, u32)>,
    orders: BTreeMap<(usize, u32), Value>,
}

impl Play {
    fn of(definition: Definition) -> Self {
        Self::with_input(definition, json!({"dir": "k8s", "on": true}))
    }

    fn with_input(definition: Definition, input: Value) -> Self {
        let plan = Plan::compile(definition).expect("a valid definition");
        let now = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
        let run = Run {
            id: ExecutionId::new(),
            tenant: TenantId::new(),
            workflow_id: WorkflowId::new(),
            version: 1,
            state: ExecutionState::Pending,
            stopping: None,
            input,
            context: json!({}),
            labels: BTreeMap::new(),
            initiated_by: "key:starter".into(),
            project_id: None,
            budget_id: None,
            priority: Priority::Normal,
            traceparent: String::new(),
            output: None,
            error: None,
            create_time: now,
            start_time: None,
            end_time: None,
            deadline_time: None,
            update_time: now,
            steps: vec![StepRun::new(); plan.steps().len()],
        };
        let at = Circumstances {
            now,
            actor: Actor::engine(),
            grace: TimeDelta::seconds(30),
            approval_timeout: TimeDelta::days(7),
        };
        let mut play = Self {
            plan,
            run,
            at,
            tasks: Vec::new(),
            cancelled: Vec::new(),
            timers: BTreeMap::new(),
            approvals: Vec::new(),
            history: Vec::new(),
            orders: BTreeMap::new(),
        };
        play.apply(Event::Start);
        play
    }

    fn apply(&mut self, event: Event) {
        self.try_apply(event).expect("a legal request");
    }

    fn try_apply(&mut self, event: Event) -> Result<(), super::Refusal> {
        let writes = decide(&self.plan, &mut self.run, event, &self.at)?;
        self.keep(writes);
        Ok(())
    }

    fn keep(&mut self, writes: Writes) {
        for command in writes.commands {
            match command {
                Command::CreateTask {
                    step,
                    attempt,
                    order,
                } => {
                    assert!(
                        !self.orders.contains_key(&(step, attempt)),
                        "asked for twice"
                    );
                    self.orders.insert((step, attempt), order.parameters);
                    self.tasks.push((step, attempt));
                }
                Command::CancelTask { step, attempt, .. } => self.cancelled.push((step, attempt)),
            }
        }
        for (key, timer) in writes.timers {
            match timer {
                Some(timer) => drop(self.timers.insert(key, timer)),
                None => drop(self.timers.remove(&key)),
            }
        }
        for write in writes.approvals {
            match write {
                ApprovalWrite::Open(approval) => self.approvals.push(*approval),
                ApprovalWrite::Close { id, .. } => self.approvals.retain(|open| open.id != id),
            }
        }
        self.history.extend(
            writes
                .entries
                .into_iter()
                .map(|entry| (entry.kind, entry.step_id, entry.attempt)),
        );
        self.assert_wakeful();
        self.assert_told();
    }

    /// What the history tells is where the run stands. A task that was told to stop is not told of
    /// before it has.
    fn assert_told(&self) {
        for (index, step) in self.plan.steps().iter().enumerate() {
            let of = self.history.iter().filter(|(_, id, _)| *id == step.id);
            let told = of.filter_map(|(kind, ..)| step_state(*kind)).next_back();
            let told = told.unwrap_or(StepState::Pending);
            let stands = self.run.steps[index].state;
            let stopping = stands == StepState::Cancelling && told.is_in_flight();
            assert!(
                told == stands || stopping,
                "{}: {told:?}, {stands:?}",
                step.id
            );
        }
        let told = self.history.iter();
        let told = told.filter_map(|(kind, ..)| run_state(*kind)).next_back();
        assert_eq!(told, Some(self.run.state));
    }

    /// What the view execution_without_wake_source asserts of rows.
    fn assert_wakeful(&self) {
        let waits_for_us = self.run.state == ExecutionState::Running || self.run.stopping.is_some();
        let in_flight = self.run.count(StepState::is_in_flight) > 0;
        // The deadline ends a run, but does not make it go on.
        let goes_on = |key: &TimerKey| key.kind != TimerKind::Deadline;
        let wakeful = in_flight || self.timers.keys().any(goes_on) || !self.approvals.is_empty();
        assert!(!waits_for_us || wakeful, "nothing will wake {:?}", self.run);
        if self.run.state.is_final() {
            assert!(
                self.timers.is_empty(),
                "timers outlive the run: {:?}",
                self.timers
            );
            assert!(self.approvals.is_empty(), "approvals outlive the run");
            assert!(self.run.steps.iter().all(|step| step.state.is_final()));
        }
    }

    fn index(&self, step: &str) -> usize {
        self.plan.index_of(step).expect("a step")
    }

    fn state(&self, step: &str) -> StepState {
        self.run.steps[self.index(step)].state
    }

    fn news(&mut self, step: &str, news: TaskNews) {
        let index = self.index(step);
        let attempt = self.run.steps[index].attempt;
        self.news_of(step, attempt, news);
    }

    fn news_of(&mut self, step: &str, attempt: u32, news: TaskNews) {
        let step = self.index(step);
        if !matches!(news, TaskNews::Started { .. } | TaskNews::LeaseLost) {
            self.tasks.retain(|task| *task != (step, attempt));
        }
        let actor = std::mem::replace(&mut self.at.actor, agent());
        self.apply(Event::Task(TaskReport {
            step,
            attempt,
            news,
        }));
        self.at.actor = actor;
    }

    fn complete(&mut self, step: &str, result: Value) {
        self.news(
            step,
            TaskNews::Completed {
                agent_id: "agent-1".into(),
                result,
            },
        );
    }

    fn fail(&mut self, step: &str) {
        let failure = Failure::reported("BROKEN", "it broke");
        self.news(step, TaskNews::Failed { failure });
    }

    /// Moves the clock to the earliest timer and fires it; false when there is none.
    fn fire_next(&mut self) -> bool {
        let earliest = self.timers.iter().min_by_key(|(_, timer)| timer.fire_time);
        let Some((key, timer)) = earliest.map(|(key, timer)| (*key, *timer)) else {
            return false;
        };
        self.timers.remove(&key);
        self.at.now = self.at.now.max(timer.fire_time);
        self.apply(Event::Timer {
            kind: key.kind,
            step: key.step,
            attempt: timer.attempt,
        });
        true
    }

    fn count(&self, kind: EntryKind) -> usize {
        self.history
            .iter()
            .filter(|(other, ..)| *other == kind)
            .count()
    }
}

fn agent() -> Actor {
    Actor {
        kind: ActorKind::Agent,
        subject: "key:agent".into(),
        display_name: "agent".into(),
    }
}
