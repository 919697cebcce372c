//! An execution's state, as the rows have it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use reeve_ids::{ApprovalId, BudgetId, ExecutionId, ProjectId, TenantId, WorkflowId};
use serde_json::{Value, json};

use super::definition::StepType;
use super::expression::Members;
use super::failure::Failure;
use super::plan::Plan;
use super::state::{ExecutionState, Priority, StepState};

/// One execution. Its steps are in the plan's order.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Id.
    pub id: ExecutionId,
    /// Tenant.
    pub tenant: TenantId,
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// Its version.
    pub version: i32,
    /// Where it stands.
    pub state: ExecutionState,
    /// The end it is heading for, while tasks are being stopped.
    pub stopping: Option<Stopping>,
    /// What expressions call `input`.
    pub input: Value,
    /// The caller's context.
    pub context: Value,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The principal that started it.
    pub initiated_by: String,
    /// Project of its tasks.
    pub project_id: Option<ProjectId>,
    /// Budget of its tasks.
    pub budget_id: Option<BudgetId>,
    /// Priority of its tasks.
    pub priority: Priority,
    /// Trace that it belongs to.
    pub traceparent: String,
    /// The workflow's output, at the end.
    pub output: Option<Value>,
    /// Why it did not end well.
    pub error: Option<Failure>,
    /// When it was accepted.
    pub create_time: DateTime<Utc>,
    /// When it began.
    pub start_time: Option<DateTime<Utc>>,
    /// When it ended.
    pub end_time: Option<DateTime<Utc>>,
    /// When its time is up.
    pub deadline_time: Option<DateTime<Utc>>,
    /// When it last changed.
    pub update_time: DateTime<Utc>,
    /// Its steps.
    pub steps: Vec<StepRun>,
}

/// An end that is decided and not yet reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopping {
    /// The end.
    pub target: ExecutionState,
    /// Why.
    pub error: Option<Failure>,
}

/// One step of an execution.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRun {
    /// Where it stands.
    pub state: StepState,
    /// Number of the newest attempt; 0 before the first.
    pub attempt: u32,
    /// Agent that works or worked on it.
    pub agent_id: String,
    /// Principals that made its output.
    pub produced_by: Vec<String>,
    /// The newest attempt's failure.
    pub error: Option<Failure>,
    /// Why it was skipped or cancelled.
    pub note: String,
    /// Its output.
    pub output: Option<Value>,
    /// APPROVAL: the decision that it waits or waited for.
    pub approval_id: Option<ApprovalId>,
    /// APPROVAL: digest of what was approved.
    pub approved_digest: Option<String>,
    /// When its first attempt was dispatched.
    pub start_time: Option<DateTime<Utc>>,
    /// When it ended.
    pub end_time: Option<DateTime<Utc>>,
    /// When its next attempt is due.
    pub retry_time: Option<DateTime<Utc>>,
}

impl StepRun {
    /// A step that nothing has been done for.
    pub fn new() -> Self {
        Self {
            state: StepState::Pending,
            attempt: 0,
            agent_id: String::new(),
            produced_by: Vec::new(),
            error: None,
            note: String::new(),
            output: None,
            approval_id: None,
            approved_digest: None,
            start_time: None,
            end_time: None,
            retry_time: None,
        }
    }

    /// What expressions call `steps.<id>`.
    pub fn as_variable(&self) -> Members<'_> {
        let error = self.error.as_ref().map(|error| {
            json!({"class": error.class.as_str(), "code": error.code, "message": error.message})
        });
        let empty = || Cow::Owned(json!({}));
        Members::from([
            ("status", Cow::Owned(self.state.as_str().into())),
            (
                "output",
                self.output.as_ref().map_or_else(empty, Cow::Borrowed),
            ),
            ("error", error.map_or_else(empty, Cow::Owned)),
        ])
    }
}

impl Default for StepRun {
    fn default() -> Self {
        Self::new()
    }
}

/// What a step came to, as those that wait for it see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Not yet known.
    Open,
    /// Completed; or failed and excused, by continue_on_error or a fallback that completed.
    Success,
    /// Failed, and nothing excuses it; or cancelled.
    Failure,
    /// Did not have to run.
    Skipped,
}

impl Run {
    /// What a step came to.
    pub fn outcome(&self, plan: &Plan, index: usize) -> Outcome {
        let excused = || {
            if plan.steps()[index].continue_on_error {
                Outcome::Success
            } else {
                Outcome::Failure
            }
        };
        match self.steps[index].state {
            StepState::Completed => Outcome::Success,
            StepState::Skipped => Outcome::Skipped,
            StepState::Cancelled => Outcome::Failure,
            // Fallbacks form no circle, so this ends.
            StepState::Failed => match plan.graph.fallback[index] {
                None => excused(),
                Some(fallback) => match self.outcome(plan, fallback) {
                    Outcome::Open => Outcome::Open,
                    Outcome::Success => Outcome::Success,
                    Outcome::Failure | Outcome::Skipped => excused(),
                },
            },
            StepState::Pending
            | StepState::Dispatched
            | StepState::Running
            | StepState::WaitingRetry
            | StepState::WaitingApproval
            | StepState::Cancelling => Outcome::Open,
        }
    }

    /// How many steps are in a state that `wanted` accepts.
    pub fn count(&self, wanted: impl Fn(StepState) -> bool) -> usize {
        self.steps.iter().filter(|step| wanted(step.state)).count()
    }

    /// Share of steps that ended, 0 to 100.
    pub fn progress(&self) -> usize {
        self.count(StepState::is_final) * 100 / self.steps.len().max(1)
    }

    /// Whether everything left waits for a person.
    pub fn awaits_people(&self, plan: &Plan) -> bool {
        let waits = |state| state == StepState::WaitingApproval;
        let busy = |state: StepState| state.is_in_flight() || state == StepState::WaitingRetry;
        let approvals = plan
            .steps()
            .iter()
            .any(|step| step.kind == StepType::Approval);
        approvals && self.count(waits) > 0 && self.count(busy) == 0
    }
}
