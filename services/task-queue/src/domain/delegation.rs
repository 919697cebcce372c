//! Into whose hands a task may be given, and into whose it goes: pure, with chance as an argument.

use chrono::{DateTime, Utc};
use reeve_ids::{AgentId, DelegationId, TaskId, TenantId};
use serde_json::Value as Json;

use super::Actor;

/// Links that a chain may have since the task was created or redriven.
pub const MOST_DELEGATIONS: usize = 8;

/// How the agent is found. The numbers are those at rest and on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum DelegationType {
    /// It is named.
    Manual = 1,
    /// By chance, with a free slot if possible.
    Automatic = 2,
    /// Because the holder cannot go on; named, or as for the load.
    Failover = 3,
    /// The less loaded of two.
    LoadBalance = 4,
}

/// What became of a delegation. The numbers are those at rest and on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum DelegationOutcome {
    /// The agent has not fetched the task yet.
    Offered = 1,
    /// It got the lease.
    Taken = 2,
    /// It did not fetch it in time.
    Expired = 3,
    /// It got the lease and turned the task down.
    Rejected = 4,
    /// The task was cancelled before.
    Cancelled = 5,
}

/// One link of a chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Delegation {
    /// Its id.
    pub id: DelegationId,
    /// Its owner.
    pub tenant_id: TenantId,
    /// The task.
    pub task_id: TaskId,
    /// Its place in the chain, from 1.
    pub position: i32,
    /// The delivery that ended with it.
    pub attempt: i32,
    /// Who had the task.
    pub from: AgentId,
    /// Whom it was given to.
    pub to: AgentId,
    /// How that one was found.
    pub kind: DelegationType,
    /// Why.
    pub reason: String,
    /// Free-form facts.
    pub metadata: Option<Json>,
    /// Who delegated.
    pub actor: Actor,
    /// When.
    pub time: DateTime<Utc>,
    /// Until when it may be fetched.
    pub offer_until: DateTime<Utc>,
    /// What became of it.
    pub outcome: DelegationOutcome,
    /// When that was known.
    pub outcome_time: Option<DateTime<Utc>>,
}

/// Why a task is not handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The agent has it.
    IsHolder,
    /// The agent does not offer the capability.
    CapabilityMissing,
    /// The agent offers the capability, but is not all that the task asks for.
    RequirementUnmet,
    /// The agent has rejected it.
    HasRejected,
    /// The agent has handed it on before.
    Cycle,
    /// The chain is as long as it may be.
    TooDeep,
    /// There is nobody to choose.
    NoCandidate,
    /// The holder is to let go of it.
    CancelRequested,
    /// A brake holds such tasks.
    Braked,
    /// No agent holds it.
    NotHeld,
    /// It must not run twice, and its holder may be at it.
    Effectful,
    /// A task above the part that is to be made is about the same.
    PartAgain,
    /// The part would have too many tasks above it.
    PartTooDeep,
}

impl Refusal {
    /// The word for programs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::IsHolder => "IS_HOLDER",
            Self::CapabilityMissing => "CAPABILITY_MISSING",
            Self::RequirementUnmet => "REQUIREMENT_UNMET",
            Self::HasRejected => "HAS_REJECTED",
            Self::Cycle | Self::PartAgain => "CYCLE",
            Self::TooDeep | Self::PartTooDeep => "TOO_DEEP",
            Self::NoCandidate => "NO_CANDIDATE",
            Self::CancelRequested => "CANCEL_REQUESTED",
            Self::Braked => "BRAKED",
            Self::NotHeld => "NOT_HELD",
            Self::Effectful => "EFFECTFUL",
        }
    }

    /// The sentence for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::IsHolder => "the agent holds the task itself",
            Self::CapabilityMissing => "the agent does not offer the capability of the task",
            Self::RequirementUnmet => {
                "the agent offers the capability, but not the version, attributes or labels that the \
                 task asks for, or the task is pinned to another"
            }
            Self::HasRejected => "the agent has rejected the task, or is one that it avoids",
            Self::Cycle => "the agent has handed the task on before",
            Self::TooDeep => "the task was delegated eight times since it was created or redriven",
            Self::NoCandidate => {
                "no other ACTIVE agent that offers the capability may have the task"
            }
            Self::CancelRequested => {
                "cancellation was asked for: fail the task with code CANCELLED"
            }
            Self::Braked => "a brake keeps such tasks from being handed out",
            Self::NotHeld => "no agent holds the task",
            Self::Effectful => {
                "the task is EFFECTFUL and begun: only a person may take it from its holder"
            }
            Self::PartAgain => {
                "the task, or one above it, has the same type, capability and parameters"
            }
            Self::PartTooDeep => "the part would have more than eight tasks above it",
        }
    }
}

impl DelegationType {
    const ALL: [Self; 4] = [
        Self::Manual,
        Self::Automatic,
        Self::Failover,
        Self::LoadBalance,
    ];

    /// The number at rest.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The type that a number stands for.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// The word for people and events.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Manual => "MANUAL",
            Self::Automatic => "AUTOMATIC",
            Self::Failover => "FAILOVER",
            Self::LoadBalance => "LOAD_BALANCE",
        }
    }
}

impl DelegationOutcome {
    const ALL: [Self; 5] = [
        Self::Offered,
        Self::Taken,
        Self::Expired,
        Self::Rejected,
        Self::Cancelled,
    ];

    /// The number at rest.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The outcome that a number stands for.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.number() == number)
    }
}

/// An agent that could have the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The agent.
    pub id: AgentId,
    /// How many more tasks it could run, as it last said; below zero when more wait than run.
    pub free: i32,
}

/// In whose hands a task is and was.
#[derive(Debug, Clone, Copy)]
pub struct Hands<'a> {
    /// Who holds it.
    pub holder: AgentId,
    /// Who has rejected it.
    pub rejected_by: &'a [AgentId],
    /// Where it failed, if it is to be kept away from there while others are there to choose.
    pub failed_at: &'a [AgentId],
    /// The links since it was created or redriven.
    pub chain: &'a [Delegation],
}

impl Hands<'_> {
    /// Whether the chain may have one more link.
    ///
    /// # Errors
    /// When it may not.
    pub fn check_depth(&self) -> Result<(), Refusal> {
        if self.chain.len() < MOST_DELEGATIONS {
            Ok(())
        } else {
            Err(Refusal::TooDeep)
        }
    }

    /// Whether an agent may have it.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, agent: AgentId) -> Result<(), Refusal> {
        if agent == self.holder {
            Err(Refusal::IsHolder)
        } else if self.rejected_by.contains(&agent) {
            Err(Refusal::HasRejected)
        } else if self.has_handed_on(agent) {
            Err(Refusal::Cycle)
        } else {
            Ok(())
        }
    }

    /// Whether it went from an agent to another that got it. What was offered in vain went nowhere.
    fn has_handed_on(&self, agent: AgentId) -> bool {
        let went = |link: &Delegation| {
            use DelegationOutcome::{Offered, Taken};
            link.from == agent && matches!(link.outcome, Taken | Offered)
        };
        self.chain.iter().any(went)
    }

    /// Chooses among agents that offer the capability; `seeds` in [0, 1) are the chance in it.
    ///
    /// # Errors
    /// When nobody may have it.
    pub fn choose(
        &self,
        kind: DelegationType,
        candidates: &[Candidate],
        seeds: [f64; 2],
    ) -> Result<AgentId, Refusal> {
        let of = |wanted: fn(Result<(), Refusal>) -> bool| -> Vec<Candidate> {
            let fit = candidates.iter().filter(|one| wanted(self.check(one.id)));
            fit.copied().collect()
        };
        let able = of(|checked| checked.is_ok());
        let fresh = able.iter().filter(|one| !self.failed_at.contains(&one.id));
        let fresh: Vec<_> = fresh.copied().collect();
        let mut fit = if fresh.is_empty() { able } else { fresh };
        // Better with one who had it before than with nobody.
        if fit.is_empty() && kind == DelegationType::Failover {
            fit = of(|checked| checked == Err(Refusal::Cycle));
        }
        let first = draw(&fit, seeds[0]).ok_or(Refusal::NoCandidate)?;
        if kind == DelegationType::Automatic {
            let free: Vec<_> = fit.iter().copied().filter(|one| one.free > 0).collect();
            return Ok(draw(&free, seeds[0]).unwrap_or(first).id);
        }
        let others: Vec<_> = fit.into_iter().filter(|one| one.id != first.id).collect();
        let second = draw(&others, seeds[1]).filter(|one| one.free > first.free);
        Ok(second.unwrap_or(first).id)
    }
}

/// One of them, by chance.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]
fn draw(candidates: &[Candidate], seed: f64) -> Option<Candidate> {
    let at = (seed * candidates.len() as f64) as usize;
    candidates.get(at).copied()
}

#[cfg(test)]
#[path = "delegation_tests.rs"]
mod tests;
