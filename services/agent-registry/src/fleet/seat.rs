//! One agent of the fleet.

use chrono::{DateTime, Utc};
use reeve_ids::{AgentId, TenantId};

use crate::domain::heartbeat::Known;
use crate::domain::state::AgentState;
use crate::domain::workload::{Heard, Status};
use crate::fleet::Beat;
use crate::storage::rows::Member;
use crate::storage::statuses::Report;

/// What a heartbeat is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The agent's tenant.
    pub tenant_id: TenantId,
    /// Its process and state.
    pub known: Known,
}

/// What this process knows of an agent.
#[derive(Debug)]
pub(super) struct Seat {
    id: AgentId,
    tenant_id: TenantId,
    epoch: i64,
    state: AgentState,
    version: i64,
    status: Status,
    /// The newest version that was heard of: while it is ahead, the agent is read before use.
    newest: i64,
    told_to_drain: bool,
    awaits_renewal: bool,
    awaits_report: bool,
    /// The last heartbeat that this process heard itself, and did not only read of.
    heard: Option<DateTime<Utc>>,
}

/// Which lists a seat has just got to be on.
pub(super) struct Marks {
    /// The list of leases to renew.
    pub(super) renewal: bool,
    /// The list of reports to write down.
    pub(super) report: bool,
}

impl Seat {
    pub(super) fn new(member: Member) -> Self {
        Self {
            id: member.id,
            tenant_id: member.tenant_id,
            epoch: member.epoch,
            state: member.state,
            version: member.version,
            status: member.status,
            newest: member.version,
            told_to_drain: false,
            awaits_renewal: false,
            awaits_report: false,
            heard: None,
        }
    }

    pub(super) fn epoch(&self) -> i64 {
        self.epoch
    }

    pub(super) fn has_workload(&self) -> bool {
        self.status.workload.is_some()
    }

    pub(super) fn standing(&self) -> Standing {
        let known = Known {
            epoch: self.epoch,
            state: self.state,
            told_to_drain: self.told_to_drain,
        };
        Standing {
            tenant_id: self.tenant_id,
            known,
        }
    }

    pub(super) fn is_stale(&self) -> bool {
        self.newest > self.version
    }

    /// Whether this process is the current one and its silence would mean something.
    pub(super) fn owes(&self, epoch: i64) -> bool {
        self.epoch == epoch && self.state.lapse().is_some()
    }

    pub(super) fn update(&mut self, member: Member) {
        if member.version < self.version {
            return;
        }
        if member.epoch == self.epoch {
            self.status.merge(&member.status);
        } else {
            // Load and checks belong to a process; the last heartbeat belongs to the agent.
            let last_heartbeat_time = self.status.last_heartbeat_time;
            self.status = member.status;
            self.status.last_heartbeat_time =
                self.status.last_heartbeat_time.max(last_heartbeat_time);
            self.heard = None;
        }
        if member.state != AgentState::Draining || member.epoch != self.epoch {
            self.told_to_drain = false;
        }
        self.epoch = member.epoch;
        self.state = member.state;
        self.version = member.version;
    }

    pub(super) fn outdate(&mut self, version: i64) {
        self.newest = self.newest.max(version);
    }

    pub(super) fn record(&mut self, beat: Beat) -> Marks {
        let time = beat.time;
        let checks = (!beat.health_checks.is_empty()).then_some(beat.health_checks);
        self.status.merge(&Status {
            last_heartbeat_time: Some(time),
            workload: beat.workload.map(|value| Heard { time, value }),
            health_checks: checks.map(|value| Heard { time, value }),
        });
        self.heard = self.heard.max(Some(time));
        // The answer to this heartbeat tells it.
        self.told_to_drain = self.state == AgentState::Draining;
        Marks {
            // Where silence means nothing, a lease would only run out for nothing.
            renewal: self.owes(beat.epoch) && self.mark_renewal(),
            report: self.mark_report(),
        }
    }

    pub(super) fn mark_renewal(&mut self) -> bool {
        !std::mem::replace(&mut self.awaits_renewal, true)
    }

    pub(super) fn mark_report(&mut self) -> bool {
        !std::mem::replace(&mut self.awaits_report, true)
    }

    pub(super) fn renewed(&mut self) {
        self.awaits_renewal = false;
    }

    pub(super) fn take_report(&mut self) -> Option<Report> {
        self.awaits_report = false;
        Some(Report {
            agent_id: self.id,
            epoch: self.epoch,
            last_heartbeat_time: self.status.last_heartbeat_time?,
            workload: self.status.workload.clone(),
            health_checks: self.status.health_checks.clone(),
        })
    }

    pub(super) fn heard_since(&self, time: DateTime<Utc>) -> bool {
        self.heard.is_some_and(|heard| heard >= time)
    }

    pub(super) fn overlay(&self, epoch: i64, stored: &mut Status) {
        if self.epoch == epoch {
            stored.merge(&self.status);
        } else {
            let own = self.status.last_heartbeat_time;
            stored.last_heartbeat_time = stored.last_heartbeat_time.max(own);
        }
    }
}
