//! The lifecycles. The database refuses what these tables do not have (migration 0001).

use super::words::words;

words! {
    /// Where an execution stands.
    ExecutionState {
        /// Accepted.
        Pending = "PENDING",
        /// Under way.
        Running = "RUNNING",
        /// Dispatches nothing more.
        Paused = "PAUSED",
        /// Ended well.
        Completed = "COMPLETED",
        /// Ended by a failure.
        Failed = "FAILED",
        /// Ended by a caller.
        Cancelled = "CANCELLED",
        /// Ended by its deadline.
        Timeout = "TIMEOUT",
    }

    /// Where a step of an execution stands.
    StepState {
        /// Waits for other steps, or for the execution to resume.
        Pending = "PENDING",
        /// Its task is ordered.
        Dispatched = "DISPATCHED",
        /// An agent works on it.
        Running = "RUNNING",
        /// The next attempt has its time.
        WaitingRetry = "WAITING_RETRY",
        /// A person must decide.
        WaitingApproval = "WAITING_APPROVAL",
        /// Its task was told to stop.
        Cancelling = "CANCELLING",
        /// Has its output.
        Completed = "COMPLETED",
        /// Has no attempt left.
        Failed = "FAILED",
        /// Did not have to run.
        Skipped = "SKIPPED",
        /// Stopped, or never begun.
        Cancelled = "CANCELLED",
    }

    /// Where an approval stands.
    ApprovalState {
        /// Waits for a decision.
        Pending = "PENDING",
        /// Agreed.
        Approved = "APPROVED",
        /// Refused.
        Rejected = "REJECTED",
        /// Nobody decided in time.
        Expired = "EXPIRED",
        /// The execution ended first.
        Cancelled = "CANCELLED",
    }

    /// Order of an execution's tasks among all tasks.
    Priority {
        /// After everything else.
        Low = "LOW",
        /// The default.
        Normal = "NORMAL",
        /// Before normal work.
        High = "HIGH",
        /// Before everything else.
        Critical = "CRITICAL",
    }
}

impl ExecutionState {
    /// The states that may follow.
    pub const fn targets(self) -> &'static [Self] {
        use ExecutionState::{Cancelled, Completed, Failed, Paused, Pending, Running, Timeout};
        match self {
            Pending => &[Running],
            Running => &[Paused, Completed, Failed, Cancelled, Timeout],
            Paused => &[Running, Cancelled, Timeout],
            Completed | Failed | Cancelled | Timeout => &[],
        }
    }

    /// Whether the change is legal.
    pub fn may_become(self, target: Self) -> bool {
        self.targets().contains(&target)
    }

    /// Whether it is an end.
    pub const fn is_final(self) -> bool {
        self.targets().is_empty()
    }
}

impl StepState {
    /// The states that may follow.
    pub const fn targets(self) -> &'static [Self] {
        use StepState::{
            Cancelled, Cancelling, Completed, Dispatched, Failed, Pending, Running, Skipped,
            WaitingApproval, WaitingRetry,
        };
        match self {
            // COMPLETED at once is a transform; FAILED at once an expression that has no value.
            Pending => &[
                Dispatched,
                WaitingApproval,
                Completed,
                Failed,
                Skipped,
                Cancelled,
            ],
            Dispatched => &[Running, WaitingRetry, Completed, Failed, Cancelling],
            // DISPATCHED again when the lease was lost and the queue offers the task anew.
            Running => &[Dispatched, WaitingRetry, Completed, Failed, Cancelling],
            WaitingRetry => &[Dispatched, Failed, Cancelled],
            WaitingApproval => &[Completed, Failed, Cancelled],
            // COMPLETED when the agent was done before it heard.
            Cancelling => &[Completed, Failed, Cancelled],
            Completed | Failed | Skipped | Cancelled => &[],
        }
    }

    /// Whether the change is legal.
    pub fn may_become(self, target: Self) -> bool {
        self.targets().contains(&target)
    }

    /// Whether it is an end.
    pub const fn is_final(self) -> bool {
        self.targets().is_empty()
    }

    /// Whether a task of it is out.
    pub const fn is_in_flight(self) -> bool {
        matches!(self, Self::Dispatched | Self::Running | Self::Cancelling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_of_the_execution_table() {
        let legal = [
            ("PENDING", "RUNNING"),
            ("RUNNING", "PAUSED"),
            ("RUNNING", "COMPLETED"),
            ("RUNNING", "FAILED"),
            ("RUNNING", "CANCELLED"),
            ("RUNNING", "TIMEOUT"),
            ("PAUSED", "RUNNING"),
            ("PAUSED", "CANCELLED"),
            ("PAUSED", "TIMEOUT"),
        ];
        for from in ExecutionState::ALL {
            for to in ExecutionState::ALL {
                let expected = legal.contains(&(from.as_str(), to.as_str()));
                assert_eq!(from.may_become(*to), expected, "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn ends_are_final_and_nothing_stays_put() {
        for state in StepState::ALL {
            assert!(!state.may_become(*state), "{state:?} follows itself");
            assert!(
                !state.may_become(StepState::Pending),
                "{state:?} may begin anew"
            );
        }
        let ends: Vec<_> = StepState::ALL
            .iter()
            .filter(|state| state.is_final())
            .collect();
        let expected = [
            StepState::Completed,
            StepState::Failed,
            StepState::Skipped,
            StepState::Cancelled,
        ];
        assert_eq!(ends, expected.iter().collect::<Vec<_>>());
    }

    #[test]
    fn words_are_read_back() {
        for state in StepState::ALL {
            assert_eq!(StepState::parse(state.as_str()), Some(*state));
        }
        assert_eq!(StepState::parse("running"), None);
    }
}
