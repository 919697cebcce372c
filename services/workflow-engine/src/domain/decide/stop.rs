//! The ends: stopping what runs, and the last word.

use serde_json::json;

use super::Transition;
use crate::domain::event::TimerKind;
use crate::domain::failure::Failure;
use crate::domain::history::EntryKind;
use crate::domain::run::Stopping;
use crate::domain::state::{ApprovalState, ExecutionState, StepState};
use crate::domain::writes::{Command, TimerKey};

impl Transition<'_> {
    /// Heads for an end: nothing begins any more, and what runs is told to stop.
    pub(super) fn stop(&mut self, target: ExecutionState, error: Option<Failure>, why: &str) {
        self.run.stopping = Some(Stopping { target, error });
        for index in 0..self.run.steps.len() {
            match self.run.steps[index].state {
                StepState::Pending => self.cancelled(index, why),
                StepState::WaitingRetry => {
                    self.clear(TimerKey {
                        step: Some(index),
                        kind: TimerKind::Retry,
                    });
                    self.cancelled(index, why);
                }
                StepState::WaitingApproval => {
                    self.close_undecided(index, ApprovalState::Cancelled, why);
                    self.cancelled(index, why);
                }
                StepState::Dispatched | StepState::Running => {
                    let attempt = self.run.steps[index].attempt;
                    self.become_step(index, StepState::Cancelling);
                    self.clear(TimerKey {
                        step: Some(index),
                        kind: TimerKind::StepTimeout,
                    });
                    let command = Command::CancelTask {
                        step: index,
                        attempt,
                        reason: why.to_owned(),
                    };
                    self.writes.commands.push(command);
                }
                StepState::Cancelling
                | StepState::Completed
                | StepState::Failed
                | StepState::Skipped
                | StepState::Cancelled => {}
            }
        }
        if self.run.count(StepState::is_in_flight) > 0 {
            let patience = self.at.now + self.at.grace;
            self.set(
                TimerKey {
                    step: None,
                    kind: TimerKind::Grace,
                },
                0,
                patience,
            );
        }
    }

    /// Gives up on tasks that did not confirm in time.
    pub(super) fn grace_over(&mut self) {
        for index in 0..self.run.steps.len() {
            if self.run.steps[index].state == StepState::Cancelling {
                self.cancelled(index, "its task did not confirm in time that it stopped");
            }
        }
    }

    /// The last word.
    pub(super) fn finish(&mut self, state: ExecutionState, error: Option<Failure>) {
        let now = self.at.now;
        self.become_execution(state);
        self.run.stopping = None;
        self.run.end_time = Some(now);
        self.clear(TimerKey {
            step: None,
            kind: TimerKind::Deadline,
        });
        self.clear(TimerKey {
            step: None,
            kind: TimerKind::Grace,
        });
        let kind = match state {
            ExecutionState::Completed => EntryKind::ExecutionCompleted,
            ExecutionState::Cancelled => EntryKind::ExecutionCancelled,
            ExecutionState::Timeout => EntryKind::ExecutionTimedOut,
            ExecutionState::Failed
            | ExecutionState::Pending
            | ExecutionState::Running
            | ExecutionState::Paused => EntryKind::ExecutionFailed,
        };
        let seconds = self
            .run
            .start_time
            .map(|start| (now - start).num_milliseconds());
        let mut data = json!({
            "workflow_id": self.run.workflow_id.to_string(),
            "workflow": self.plan.definition.name,
            "project_id": self.run.project_id.map(|id| id.to_string()).unwrap_or_default(),
            "duration_ms": seconds.unwrap_or(0),
            "labels": self.run.labels,
        });
        if let Some(error) = &error {
            data["class"] = error.class.as_str().into();
            data["code"] = error.code.clone().into();
            data["message"] = error.message.clone().into();
            data["failed_step"] = error.step_id.clone().into();
        }
        self.run.error = error;
        self.note_execution(kind, data);
    }
}
