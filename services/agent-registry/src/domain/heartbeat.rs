//! What a heartbeat means, given what is known of the agent.

use super::state::AgentState;
use super::workload::Workload;

/// What is known of an agent when its heartbeat arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The current process.
    pub epoch: i64,
    /// Where the agent is in its life.
    pub state: AgentState,
    /// Whether this process has been told to drain since it became DRAINING.
    pub told_to_drain: bool,
}

/// What an accepted heartbeat asks the agent to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Finish, and lease nothing new.
    Drain,
    /// Report the workload next time.
    ReportFullState,
    /// Lease nothing.
    Pause,
    /// End the process.
    Stop,
}

/// Why a heartbeat is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A later process has registered, or none had this epoch.
    StaleEpoch {
        /// The epoch of the current process.
        current: i64,
    },
    /// The agent is OFFLINE or in ERROR: its process must register again.
    NotRunning {
        /// The agent's state.
        state: AgentState,
    },
}

/// The change of state that an accepted heartbeat causes; nothing for nearly all of them.
///
/// # Errors
/// When the process is not the current one, or does not count as running.
pub fn receive(
    known: Known,
    epoch: i64,
    ready: bool,
    workload: Option<&Workload>,
) -> Result<Option<AgentState>, Refusal> {
    if epoch != known.epoch {
        return Err(Refusal::StaleEpoch {
            current: known.epoch,
        });
    }
    if !known.state.hears() {
        return Err(Refusal::NotRunning { state: known.state });
    }
    Ok(match known.state {
        AgentState::Starting if ready => Some(AgentState::Active),
        // A report from before the agent was told may precede a task that is on its way to it.
        AgentState::Draining if known.told_to_drain && workload.is_some_and(Workload::is_empty) => {
            Some(AgentState::Inactive)
        }
        _ => None,
    })
}

/// What to ask of an agent in this state.
pub fn actions(state: AgentState, has_workload: bool) -> Vec<Action> {
    let by_state = match state {
        AgentState::Draining => Some(Action::Drain),
        AgentState::Inactive | AgentState::Maintenance => Some(Action::Pause),
        AgentState::Stopping => Some(Action::Stop),
        AgentState::Offline | AgentState::Starting | AgentState::Active | AgentState::Error => None,
    };
    by_state
        .into_iter()
        .chain((!has_workload).then_some(Action::ReportFullState))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(state: AgentState) -> Known {
        Known {
            epoch: 3,
            state,
            told_to_drain: false,
        }
    }

    #[test]
    fn the_first_heartbeat_activates_unless_the_process_is_not_ready() {
        let starting = known(AgentState::Starting);
        assert_eq!(
            receive(starting, 3, true, None),
            Ok(Some(AgentState::Active))
        );
        assert_eq!(receive(starting, 3, false, None), Ok(None));
    }

    #[test]
    fn another_epoch_is_refused_before_anything_else() {
        for state in AgentState::ALL {
            for epoch in [2, 4] {
                let refused = Err(Refusal::StaleEpoch { current: 3 });
                assert_eq!(receive(known(state), epoch, true, None), refused, "{state}");
            }
        }
    }

    #[test]
    fn only_a_running_agent_is_heard() {
        for state in AgentState::ALL {
            let refused = matches!(state, AgentState::Offline | AgentState::Error);
            assert_eq!(
                receive(known(state), 3, true, None).is_err(),
                refused,
                "{state}"
            );
        }
    }

    #[test]
    fn draining_ends_when_the_agent_knows_and_reports_nothing_left() {
        let told = Known {
            told_to_drain: true,
            ..known(AgentState::Draining)
        };
        let empty = Workload::default();
        let busy = Workload {
            active_task_count: 1,
            ..Workload::default()
        };
        let queued = Workload {
            queue_length: 1,
            ..Workload::default()
        };
        assert_eq!(
            receive(told, 3, true, Some(&empty)),
            Ok(Some(AgentState::Inactive))
        );
        assert_eq!(receive(told, 3, true, Some(&busy)), Ok(None));
        assert_eq!(receive(told, 3, true, Some(&queued)), Ok(None));
        assert_eq!(receive(told, 3, true, None), Ok(None));
        assert_eq!(
            receive(known(AgentState::Draining), 3, true, Some(&empty)),
            Ok(None)
        );
    }

    #[test]
    fn whatever_it_causes_is_legal() {
        let empty = Workload::default();
        for state in AgentState::ALL {
            let subject = Known {
                told_to_drain: true,
                ..known(state)
            };
            if let Ok(Some(next)) = receive(subject, 3, true, Some(&empty)) {
                assert!(state.may_become(next), "{state} -> {next}");
            }
        }
    }

    #[test]
    fn actions_follow_the_state() {
        assert_eq!(actions(AgentState::Active, true), []);
        assert_eq!(
            actions(AgentState::Active, false),
            [Action::ReportFullState]
        );
        assert_eq!(
            actions(AgentState::Draining, false),
            [Action::Drain, Action::ReportFullState]
        );
        assert_eq!(actions(AgentState::Maintenance, true), [Action::Pause]);
        assert_eq!(actions(AgentState::Stopping, true), [Action::Stop]);
    }
}
