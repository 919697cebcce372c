//! The agent's status machine, on one screen. The database holds the same table
//! (`agent_transition`), and a test compares the two.

use std::fmt;

/// Where an agent is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AgentState {
    /// No process runs.
    Offline,
    /// A process has registered and is not ready yet.
    Starting,
    /// Takes new work.
    Active,
    /// Takes no new work and finishes what it has.
    Draining,
    /// Runs, has no work and takes none.
    Inactive,
    /// Set aside by a person.
    Maintenance,
    /// Failed, or its heartbeats stopped.
    Error,
    /// Its process is ending.
    Stopping,
}

use AgentState::{Active, Draining, Error, Inactive, Maintenance, Offline, Starting, Stopping};

impl AgentState {
    /// Every state, in the order of the contract.
    pub const ALL: [Self; 8] = [
        Offline,
        Starting,
        Active,
        Draining,
        Inactive,
        Maintenance,
        Error,
        Stopping,
    ];

    /// The states that may follow this one. This is the whole machine.
    pub const fn legal(self) -> &'static [Self] {
        match self {
            Offline => &[Starting],
            Starting => &[Active, Error],
            Active => &[Draining, Maintenance, Error, Stopping],
            Draining => &[Inactive, Error],
            Inactive => &[Active, Maintenance, Stopping],
            Maintenance => &[Active, Inactive, Stopping],
            Error => &[Stopping, Maintenance],
            Stopping => &[Offline],
        }
    }

    /// The states that a registering process passes, over legal edges, until the agent starts.
    /// What a drained process left unfinished is lost with it, hence over ERROR. A person ends
    /// MAINTENANCE, not a restart.
    pub const fn restart(self) -> &'static [Self] {
        match self {
            Offline => &[Starting],
            Starting | Maintenance => &[],
            Stopping => &[Offline, Starting],
            Active | Inactive | Error => &[Stopping, Offline, Starting],
            Draining => &[Error, Stopping, Offline, Starting],
        }
    }

    /// Where a lapsed heartbeat lease leads; nothing where silence means nothing.
    pub const fn lapse(self) -> Option<Self> {
        match self {
            Starting | Active | Draining => Some(Error),
            Stopping => Some(Offline),
            Offline | Inactive | Maintenance | Error => None,
        }
    }

    /// Whether a heartbeat of the current process is accepted.
    pub const fn hears(self) -> bool {
        !matches!(self, Offline | Error)
    }

    /// The word in the database, in events and in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Offline => "OFFLINE",
            Starting => "STARTING",
            Active => "ACTIVE",
            Draining => "DRAINING",
            Inactive => "INACTIVE",
            Maintenance => "MAINTENANCE",
            Error => "ERROR",
            Stopping => "STOPPING",
        }
    }

    /// The state that a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether `to` may follow.
    pub fn may_become(self, to: Self) -> bool {
        self.legal().contains(&to)
    }
}

impl fmt::Display for AgentState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row for each state, one column for each target, both in the order of `ALL`.
    const CELLS: [&str; 8] = [
        // O  S  A  D  I  M  E  X
        "0 1 0 0 0 0 0 0",
        "0 0 1 0 0 0 1 0",
        "0 0 0 1 0 1 1 1",
        "0 0 0 0 1 0 1 0",
        "0 0 1 0 0 1 0 1",
        "0 0 1 0 1 0 0 1",
        "0 0 0 0 0 1 0 1",
        "1 0 0 0 0 0 0 0",
    ];

    #[test]
    fn every_cell_of_the_table_is_as_specified() {
        for (from, row) in AgentState::ALL.into_iter().zip(CELLS) {
            for (to, cell) in AgentState::ALL.into_iter().zip(row.split(' ')) {
                assert_eq!(from.may_become(to), cell == "1", "{from} -> {to}");
            }
        }
    }

    #[test]
    fn a_restart_and_a_lapse_take_legal_edges_only() {
        for from in AgentState::ALL {
            let mut at = from;
            for &next in from.restart() {
                assert!(at.may_become(next), "restart from {from}: {at} -> {next}");
                at = next;
            }
            assert!(
                at == Starting || at == Maintenance,
                "restart from {from} ends {at}"
            );
            if let Some(next) = from.lapse() {
                assert!(from.may_become(next), "lapse: {from} -> {next}");
            }
        }
    }

    #[test]
    fn every_word_comes_back() {
        for state in AgentState::ALL {
            assert_eq!(AgentState::from_word(state.as_str()), Some(state));
        }
        assert_eq!(AgentState::from_word("active"), None);
    }
}
