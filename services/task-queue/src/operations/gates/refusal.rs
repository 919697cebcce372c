//! What whoever answers hears when the answer does not count.

use reeve_ids::GateId;
use reeve_status::{Code, Fault, Reason, Violations};

use crate::domain::Objection;

impl Objection {
    /// As an answer to whoever made the call.
    pub fn into_fault(self, gate_id: GateId) -> Fault {
        let denied = |reason, message: &str| Fault::new(Code::PermissionDenied, reason, message);
        match self {
            Self::WrongKind => denied(
                Reason::PrincipalForbidden,
                "a person, not an agent or a service, answers what a task waits for",
            ),
            Self::OwnAsk => denied(
                Reason::SelfApproval,
                "nobody approves what they asked for themselves",
            ),
            Self::Late => closed(gate_id, "EXPIRED"),
            Self::DigestMismatch => Fault::new(
                Code::Aborted,
                Reason::DigestMismatch,
                "what was seen is not what the gate is about; look at it again",
            ),
            Self::Unfit(fields) => {
                let mut v = Violations::new();
                for (field, rule) in fields {
                    v.add(field, rule);
                }
                v.into_fault()
            }
        }
    }
}

/// FAILED_PRECONDITION, reason GATE_CLOSED.
pub fn closed(gate_id: GateId, state: &str) -> Fault {
    Fault::precondition(
        Reason::GateClosed,
        "STATE",
        format!("gate/{gate_id}"),
        format!("gate {gate_id} is {state} and must be OPEN"),
    )
    .with("state", state)
}
