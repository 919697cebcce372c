//! What became of a step: news of its task, a decision, a failure.

use serde_json::{Value, json};

use super::dispatch::VALUE_LIMIT;
use super::{Transition, span};
use crate::domain::canonical::canonical;
use crate::domain::event::{TaskNews, TaskReport, TimerKind};
use crate::domain::expression::{kind, unfit};
use crate::domain::failure::{Failure, FailureClass, Verdict, verdict};
use crate::domain::history::EntryKind;
use crate::domain::state::{ApprovalState, StepState};
use crate::domain::writes::{ApprovalWrite, Command, TimerKey};

impl Transition<'_> {
    /// Takes in news of a task. News of another attempt, or of one that is over, changes no state.
    pub(super) fn report(&mut self, report: TaskReport) {
        let TaskReport {
            step: index,
            attempt,
            news,
        } = report;
        if self.run.state.is_final() {
            return;
        }
        let step = &self.run.steps[index];
        if step.attempt != attempt || !step.state.is_in_flight() {
            if attempt < step.attempt && !matches!(news, TaskNews::Started { .. }) {
                let data = json!({"of_attempt": attempt, "news": word(&news)});
                self.note(index, EntryKind::StepLateReport, data);
            }
            return;
        }
        match news {
            TaskNews::Started { agent_id } => self.started(index, agent_id),
            TaskNews::LeaseLost => self.lease_lost(index),
            TaskNews::Completed { agent_id, result } => self.done(index, agent_id, result),
            TaskNews::Failed { failure } => self.fail(index, failure),
            TaskNews::Cancelled if step.state == StepState::Cancelling => {
                self.cancelled(index, "its task was cancelled");
            }
            TaskNews::Cancelled => {
                let message = "its task was cancelled by somebody else than the engine";
                self.fail(index, Failure::new(FailureClass::TaskCancelled, message));
            }
        }
    }

    fn started(&mut self, index: usize, agent_id: String) {
        if self.run.steps[index].state != StepState::Dispatched {
            return;
        }
        self.become_step(index, StepState::Running);
        let data = json!({"agent_id": agent_id});
        self.run.steps[index].agent_id = agent_id;
        self.note(index, EntryKind::StepRunning, data);
    }

    fn lease_lost(&mut self, index: usize) {
        if self.run.steps[index].state != StepState::Running {
            return;
        }
        self.become_step(index, StepState::Dispatched);
        let agent_id = std::mem::take(&mut self.run.steps[index].agent_id);
        self.note(
            index,
            EntryKind::StepLeaseLost,
            json!({"agent_id": agent_id}),
        );
    }

    fn done(&mut self, index: usize, agent_id: String, result: Value) {
        let mut makers = self.producers(index);
        if !makers.contains(&self.at.actor.subject) {
            makers.push(self.at.actor.subject.clone());
        }
        let step = &mut self.run.steps[index];
        step.agent_id = agent_id;
        step.produced_by = makers;
        if !result.is_object() {
            let message = format!("the result must be an object and is {}", kind(&result));
            return self.fail(index, Failure::new(FailureClass::OutputInvalid, message));
        }
        match self.outputs(index, Some(result)) {
            Ok(output) => self.complete(index, output),
            Err(failure) => self.fail(index, failure),
        }
    }

    /// Gives a step its output.
    pub(super) fn complete(&mut self, index: usize, output: Value) {
        let size = canonical(&output).len();
        let fault = if size > VALUE_LIMIT {
            Some(format!("is {size} bytes as JSON; at most {VALUE_LIMIT}"))
        } else {
            unfit(&output).map(str::to_owned)
        };
        if let Some(fault) = fault {
            let failure = Failure::new(FailureClass::OutputInvalid, format!("the output {fault}"));
            return self.fail_finally(index, failure);
        }
        self.become_step(index, StepState::Completed);
        let step = &mut self.run.steps[index];
        step.output = Some(output);
        step.error = None;
        let data = json!({"agent_id": step.agent_id, "output_bytes": size});
        self.note(index, EntryKind::StepCompleted, data);
    }

    /// Ends an attempt by a failure: with another attempt, or for good.
    pub(super) fn fail(&mut self, index: usize, failure: Failure) {
        if self.run.steps[index].state == StepState::Cancelling {
            return self.cancelled(index, &failure.message);
        }
        let attempt = self.run.steps[index].attempt;
        let mut seed = self.run.id.uuid().as_bytes().to_vec();
        seed.extend_from_slice(self.plan.steps()[index].id.as_bytes());
        match verdict(&self.plan.steps()[index], attempt, failure.clone(), &seed) {
            Verdict::Fail(failure) => self.fail_finally(index, failure),
            Verdict::Retry(delay) => {
                let due = self.at.now + span(delay);
                self.become_step(index, StepState::WaitingRetry);
                let step = &mut self.run.steps[index];
                step.error = Some(failure.clone());
                step.retry_time = Some(due);
                let data = json!({
                    "class": failure.class.as_str(), "code": failure.code,
                    "message": failure.message, "retry_time": due,
                });
                self.note(index, EntryKind::StepRetried, data);
                // A paused execution sets it when it resumes.
                if self.is_advancing() {
                    let key = TimerKey {
                        step: Some(index),
                        kind: TimerKind::Retry,
                    };
                    self.set(key, attempt, due);
                }
            }
        }
    }

    /// Ends a step by a failure, whatever its retries.
    pub(super) fn fail_finally(&mut self, index: usize, failure: Failure) {
        let step_id = self.plan.steps()[index].id.clone();
        self.become_step(index, StepState::Failed);
        let data = json!({
            "class": failure.class.as_str(), "code": failure.code, "message": failure.message,
        });
        self.note(index, EntryKind::StepFailed, data);
        self.run.steps[index].error = Some(failure.of(&step_id));
    }

    pub(super) fn cancelled(&mut self, index: usize, why: &str) {
        self.become_step(index, StepState::Cancelled);
        self.run.steps[index].note = why.to_owned();
        self.note(index, EntryKind::StepCancelled, json!({"reason": why}));
    }

    /// Takes in a decision that was found legal.
    pub(super) fn decided(&mut self, index: usize, approved: bool, comment: &str, digest: &str) {
        let Some(id) = self.open_approval(index) else {
            return;
        };
        let state = if approved {
            ApprovalState::Approved
        } else {
            ApprovalState::Rejected
        };
        self.close(index, id, state, comment, digest);
        if approved {
            self.run.steps[index].approved_digest = Some(digest.to_owned());
            let by = self.at.actor.subject.clone();
            let output = json!({
                "approved": true, "digest": digest, "decided_by": by, "comment": comment,
            });
            self.complete(index, output);
        } else {
            let by = &self.at.actor.display_name;
            let message = if comment.is_empty() {
                format!("rejected by {by}")
            } else {
                format!("rejected by {by}: {comment}")
            };
            self.fail_finally(index, Failure::new(FailureClass::Rejected, message));
        }
    }

    fn open_approval(&self, index: usize) -> Option<reeve_ids::ApprovalId> {
        let step = &self.run.steps[index];
        step.approval_id
            .filter(|_| step.state == StepState::WaitingApproval)
    }

    fn close(
        &mut self,
        index: usize,
        id: reeve_ids::ApprovalId,
        state: ApprovalState,
        comment: &str,
        digest: &str,
    ) {
        let comment = comment.to_owned();
        let data = json!({
            "approval_id": id.to_string(), "state": state.as_str(), "digest": digest,
            "comment": comment,
        });
        self.writes
            .approvals
            .push(ApprovalWrite::Close { id, state, comment });
        self.note(index, EntryKind::ApprovalDecided, data);
    }

    /// Ends an open approval without a decision.
    pub(super) fn close_undecided(&mut self, index: usize, state: ApprovalState, why: &str) {
        if let Some(id) = self.open_approval(index) {
            self.close(index, id, state, why, "");
        }
    }

    /// A step's time is up.
    pub(super) fn step_timeout(&mut self, index: usize) {
        match self.run.steps[index].state {
            StepState::WaitingApproval => {
                let why = "nobody decided in time";
                self.close_undecided(index, ApprovalState::Expired, why);
                self.fail_finally(index, Failure::new(FailureClass::ApprovalExpired, why));
            }
            StepState::Dispatched | StepState::Running => {
                let attempt = self.run.steps[index].attempt;
                let reason = "the step's timeout passed".to_owned();
                let command = Command::CancelTask {
                    step: index,
                    attempt,
                    reason,
                };
                self.writes.commands.push(command);
                let message = format!("attempt {attempt} did not end within its timeout");
                self.fail(index, Failure::new(FailureClass::Timeout, message));
            }
            _ => {}
        }
    }

    /// The next attempt is due.
    pub(super) fn retry_due(&mut self, index: usize) {
        let waits = self.run.steps[index].state == StepState::WaitingRetry;
        if waits && self.is_advancing() {
            self.clear(TimerKey {
                step: Some(index),
                kind: TimerKind::Retry,
            });
            self.dispatch(index);
        }
    }
}

fn word(news: &TaskNews) -> &'static str {
    match news {
        TaskNews::Started { .. } => "started",
        TaskNews::LeaseLost => "lease_lost",
        TaskNews::Completed { .. } => "completed",
        TaskNews::Failed { .. } => "failed",
        TaskNews::Cancelled => "cancelled",
    }
}
