//! What becomes of a task when one that it depends on ends.

use super::State;

/// What happens when a task that another depends on ends otherwise than completed. The numbers are
/// those on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(i16)]
pub enum DependencyPolicy {
    /// The other one is cancelled.
    #[default]
    Cancel = 1,
    /// It waits for a redrive as long as there may be one.
    Wait = 2,
    /// It goes on as if the task had completed.
    Proceed = 3,
}

/// What an end means for a task that waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// That dependency is met.
    Met,
    /// It goes on waiting.
    Waits,
    /// It is cancelled.
    Cancelled,
}

impl DependencyPolicy {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::Cancel, Self::Wait, Self::Proceed];

    /// The number on the wire.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The value that a number stands for.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.number() == number)
    }

    /// What follows from an end in this state; `discarded` when nobody will redrive it.
    pub const fn follows(self, state: State, discarded: bool) -> Follows {
        match (state, self) {
            (State::Completed, _) | (_, Self::Proceed) => Follows::Met,
            (State::Failed | State::Timeout, Self::Wait) if !discarded => Follows::Waits,
            _ => Follows::Cancelled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_policy() {
        use DependencyPolicy::{Cancel, Proceed, Wait};
        use Follows::{Cancelled, Met, Waits};
        let cases = [
            (State::Completed, false, [Met, Met, Met]),
            (State::Failed, false, [Cancelled, Waits, Met]),
            (State::Timeout, false, [Cancelled, Waits, Met]),
            (State::Failed, true, [Cancelled, Cancelled, Met]),
            (State::Cancelled, false, [Cancelled, Cancelled, Met]),
        ];
        for (state, discarded, expected) in cases {
            let found = [Cancel, Wait, Proceed].map(|policy| policy.follows(state, discarded));
            assert_eq!(found, expected, "{state:?}, discarded: {discarded}");
        }
        for policy in DependencyPolicy::ALL {
            assert_eq!(DependencyPolicy::from_number(policy.number()), Some(policy));
        }
    }
}
