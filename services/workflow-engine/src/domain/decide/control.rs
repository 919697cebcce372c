//! What callers ask of an execution, and what timers bring.

use serde_json::json;

use super::{Refusal, Transition, span};
use crate::domain::event::TimerKind;
use crate::domain::failure::{Failure, FailureClass};
use crate::domain::history::EntryKind;
use crate::domain::state::{ExecutionState, StepState};
use crate::domain::writes::TimerKey;

impl Transition<'_> {
    pub(super) fn start(&mut self) {
        if self.run.state != ExecutionState::Pending {
            return;
        }
        let now = self.at.now;
        self.become_execution(ExecutionState::Running);
        self.run.start_time = Some(now);
        if let Some(timeout) = self.plan.definition.timeout_ms {
            let deadline = now + span(timeout);
            self.run.deadline_time = Some(deadline);
            self.set(
                TimerKey {
                    step: None,
                    kind: TimerKind::Deadline,
                },
                0,
                deadline,
            );
        }
        let data = json!({
            "workflow_id": self.run.workflow_id.to_string(),
            "workflow": self.plan.definition.name,
            "version": self.run.version,
            "project_id": self.run.project_id.map(|id| id.to_string()).unwrap_or_default(),
            "labels": self.run.labels,
        });
        self.note_execution(EntryKind::ExecutionStarted, data);
    }

    pub(super) fn pause(&mut self, reason: &str) -> Result<(), Refusal> {
        self.may_move_to(ExecutionState::Paused)?;
        if self.run.state == ExecutionState::Paused {
            return Ok(());
        }
        self.become_execution(ExecutionState::Paused);
        for index in self.waiting_retries() {
            self.clear(TimerKey {
                step: Some(index),
                kind: TimerKind::Retry,
            });
        }
        self.note_execution(EntryKind::ExecutionPaused, json!({"reason": reason}));
        Ok(())
    }

    pub(super) fn resume(&mut self) -> Result<(), Refusal> {
        self.may_move_to(ExecutionState::Running)?;
        if self.run.state == ExecutionState::Running {
            return Ok(());
        }
        self.become_execution(ExecutionState::Running);
        self.note_execution(EntryKind::ExecutionResumed, json!({}));
        let now = self.at.now;
        for index in self.waiting_retries() {
            let step = &self.run.steps[index];
            let due = step.retry_time.map_or(now, |due| due.max(now));
            let attempt = step.attempt;
            self.set(
                TimerKey {
                    step: Some(index),
                    kind: TimerKind::Retry,
                },
                attempt,
                due,
            );
        }
        Ok(())
    }

    pub(super) fn cancel(&mut self, reason: &str) -> Result<(), Refusal> {
        let cancelled = ExecutionState::Cancelled;
        if self.run.state == cancelled || self.run.stopping.is_some() {
            return Ok(());
        }
        if !self.run.state.may_become(cancelled) {
            return Err(self.refusal(cancelled));
        }
        let data = json!({"reason": reason});
        self.note_execution(EntryKind::ExecutionCancelRequested, data);
        let why = if reason.is_empty() {
            "the execution was cancelled"
        } else {
            reason
        };
        self.stop(cancelled, None, why);
        Ok(())
    }

    /// A stopping execution can be neither paused nor resumed; what it is already, it may stay.
    fn may_move_to(&self, target: ExecutionState) -> Result<(), Refusal> {
        let legal = self.run.state == target || self.run.state.may_become(target);
        if legal && self.run.stopping.is_none() && self.run.state != ExecutionState::Pending {
            return Ok(());
        }
        Err(self.refusal(target))
    }

    fn refusal(&self, to: ExecutionState) -> Refusal {
        let from = self.run.state;
        let legal = match from {
            // Its end is decided already.
            _ if self.run.stopping.is_some() => Vec::new(),
            ExecutionState::Running => vec![ExecutionState::Paused, ExecutionState::Cancelled],
            ExecutionState::Paused => vec![ExecutionState::Running, ExecutionState::Cancelled],
            ExecutionState::Pending
            | ExecutionState::Completed
            | ExecutionState::Failed
            | ExecutionState::Cancelled
            | ExecutionState::Timeout => Vec::new(),
        };
        Refusal { from, to, legal }
    }

    pub(super) fn timer(&mut self, kind: TimerKind, step: Option<usize>, attempt: u32) {
        let now_attempt = step.map_or(0, |index| self.run.steps[index].attempt);
        if self.run.state.is_final() || attempt != now_attempt {
            return;
        }
        match (kind, step) {
            (TimerKind::Retry, Some(index)) => self.retry_due(index),
            (TimerKind::StepTimeout, Some(index)) => self.step_timeout(index),
            (TimerKind::Deadline, None) => self.deadline(),
            (TimerKind::Grace, None) => self.grace_over(),
            // Kinds and steps belong together; a row that says otherwise is not acted on.
            _ => {}
        }
    }

    fn deadline(&mut self) {
        if self.run.stopping.is_none() {
            let message = "the execution's timeout passed";
            let failure = Failure::new(FailureClass::Timeout, message);
            self.stop(ExecutionState::Timeout, Some(failure), message);
        }
    }

    fn waiting_retries(&self) -> Vec<usize> {
        let steps = self.run.steps.iter().enumerate();
        let waiting = steps.filter(|(_, step)| step.state == StepState::WaitingRetry);
        waiting.map(|(index, _)| index).collect()
    }
}
