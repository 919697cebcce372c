//! What is to be done, as its creator said it. It never changes.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::{BudgetId, ProjectId, TaskId, TenantId};
use serde_json::Value as Json;

use super::{Admission, DependencyPolicy, Placement, RetryPolicy, order_score};

/// The order among ready tasks. The numbers are those at rest and on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i16)]
pub enum Priority {
    /// Ten minutes behind.
    Low = 1,
    /// No head start.
    Normal = 2,
    /// One hour ahead.
    High = 3,
    /// One day ahead.
    Critical = 4,
}

impl Priority {
    /// Every priority.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];

    /// The number at rest.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The priority that a number stands for.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|priority| priority.number() == number)
    }

    /// The word in events.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "LOW",
            Self::Normal => "NORMAL",
            Self::High => "HIGH",
            Self::Critical => "CRITICAL",
        }
    }
}

/// What it means to run a task twice. The numbers are those at rest and on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(i16)]
pub enum Effect {
    /// Nothing changes outside.
    ReadOnly = 1,
    /// It leads to the same.
    #[default]
    Idempotent = 2,
    /// Something is changed twice.
    Effectful = 3,
}

impl Effect {
    /// Every effect.
    pub const ALL: [Self; 3] = [Self::ReadOnly, Self::Idempotent, Self::Effectful];

    /// The number at rest.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The effect that a number stands for.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|effect| effect.number() == number)
    }

    /// The word in the built-in catalogue.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ReadOnly => "READ_ONLY",
            Self::Idempotent => "IDEMPOTENT",
            Self::Effectful => "EFFECTFUL",
        }
    }
}

/// What caused a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Kind of resource, for example "workflow".
    pub kind: String,
    /// Its id.
    pub resource_id: String,
    /// Which part of it.
    pub step_path: String,
    /// Which try of that part.
    pub attempt: i32,
}

/// Bounds in time; none where `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// From ready to the first lease of an attempt.
    pub schedule_to_start: Option<TimeDelta>,
    /// From the start of an attempt to its end.
    pub start_to_close: Option<TimeDelta>,
    /// Longest lease.
    pub heartbeat: Option<TimeDelta>,
}

/// What pays for a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// The budget.
    pub id: BudgetId,
    /// Greatest cost of one attempt, a plain decimal.
    pub amount: String,
    /// Its currency.
    pub currency: String,
}

/// Sort of principal. The numbers are those at rest and on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum ActorKind {
    /// A person or their program.
    User = 1,
    /// An agent.
    Agent = 2,
    /// One of Reeve's services.
    Service = 3,
}

/// Who created a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Sort of principal.
    pub kind: i16,
    /// Stable name.
    pub subject: String,
    /// Name for people.
    pub display_name: String,
}

/// With whom a task takes turns: keys that share a queue and a capability get work in proportion to
/// their weights, however many tasks each of them has waiting.
#[derive(Debug, Clone, PartialEq)]
pub struct Fairness {
    /// Whose turn, as the creator calls it.
    pub key: String,
    /// The share of the key.
    pub weight: f32,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Kind of work.
    pub kind: String,
    /// One line for people.
    pub title: String,
    /// In full.
    pub description: String,
    /// Queue that it joins.
    pub queue: String,
    /// What an agent must offer.
    pub capability: String,
    /// What more than the capability an agent must meet; empty for nothing.
    pub demand: String,
    /// Which agents of those may be given it.
    pub placement: Placement,
    /// Order among ready tasks.
    pub priority: Priority,
    /// What it needs to itself, without repetition.
    pub concurrency_keys: Vec<String>,
    /// With whom it takes turns.
    pub fairness: Option<Fairness>,
    /// Input for the agent: a JSON object, or nothing.
    pub parameters: Option<Json>,
    /// Project that it belongs to.
    pub project_id: Option<ProjectId>,
    /// Task that it is a part of.
    pub parent_task_id: Option<TaskId>,
    /// Tasks that must complete first, without repetition.
    pub depends_on: Vec<TaskId>,
    /// What happens when one of them ends otherwise.
    pub dependency_policy: DependencyPolicy,
    /// What caused it.
    pub origin: Option<Origin>,
    /// Free marks.
    pub labels: BTreeMap<String, String>,
    /// Not before this time.
    pub schedule_time: Option<DateTime<Utc>>,
    /// What happens after a failure.
    pub retry: RetryPolicy,
    /// Bounds in time.
    pub timeouts: Timeouts,
    /// What pays for it.
    pub budget: Option<Budget>,
    /// What it means to run it twice, where its creator or its type says so.
    pub effect: Option<Effect>,
}

impl Spec {
    /// The line in its lane, as its mark. What is CRITICAL waits for nobody's turn.
    pub fn line(&self) -> String {
        match &self.fairness {
            _ if self.priority == Priority::Critical => "!".to_owned(),
            Some(fairness) => format!("={}", fairness.key),
            None => String::new(),
        }
    }

    /// Whether agents have to know what it asks for to find it.
    pub fn is_demanding(&self) -> bool {
        self.demand.starts_with('#')
    }

    /// The weight of its line.
    pub fn line_weight(&self) -> f32 {
        match &self.fairness {
            Some(fairness) if self.priority != Priority::Critical => fairness.weight,
            _ => 1.0,
        }
    }
}

/// How a client knows a creation again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What the client calls it.
    pub id: String,
    /// The digest of the spec.
    pub digest: Vec<u8>,
    /// How long it is taken; nothing: as long as the task is kept.
    pub window: Option<TimeDelta>,
}

/// A task about to be stored.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// Its id, a fresh UUIDv7.
    pub id: TaskId,
    /// Its owner.
    pub tenant_id: TenantId,
    /// What is to be done.
    pub spec: Spec,
    /// Who creates it.
    pub creator: Actor,
    /// How large the spec was.
    pub bytes: usize,
    /// The trace that it belongs to.
    pub traceparent: String,
    /// When.
    pub create_time: DateTime<Utc>,
    /// The client's request id; nothing when it sent none.
    pub request: Option<Request>,
}

impl NewTask {
    /// From when it may be leased.
    pub fn ready_time(&self) -> DateTime<Utc> {
        self.spec
            .schedule_time
            .map_or(self.create_time, |time| time.max(self.create_time))
    }

    /// Its place among ready tasks.
    pub fn order_score(&self) -> i64 {
        order_score(self.ready_time(), self.spec.priority)
    }

    /// When nobody has begun it in time.
    pub fn start_deadline(&self) -> Option<DateTime<Utc>> {
        self.spec
            .timeouts
            .schedule_to_start
            .map(|span| self.ready_time() + span)
    }

    /// Whether money has to be set aside first.
    pub fn admission(&self) -> Admission {
        if self.spec.budget.is_some() {
            Admission::Awaiting
        } else {
            Admission::Free
        }
    }
}
