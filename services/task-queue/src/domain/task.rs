//! A task as it is read.

use chrono::{DateTime, Utc};
use reeve_ids::{AgentId, HoldId, TaskId, TenantId};
use serde_json::Value as Json;

use super::{
    Actor, Admission, AttemptEnd, Children, Delegation, Gate, GateKind, Spec, State, TaskError,
    Usage, Waiting, Want,
};

/// How far an attempt says it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// 0 to 100.
    pub percent: f64,
    /// Sentence for people.
    pub message: String,
    /// What a next attempt needs.
    pub checkpoint: Option<Json>,
    /// When it was stored.
    pub report_time: DateTime<Utc>,
}

/// A delivery that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Its number, from 1.
    pub attempt: i32,
    /// Who had it.
    pub agent_id: Option<AgentId>,
    /// How it ended.
    pub end: AttemptEnd,
    /// Why it did not complete.
    pub error: Option<TaskError>,
    /// What it consumed.
    pub usage: Vec<Usage>,
    /// In which version the agent offered the capability; empty for none.
    pub capability_version: String,
    /// The rule of the retry policy that decided, from 1.
    pub retry_rule: Option<i16>,
    /// When the task could be leased again; nothing when it was over.
    pub ready_time: Option<DateTime<Utc>>,
    /// When it was leased.
    pub assign_time: Option<DateTime<Utc>>,
    /// When it began.
    pub start_time: Option<DateTime<Utc>>,
    /// When it ended.
    pub end_time: DateTime<Utc>,
}

/// Something that an attempt made and that is kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Its name, unique within the attempt.
    pub name: String,
    /// Where it is.
    pub uri: String,
    /// Its media type; may be empty.
    pub media_type: String,
    /// Bytes; 0 when not known.
    pub size_bytes: i64,
    /// SHA-256 in hexadecimal; empty when not known.
    pub sha256: String,
}

/// That nobody will redrive a dead letter.
#[derive(Debug, Clone, PartialEq)]
pub struct Discard {
    /// Why.
    pub reason: String,
    /// Who says so.
    pub actor: Actor,
    /// When.
    pub time: DateTime<Utc>,
}

/// A task with where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Its owner.
    pub tenant_id: TenantId,
    /// What is to be done.
    pub spec: Spec,
    /// Who created it.
    pub creator: Actor,
    /// The trace that it belongs to.
    pub traceparent: String,
    /// When it was created.
    pub create_time: DateTime<Utc>,
    /// Where it stands.
    pub state: State,
    /// Number of changes.
    pub version: i32,
    /// Number of the delivery.
    pub attempt: i32,
    /// Failures.
    pub failures: i32,
    /// Lost leases.
    pub lost_leases: i32,
    /// Whether it is a dead letter.
    pub dead: bool,
    /// That it was discarded, if it was.
    pub discard: Option<Discard>,
    /// The last time that it was handed to another agent, if it was.
    pub delegation: Option<Delegation>,
    /// Who has or had it.
    pub agent_id: Option<AgentId>,
    /// The kind of the gate behind which it waits.
    pub gate_kind: Option<GateKind>,
    /// Its gates, oldest first; only when asked for.
    pub gates: Vec<Gate>,
    /// Dependencies that are not complete.
    pub blocked_by: i32,
    /// Whether a brake holds it.
    pub braked: bool,
    /// Whether it found no room within a limit.
    pub parked: bool,
    /// What its budget says.
    pub admission: Admission,
    /// The hold under which it runs.
    pub hold_id: Option<HoldId>,
    /// Whether cancellation was asked for.
    pub cancel_requested: bool,
    /// Why.
    pub cancel_reason: String,
    /// When it last changed state.
    pub update_time: DateTime<Utc>,
    /// When it may be leased.
    pub ready_time: DateTime<Utc>,
    /// When it was leased.
    pub assign_time: Option<DateTime<Utc>>,
    /// When it began.
    pub start_time: Option<DateTime<Utc>>,
    /// When it was over.
    pub end_time: Option<DateTime<Utc>>,
    /// When its lease lapses.
    pub lease_until: Option<DateTime<Utc>>,
    /// Agents that are not given it: those that rejected it, and those that it avoids.
    pub rejected_by: Vec<AgentId>,
    /// What came of it.
    pub result: Option<Json>,
    /// The agent's sentence about that.
    pub result_message: String,
    /// Why the latest attempt did not complete.
    pub error: Option<TaskError>,
    /// How far it is.
    pub progress: Option<Progress>,
    /// Deliveries that have ended; only when asked for.
    pub attempts: Vec<Attempt>,
    /// What attempts made, with their number and when they said so; only when asked for.
    pub artifacts: Vec<(Artifact, i32, DateTime<Utc>)>,
    /// Its children; only when asked for.
    pub children: Children,
}

impl Task {
    /// The facts that say why it waits; nothing unless it is pending.
    pub fn waiting(&self, eligible: Option<bool>) -> Option<Waiting> {
        (self.state == State::Pending).then_some(Waiting {
            gate: self.gate_kind,
            blocked_by: self.blocked_by,
            braked: self.braked,
            parked: self.parked,
            admission: self.admission,
            ready_time: self.ready_time,
            eligible,
        })
    }

    /// What it wants of its agent.
    pub fn want(&self) -> Want<'_> {
        Want {
            capability: &self.spec.capability,
            placement: &self.spec.placement,
            refused: &self.rejected_by,
        }
    }

    /// What an optimistic change must present.
    pub fn etag(&self) -> String {
        self.version.to_string()
    }
}
