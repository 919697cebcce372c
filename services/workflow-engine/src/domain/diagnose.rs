//! "Why is it not moving?", in plain words.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use reeve_ids::TaskId;

use super::event::TimerKind;
use super::plan::Plan;
use super::run::{Outcome, Run};
use super::state::{ExecutionState, StepState};

/// What may wake an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A timer.
    Timer(TimerKind),
    /// Something that task-queue is yet to be asked.
    Command {
        /// To create a task, rather than to cancel one.
        creates: bool,
    },
    /// A task that task-queue has.
    Task,
}

/// One thing that may wake an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WakeSource {
    /// What.
    pub source: Source,
    /// The step; empty for the execution's own.
    pub step_id: String,
    /// The step's attempt.
    pub attempt: u32,
    /// When: a timer's time, a command's next try, since when task-queue has a task.
    pub at: DateTime<Utc>,
}

/// What an execution or a step waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Other steps.
    Dependencies,
    /// task-queue to take the task.
    Dispatch,
    /// An agent to start it.
    Agent,
    /// An agent to end it.
    Result,
    /// The next attempt's time.
    Retry,
    /// A person.
    Approval,
    /// Whoever paused it.
    Paused,
    /// Tasks to confirm that they stopped.
    Cancellation,
    /// Nothing: a bug.
    Nothing,
}

/// One reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// What for.
    pub wait: Wait,
    /// The step; empty for the execution itself.
    pub step_id: String,
    /// In plain words.
    pub explanation: String,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
    /// When it ends by itself at the latest.
    pub until: Option<DateTime<Utc>>,
}

/// The tasks of newest attempts by step, and since when task-queue has them.
pub type Tasks = BTreeMap<String, (TaskId, DateTime<Utc>)>;

/// Everything that an execution waits for.
pub fn reasons(plan: &Plan, run: &Run, sources: &[WakeSource], tasks: &Tasks) -> Vec<Reason> {
    if run.state.is_final() {
        return Vec::new();
    }
    let mut reasons = Vec::new();
    if run.state == ExecutionState::Paused && run.stopping.is_none() {
        reasons.push(Reason {
            wait: Wait::Paused,
            step_id: String::new(),
            explanation: "the execution is paused: nothing further is dispatched until \
                          ResumeExecution is called"
                .into(),
            since: Some(run.update_time),
            until: run.deadline_time,
        });
    }
    let look = Look {
        plan,
        run,
        sources,
        tasks,
    };
    reasons.extend((0..run.steps.len()).filter_map(|index| look.step(index)));
    reasons
}

/// One sentence about them.
pub fn summary(run: &Run, reasons: &[Reason], asleep: bool) -> String {
    let state = run.state.as_str();
    if run.state.is_final() {
        return format!("the execution has ended as {state}");
    }
    if asleep {
        return "nothing would ever wake this execution: this is a bug; please report it".into();
    }
    let waiting = reasons
        .iter()
        .find(|reason| reason.wait != Wait::Dependencies);
    match waiting {
        Some(reason) if reason.step_id.is_empty() => reason.explanation.clone(),
        Some(reason) => format!("step {} waits: {}", reason.step_id, reason.explanation),
        None => format!("the execution is {state} and about to go on"),
    }
}

struct Look<'a> {
    plan: &'a Plan,
    run: &'a Run,
    sources: &'a [WakeSource],
    tasks: &'a Tasks,
}

impl Look<'_> {
    fn step(&self, index: usize) -> Option<Reason> {
        let step = &self.run.steps[index];
        let id = self.plan.steps()[index].id.as_str();
        let timer = |kind| self.timer(id, kind);
        let reason = |wait, explanation: String, since, until| {
            Some(Reason {
                wait,
                step_id: id.to_owned(),
                explanation,
                since,
                until,
            })
        };
        match step.state {
            StepState::Pending => reason(
                Wait::Dependencies,
                self.open_dependencies(index),
                None,
                None,
            ),
            StepState::Dispatched => self.dispatched(id, step.start_time),
            StepState::Running => {
                let task = self.task(id);
                let text = format!("agent {} works on task {task}", step.agent_id);
                reason(
                    Wait::Result,
                    text,
                    step.start_time,
                    timer(TimerKind::StepTimeout),
                )
            }
            StepState::WaitingRetry => {
                let error = step
                    .error
                    .as_ref()
                    .map_or("", |error| error.message.as_str());
                let text = format!(
                    "attempt {} failed ({error}); the next has its time",
                    step.attempt
                );
                reason(Wait::Retry, text, None, step.retry_time)
            }
            StepState::WaitingApproval => {
                let approval = step
                    .approval_id
                    .map(|id| id.to_string())
                    .unwrap_or_default();
                let text = format!("somebody must decide approval {approval} (DecideApproval)");
                reason(
                    Wait::Approval,
                    text,
                    step.start_time,
                    timer(TimerKind::StepTimeout),
                )
            }
            StepState::Cancelling => {
                let text = format!(
                    "task {} was told to stop and has not confirmed it",
                    self.task(id)
                );
                let until = self.timer("", TimerKind::Grace);
                reason(Wait::Cancellation, text, Some(self.run.update_time), until)
            }
            StepState::Completed
            | StepState::Failed
            | StepState::Skipped
            | StepState::Cancelled => None,
        }
    }

    fn dispatched(&self, id: &str, since: Option<DateTime<Utc>>) -> Option<Reason> {
        let command = self.sources.iter().find(|source| {
            source.step_id == id && source.source == Source::Command { creates: true }
        });
        let (wait, explanation, since) = match (self.tasks.get(id), command) {
            (Some((task, since)), _) => {
                let text = format!(
                    "task {task} waits for an agent; GetTask of TaskService says why (pending_reason)"
                );
                (Wait::Agent, text, Some(*since))
            }
            (None, Some(command)) => {
                let text = format!(
                    "task-queue is yet to take its task; next try at {}",
                    command.at
                );
                (Wait::Dispatch, text, since)
            }
            (None, None) => (
                Wait::Nothing,
                "its task was never ordered: a bug".to_owned(),
                since,
            ),
        };
        let until = self.timer(id, TimerKind::StepTimeout);
        Some(Reason {
            wait,
            step_id: id.to_owned(),
            explanation,
            since,
            until,
        })
    }

    fn open_dependencies(&self, index: usize) -> String {
        let graph = &self.plan.graph;
        let open = graph.dependencies[index].iter().chain(&graph.guards[index]);
        let open = open.filter(|other| {
            let ended = self.run.steps[**other].state.is_final();
            !ended || self.run.outcome(self.plan, **other) == Outcome::Open
        });
        let open: Vec<_> = open
            .map(|other| self.plan.steps()[*other].id.as_str())
            .collect();
        if open.is_empty() {
            return "it is ready and not dispatched, because the execution is paused or stopping"
                .into();
        }
        format!("it comes after {}", open.join(", "))
    }

    fn task(&self, id: &str) -> String {
        self.tasks
            .get(id)
            .map(|(task, _)| task.to_string())
            .unwrap_or_default()
    }

    fn timer(&self, id: &str, kind: TimerKind) -> Option<DateTime<Utc>> {
        let timer = self.sources.iter();
        let mut timer = timer.filter(|it| it.step_id == id && it.source == Source::Timer(kind));
        timer.next().map(|timer| timer.at)
    }
}
