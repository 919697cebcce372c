//! What a transition writes, as data. Storage applies all of it in one transaction, or none.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use reeve_ids::ApprovalId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::definition::Amount;
use super::event::TimerKind;
use super::history::Entry;
use super::state::{ApprovalState, Priority};

/// Everything that one or more events change.
#[derive(Debug, Default)]
pub struct Writes {
    /// Steps that changed, by index.
    pub steps: BTreeSet<usize>,
    /// What happened, in order.
    pub entries: Vec<Entry>,
    /// What other services are to be asked, in order.
    pub commands: Vec<Command>,
    /// Timers to set, or to clear; the last word on each counts.
    pub timers: BTreeMap<TimerKey, Option<Timer>>,
    /// Approvals to open or close.
    pub approvals: Vec<ApprovalWrite>,
}

impl Writes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
            && self.entries.is_empty()
            && self.commands.is_empty()
            && self.timers.is_empty()
            && self.approvals.is_empty()
    }
}

/// Which timer: there is one of each kind for each step, and for the execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerKey {
    /// The step; nothing for the execution's own.
    pub step: Option<usize>,
    /// What for.
    pub kind: TimerKind,
}

/// When a timer fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    /// The step's attempt that it is about.
    pub attempt: u32,
    /// When.
    pub fire_time: DateTime<Utc>,
}

/// What task-queue is to be asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// To create a step's task.
    CreateTask {
        /// The step.
        step: usize,
        /// The attempt.
        attempt: u32,
        /// The task.
        order: Box<TaskOrder>,
    },
    /// To cancel it.
    CancelTask {
        /// The step.
        step: usize,
        /// The attempt.
        attempt: u32,
        /// Why.
        reason: String,
    },
}

/// A task as the engine wants it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskOrder {
    /// Its type.
    pub action: String,
    /// What its agent must offer.
    pub capability: String,
    /// One line for people.
    pub title: String,
    /// More for people.
    pub description: String,
    /// Where it queues; empty means the default queue.
    pub queue: String,
    /// Its parameters.
    pub parameters: Value,
    /// Its priority.
    pub priority: Priority,
    /// Its project; empty for none.
    pub project_id: String,
    /// Its budget; empty for none.
    pub budget_id: String,
    /// What is held against the budget.
    pub budget_amount: Option<Amount>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it may be given to another agent when one vanishes.
    pub redeliver: bool,
    /// The trace that it belongs to.
    pub traceparent: String,
}

/// A change of an approval.
#[derive(Debug, Clone, PartialEq)]
pub enum ApprovalWrite {
    /// Ask for a decision.
    Open(Box<NewApproval>),
    /// Record how it ended.
    Close {
        /// Which.
        id: ApprovalId,
        /// How.
        state: ApprovalState,
        /// What was said.
        comment: String,
    },
}

/// A decision to ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct NewApproval {
    /// Id.
    pub id: ApprovalId,
    /// The step.
    pub step: usize,
    /// One line for people.
    pub title: String,
    /// More for people.
    pub description: String,
    /// The artifact.
    pub subject: Value,
    /// Its digest.
    pub digest: String,
    /// Principals that produced it.
    pub producers: Vec<String>,
    /// Whether agents may decide.
    pub allow_agents: bool,
    /// Whether the initiator may not.
    pub forbid_initiator: bool,
    /// When it expires.
    pub expire_time: DateTime<Utc>,
}
