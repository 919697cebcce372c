//! What a pending task waits for.

use chrono::{DateTime, Utc};
use reeve_ids::HoldId;

use super::{GateKind, Ineligibility};

/// Whether a budget lets the task run. The numbers are those at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum Admission {
    /// It has no budget: nothing to ask.
    Free = 0,
    /// A hold has to be got.
    Awaiting = 1,
    /// The budget refused a hold; it is asked again.
    OverBudget = 2,
    /// There is a hold.
    Held = 3,
}

impl Admission {
    /// Every value.
    pub const ALL: [Self; 4] = [Self::Free, Self::Awaiting, Self::OverBudget, Self::Held];

    /// The number at rest.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The value that a number at rest stands for.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|admission| admission.number() == number)
    }

    /// Whether the task may be leased.
    pub const fn lets_run(self) -> bool {
        matches!(self, Self::Free | Self::Held)
    }
}

/// Money that is set aside for a task until a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// The hold.
    pub id: HoldId,
    /// When it expires.
    pub expire_time: DateTime<Utc>,
}

/// Why a pending task is not with an agent. The numbers are those on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingReason {
    /// For an agent to ask for it.
    Ready = 1,
    /// For its time.
    Scheduled = 2,
    /// For other tasks.
    Blocked = 3,
    /// For room within a limit.
    Throttled = 4,
    /// For a brake to be lifted.
    Paused = 5,
    /// For an agent that can do it.
    NoEligibleAgent = 6,
    /// For money.
    OverBudget = 7,
    /// For a person to answer.
    AwaitingInput = 8,
    /// For a person to decide.
    AwaitingApproval = 9,
    /// For the answer about money.
    AwaitingBudget = 10,
}

/// What a pending task waits for, and why no agent may be given it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waits {
    /// What for.
    pub reason: PendingReason,
    /// What the agents lack, if it is for one of them.
    pub ineligibility: Option<Ineligibility>,
}

impl From<PendingReason> for Waits {
    fn from(reason: PendingReason) -> Self {
        Self {
            reason,
            ineligibility: None,
        }
    }
}

/// The facts that decide.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    /// The gate behind which it waits.
    pub gate: Option<GateKind>,
    /// How many dependencies are not complete.
    pub blocked_by: i32,
    /// Whether a brake holds it.
    pub braked: bool,
    /// What its budget says.
    pub admission: Admission,
    /// Whether it found no room within a limit.
    pub parked: bool,
    /// When it may run.
    pub ready_time: DateTime<Utc>,
    /// Whether some live agent could take it; `None` when that is not known.
    pub eligible: Option<bool>,
}

impl Waiting {
    /// The reason at `now`: the one that would be met last. While a brake or a gate holds the task its
    /// budget is not asked; behind a gate nothing else counts.
    pub fn reason(&self, now: DateTime<Utc>) -> PendingReason {
        if let Some(kind) = self.gate {
            kind.reason()
        } else if self.blocked_by > 0 {
            PendingReason::Blocked
        } else if self.ready_time > now {
            PendingReason::Scheduled
        } else if self.braked {
            PendingReason::Paused
        } else if self.admission == Admission::OverBudget {
            PendingReason::OverBudget
        } else if self.admission == Admission::Awaiting {
            PendingReason::AwaitingBudget
        } else if self.parked {
            PendingReason::Throttled
        } else if self.eligible == Some(false) {
            PendingReason::NoEligibleAgent
        } else {
            PendingReason::Ready
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn names_what_stands_in_the_way() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).expect("in range");
        let ready = Waiting {
            gate: None,
            blocked_by: 0,
            braked: false,
            admission: Admission::Free,
            parked: false,
            ready_time: now,
            eligible: Some(true),
        };
        let cases = [
            (ready, PendingReason::Ready),
            (
                Waiting {
                    eligible: None,
                    ..ready
                },
                PendingReason::Ready,
            ),
            (
                Waiting {
                    eligible: Some(false),
                    ..ready
                },
                PendingReason::NoEligibleAgent,
            ),
            (
                Waiting {
                    admission: Admission::Held,
                    ..ready
                },
                PendingReason::Ready,
            ),
            (
                Waiting {
                    admission: Admission::Awaiting,
                    ..ready
                },
                PendingReason::AwaitingBudget,
            ),
            (
                Waiting {
                    admission: Admission::OverBudget,
                    ..ready
                },
                PendingReason::OverBudget,
            ),
            (
                Waiting {
                    parked: true,
                    eligible: Some(false),
                    ..ready
                },
                PendingReason::Throttled,
            ),
            (
                Waiting {
                    parked: true,
                    braked: true,
                    ..ready
                },
                PendingReason::Paused,
            ),
            (
                Waiting {
                    braked: true,
                    admission: Admission::OverBudget,
                    ..ready
                },
                PendingReason::Paused,
            ),
            (
                Waiting {
                    braked: true,
                    ready_time: now + TimeDelta::microseconds(1),
                    ..ready
                },
                PendingReason::Scheduled,
            ),
            (
                Waiting {
                    ready_time: now + TimeDelta::microseconds(1),
                    ..ready
                },
                PendingReason::Scheduled,
            ),
            (
                Waiting {
                    blocked_by: 1,
                    ..ready
                },
                PendingReason::Blocked,
            ),
            (
                Waiting {
                    gate: Some(GateKind::Input),
                    braked: true,
                    ..ready
                },
                PendingReason::AwaitingInput,
            ),
            (
                Waiting {
                    gate: Some(GateKind::LostLease),
                    admission: Admission::Awaiting,
                    ..ready
                },
                PendingReason::AwaitingApproval,
            ),
        ];
        for (waiting, reason) in cases {
            assert_eq!(waiting.reason(now), reason, "{waiting:?}");
        }
    }
}
