//! Typed identifiers: one UUID newtype for each kind of thing Reeve names, so that an agent's id
//! cannot be passed where a task's is meant. New ids are UUIDv7 and sort by creation time.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
pub use uuid::Uuid;

/// The text is not a UUID in its canonical, hyphenated form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidId;

impl fmt::Display for InvalidId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("must be a UUID like 0190f3c4-8d6e-7a55-b3a0-4f6d1c2e9b7a")
    }
}

impl std::error::Error for InvalidId {}

/// Parses only the canonical form: one id has one spelling, in logs and in lookups.
fn parse(text: &str) -> Result<Uuid, InvalidId> {
    if text.len() != 36 {
        return Err(InvalidId);
    }
    Uuid::try_parse(text).map_err(|_| InvalidId)
}

macro_rules! typed_ids {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new UUIDv7 from the system's clock and randomness.
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// Wraps a UUID that is known to name this kind of thing, as a row does.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bare UUID, for storage.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse(text).map(Self)
            }
        }
    )+};
}

typed_ids! {
    /// A tenant: the wall that no fact crosses.
    TenantId;
    /// An API key, not its secret.
    ApiKeyId;
    /// An agent in agent-registry.
    AgentId;
    /// A unit of agent work in task-queue.
    TaskId;
    /// A cron line that creates tasks.
    ScheduleId;
    /// A tenant's type of tasks.
    TaskTypeId;
    /// What keeps tasks from being handed out.
    BrakeId;
    /// A version of a limit.
    LimitId;
    /// What a task waits behind until a person answers.
    GateId;
    /// A task's way from one agent to another.
    DelegationId;
    /// A project that tasks, costs and incidents belong to.
    ProjectId;
    /// A workflow definition.
    WorkflowId;
    /// One run of a workflow.
    ExecutionId;
    /// A decision that a person owes a step.
    ApprovalId;
    /// A price list for models and resources.
    RateCardId;
    /// A limit on spending.
    BudgetId;
    /// Money set aside for work under way.
    HoldId;
    /// A report of what an agent used.
    UsageId;
    /// A transaction of the ledger.
    JournalId;
    /// An account of the ledger.
    AccountId;
    /// An invoice.
    InvoiceId;
    /// A payment of an invoice.
    PaymentId;
    /// An incident.
    IncidentId;
    /// A rule that opens incidents.
    RuleId;
    /// What a rule made of signals with one fingerprint.
    AlertId;
    /// An impact, action or communication of an incident.
    PartId;
    /// Evidence frozen when a signal was attached to an incident.
    EvidenceId;
    /// How an incident ended.
    ResolutionId;
    /// A domain event.
    EventId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_parses_the_canonical_form() {
        let id = TaskId::new();
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn refuses_every_other_spelling() {
        let id = TaskId::new();
        let simple = id.uuid().simple().to_string();
        let braced = id.uuid().braced().to_string();
        for text in ["", "task-7", simple.as_str(), braced.as_str()] {
            assert_eq!(text.parse::<TaskId>(), Err(InvalidId), "{text:?}");
        }
    }

    #[test]
    fn new_ids_sort_by_creation() {
        let ids: Vec<_> = (0..100).map(|_| TaskId::new()).collect();
        assert!(ids.is_sorted());
    }
}
