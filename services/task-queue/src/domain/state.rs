//! The lifecycle of a task on one screen.

/// Where a task stands. The numbers are those at rest and on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i16)]
pub enum State {
    /// Waits.
    Pending = 1,
    /// Leased; the agent has said nothing yet.
    Assigned = 2,
    /// Leased; the agent will do it.
    Accepted = 3,
    /// Turned down; never at rest, because what follows is in the same transaction.
    Rejected = 4,
    /// Leased and under way.
    InProgress = 5,
    /// Done.
    Completed = 6,
    /// Failed for good, until it is redriven.
    Failed = 7,
    /// Cancelled.
    Cancelled = 8,
    /// Timed out for good, until it is redriven.
    Timeout = 9,
}

use State::{
    Accepted, Assigned, Cancelled, Completed, Failed, InProgress, Pending, Rejected, Timeout,
};

/// The states in which an agent holds a lease.
pub const HELD: [State; 3] = [Assigned, Accepted, InProgress];

/// A change that the lifecycle does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forbidden {
    /// Where the task stands.
    pub from: State,
    /// Where it was to go.
    pub to: State,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Pending, Assigned, Accepted, Rejected, InProgress, Completed, Failed, Cancelled, Timeout,
    ];

    /// Where a task may go from here: the whole lifecycle.
    pub const fn legal(self) -> &'static [Self] {
        match self {
            Pending => &[Assigned, Cancelled, Timeout],
            Assigned => &[Accepted, InProgress, Rejected, Pending, Cancelled, Timeout],
            Accepted => &[InProgress, Assigned, Pending, Cancelled, Timeout],
            Rejected => &[Pending, Failed],
            InProgress => &[Completed, Failed, Assigned, Pending, Cancelled, Timeout],
            Failed | Timeout => &[Pending],
            Completed | Cancelled => &[],
        }
    }

    /// Whether the lifecycle has the edge.
    pub fn can_become(self, to: Self) -> bool {
        self.legal().contains(&to)
    }

    /// The edge, or why there is none.
    ///
    /// # Errors
    /// When the lifecycle has no such edge.
    pub fn becomes(self, to: Self) -> Result<Self, Forbidden> {
        if self.can_become(to) {
            Ok(to)
        } else {
            Err(Forbidden { from: self, to })
        }
    }

    /// Follows edges one after the other within one transaction. Only the last state is stored.
    ///
    /// # Errors
    /// At the first edge that the lifecycle does not have.
    pub fn follows(self, path: &[Self]) -> Result<Self, Forbidden> {
        path.iter()
            .try_fold(self, |state, next| state.becomes(*next))
    }

    /// Whether an agent holds it.
    pub fn is_held(self) -> bool {
        HELD.contains(&self)
    }

    /// Whether it is over, at least until it is redriven.
    pub const fn is_ended(self) -> bool {
        matches!(self, Completed | Failed | Cancelled | Timeout)
    }

    /// The number at rest.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The state that a number at rest stands for.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }

    /// The word for people and events.
    pub const fn word(self) -> &'static str {
        match self {
            Pending => "PENDING",
            Assigned => "ASSIGNED",
            Accepted => "ACCEPTED",
            Rejected => "REJECTED",
            InProgress => "IN_PROGRESS",
            Completed => "COMPLETED",
            Failed => "FAILED",
            Cancelled => "CANCELLED",
            Timeout => "TIMEOUT",
        }
    }

    /// The words of the legal targets.
    pub fn legal_words(self) -> Vec<&'static str> {
        self.legal().iter().map(|state| state.word()).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Rows are from, columns are to, in the order of `State::ALL`.
    #[rustfmt::skip]
    const TABLE: [[u8; 9]; 9] = [
        //P  A  Ac R  I  C  F  X  T
        [0, 1, 0, 0, 0, 0, 0, 1, 1], // PENDING
        [1, 0, 1, 1, 1, 0, 0, 1, 1], // ASSIGNED
        [1, 1, 0, 0, 1, 0, 0, 1, 1], // ACCEPTED
        [1, 0, 0, 0, 0, 0, 1, 0, 0], // REJECTED
        [1, 1, 0, 0, 0, 1, 1, 1, 1], // IN_PROGRESS
        [0, 0, 0, 0, 0, 0, 0, 0, 0], // COMPLETED
        [1, 0, 0, 0, 0, 0, 0, 0, 0], // FAILED
        [0, 0, 0, 0, 0, 0, 0, 0, 0], // CANCELLED
        [1, 0, 0, 0, 0, 0, 0, 0, 0], // TIMEOUT
    ];

    #[test]
    fn every_cell_is_as_the_lifecycle_says() {
        for (row, from) in TABLE.iter().zip(State::ALL) {
            for (cell, to) in row.iter().zip(State::ALL) {
                assert_eq!(from.can_become(to), *cell == 1, "{from:?} -> {to:?}");
            }
        }
    }

    #[test]
    fn numbers_and_states_are_one_to_one() {
        for state in State::ALL {
            assert_eq!(State::from_number(state.number()), Some(state));
        }
        assert_eq!(State::from_number(0), None);
        assert_eq!(State::from_number(10), None);
    }

    proptest! {
        #[test]
        fn a_walk_is_legal_exactly_when_each_step_is(
            start in 0_usize..9,
            steps in proptest::collection::vec(0_usize..9, 1..12),
        ) {
            let path: Vec<_> = steps.iter().map(|step| State::ALL[*step]).collect();
            let mut at = start;
            let mut refused = None;
            for step in steps {
                if TABLE[at][step] == 0 {
                    refused = Some(Forbidden { from: State::ALL[at], to: State::ALL[step] });
                    break;
                }
                at = step;
            }
            let expected = refused.map_or(Ok(State::ALL[at]), Err);
            prop_assert_eq!(State::ALL[start].follows(&path), expected);
        }
    }
}
