//! Whether an agent can take work now: derived, never stored.

use super::state::AgentState;
use super::workload::Workload;

/// Whether an agent can take work now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// Works, and has capacity for more.
    Available,
    /// Works at its capacity, or finishes what it has.
    Busy,
    /// Could work, and has nothing to do.
    Idle,
    /// Takes no work.
    Offline,
}

/// Derives the availability from the state and the load against the capacity. An agent that has
/// not reported yet has nothing to do.
pub fn derive(state: AgentState, workload: Option<&Workload>, capacity: i32) -> Availability {
    let active = workload.map_or(0, |workload| workload.active_task_count);
    match state {
        AgentState::Active if active == 0 => Availability::Idle,
        AgentState::Active if active < capacity => Availability::Available,
        AgentState::Active | AgentState::Draining => Availability::Busy,
        AgentState::Offline
        | AgentState::Starting
        | AgentState::Inactive
        | AgentState::Maintenance
        | AgentState::Error
        | AgentState::Stopping => Availability::Offline,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(active_task_count: i32) -> Workload {
        Workload {
            active_task_count,
            ..Workload::default()
        }
    }

    #[test]
    fn load_against_capacity_decides_while_active() {
        let of = |active| derive(AgentState::Active, Some(&load(active)), 3);
        assert_eq!(of(0), Availability::Idle);
        assert_eq!(of(1), Availability::Available);
        assert_eq!(of(2), Availability::Available);
        assert_eq!(of(3), Availability::Busy);
        assert_eq!(of(4), Availability::Busy);
        assert_eq!(derive(AgentState::Active, None, 1), Availability::Idle);
    }

    #[test]
    fn every_other_state_takes_no_work() {
        for state in AgentState::ALL {
            let expected = match state {
                AgentState::Active => Availability::Idle,
                AgentState::Draining => Availability::Busy,
                _ => Availability::Offline,
            };
            assert_eq!(derive(state, None, 1), expected, "{state}");
        }
    }
}
