//! What the children of a task are all together.

use super::State;

/// How many children a task has in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Children {
    /// Waiting.
    pub pending: i32,
    /// With agents.
    pub running: i32,
    /// Completed.
    pub completed: i32,
    /// Failed for good.
    pub failed: i32,
    /// Timed out for good.
    pub timed_out: i32,
    /// Cancelled.
    pub cancelled: i32,
}

impl Children {
    /// Adds some in a state. REJECTED is never at rest.
    pub const fn add(&mut self, state: State, tasks: i32) {
        let of = match state {
            State::Pending | State::Rejected => &mut self.pending,
            State::Assigned | State::Accepted | State::InProgress => &mut self.running,
            State::Completed => &mut self.completed,
            State::Failed => &mut self.failed,
            State::Timeout => &mut self.timed_out,
            State::Cancelled => &mut self.cancelled,
        };
        *of += tasks;
    }

    /// How many there are.
    pub const fn total(&self) -> i32 {
        self.pending + self.running + self.completed + self.failed + self.timed_out + self.cancelled
    }

    /// What they are all together.
    pub const fn state(&self) -> State {
        if self.pending > 0 && self.pending == self.total() {
            State::Pending
        } else if self.pending + self.running > 0 {
            State::InProgress
        } else if self.failed + self.timed_out > 0 {
            State::Failed
        } else if self.cancelled > 0 {
            State::Cancelled
        } else {
            State::Completed
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_together_they_are_what_the_worst_of_them_is(
            states in prop::collection::vec(prop::sample::select(State::ALL.to_vec()), 1..8),
        ) {
            let mut children = Children::default();
            for state in &states {
                children.add(*state, 1);
            }
            let any = |of: fn(&State) -> bool| states.iter().any(of);
            let waits = |state: &State| matches!(state, State::Pending | State::Rejected);
            let expected = if states.iter().all(waits) {
                State::Pending
            } else if any(|state| !state.is_ended()) {
                State::InProgress
            } else if any(|state| matches!(state, State::Failed | State::Timeout)) {
                State::Failed
            } else if any(|state| *state == State::Cancelled) {
                State::Cancelled
            } else {
                State::Completed
            };
            prop_assert_eq!(children.state(), expected);
            prop_assert_eq!(usize::try_from(children.total()), Ok(states.len()));
        }
    }
}
