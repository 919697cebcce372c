//! What a task waits behind until a person answers.

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::{AgentId, GateId, TaskId, TenantId};
use serde_json::Value as Json;

use super::{Actor, Answer, PendingReason};

/// Gates that a task may have in all: an agent that asks on and on is stopped.
pub const MOST_GATES: i16 = 100;

/// What a gate asks of people. The numbers are those at rest and on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum GateKind {
    /// To tell the agent something.
    Input = 1,
    /// Leave to go on.
    Approval = 2,
    /// What is to become of a task whose attempt was lost.
    LostLease = 3,
    /// What is to become of a task whose attempt took too long.
    Timeout = 4,
}

impl GateKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Input, Self::Approval, Self::LostLease, Self::Timeout];

    /// The number at rest.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The kind that a number stands for.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// The word in events.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Input => "INPUT",
            Self::Approval => "APPROVAL",
            Self::LostLease => "LOST_LEASE",
            Self::Timeout => "TIMEOUT",
        }
    }

    /// What a task behind it waits for.
    pub const fn reason(self) -> PendingReason {
        match self {
            Self::Input => PendingReason::AwaitingInput,
            Self::Approval | Self::LostLease | Self::Timeout => PendingReason::AwaitingApproval,
        }
    }

    /// What people are asked where no agent asks.
    pub const fn prompt(self) -> &'static str {
        match self {
            Self::Input | Self::Approval => "",
            Self::LostLease => {
                "The lease of an attempt under way was lost, and running the task twice would \
                 change something twice. Find out what the agent did, then decide."
            }
            Self::Timeout => {
                "An attempt took longer than start_to_close_timeout, and its agent may still be \
                 acting. Find out what it did, then decide."
            }
        }
    }
}

/// Where a gate stands. The numbers are those at rest and on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum GateState {
    /// Waits for a person.
    Open = 1,
    /// A person answered.
    Answered = 2,
    /// Nobody did in time.
    Expired = 3,
    /// Its task was cancelled.
    Cancelled = 4,
}

impl GateState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Open, Self::Answered, Self::Expired, Self::Cancelled];

    /// The number at rest.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The state that a number stands for.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }

    /// The word for people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Answered => "ANSWERED",
            Self::Expired => "EXPIRED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// What happens when nobody answers in time. The numbers are those at rest and on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum Expiry {
    /// The task fails.
    Fail = 1,
    /// The agent goes on without an answer.
    Proceed = 2,
}

impl Expiry {
    /// The number at rest.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// What a number stands for.
    pub fn from_number(number: i16) -> Option<Self> {
        [Self::Fail, Self::Proceed]
            .into_iter()
            .find(|expiry| expiry.number() == number)
    }
}

/// What an agent asks.
#[derive(Debug, Clone, PartialEq)]
pub struct GateAsk {
    /// INPUT or APPROVAL.
    pub kind: GateKind,
    /// What people are asked.
    pub prompt: String,
    /// What the input must match; nothing: any object.
    pub answer_schema: Option<Json>,
    /// What is approved; may be empty.
    pub content_digest: String,
    /// How long it stays open, and what happens then.
    pub expire: Option<(TimeDelta, Expiry)>,
}

impl GateAsk {
    /// What the server asks by itself.
    pub fn by_server(kind: GateKind) -> Self {
        Self {
            kind,
            prompt: kind.prompt().to_owned(),
            answer_schema: None,
            content_digest: String::new(),
            expire: None,
        }
    }
}

/// A gate as it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// Its id.
    pub id: GateId,
    /// Its owner.
    pub tenant_id: TenantId,
    /// The task that waits.
    pub task_id: TaskId,
    /// The task's queue.
    pub queue: String,
    /// The task's type.
    pub task_type: String,
    /// What it asks.
    pub kind: GateKind,
    /// Where it stands.
    pub state: GateState,
    /// What people are asked.
    pub prompt: String,
    /// What the input must match.
    pub answer_schema: Option<Json>,
    /// What is approved; may be empty.
    pub content_digest: String,
    /// When it expires.
    pub expire_time: Option<DateTime<Utc>>,
    /// What happens then.
    pub expiry: Option<Expiry>,
    /// The attempt that ended with it.
    pub attempt: i32,
    /// Who had that attempt.
    pub agent_id: Option<AgentId>,
    /// Who opened it.
    pub opener: Actor,
    /// When.
    pub create_time: DateTime<Utc>,
    /// What was answered, without the result.
    pub answer: Option<Answer>,
    /// Who answered.
    pub answerer: Option<Actor>,
    /// When it closed.
    pub close_time: Option<DateTime<Utc>>,
}
