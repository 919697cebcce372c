//! One agent of the fleet.

use chrono::{DateTime, Utc};
use reeve_ids::{AgentId, TenantId};

use crate::domain::heartbeat::Known;
use crate::domain::state::AgentState;
use crate::domain::workload::{HealthCheck, Status, Workload};
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
    /// A change elsewhere was heard of: read before use.
    stale: bool,
    told_to_drain: bool,
    awaits_renewal: bool,
    awaits_report: bool,
    /// Whether this process itself heard a heartbeat, or only read of one.
    heard: bool,
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
            stale: false,
            told_to_drain: false,
            awaits_renewal: false,
            awaits_report: false,
            heard: false,
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
        self.stale
    }

    pub(super) fn update(&mut self, member: Member) {
        if member.version < self.version {
            return;
        }
        if member.epoch != self.epoch {
            // Load and checks belong to a process; the last heartbeat belongs to the agent.
            let last_heartbeat_time = self.status.last_heartbeat_time;
            self.status = member.status;
            self.status.last_heartbeat_time =
                self.status.last_heartbeat_time.max(last_heartbeat_time);
            self.heard = false;
        }
        if member.state != AgentState::Draining || member.epoch != self.epoch {
            self.told_to_drain = false;
        }
        self.epoch = member.epoch;
        self.state = member.state;
        self.version = member.version;
        self.stale = false;
    }

    pub(super) fn outdate(&mut self, version: i64) {
        self.stale |= version > self.version;
    }

    pub(super) fn record(
        &mut self,
        time: DateTime<Utc>,
        workload: Option<Workload>,
        health_checks: Vec<HealthCheck>,
    ) -> Marks {
        self.status.last_heartbeat_time = self.status.last_heartbeat_time.max(Some(time));
        if workload.is_some() {
            self.status.workload = workload;
        }
        if !health_checks.is_empty() {
            self.status.health_checks = health_checks;
        }
        self.heard = true;
        // The answer to this heartbeat tells it.
        self.told_to_drain = self.state == AgentState::Draining;
        Marks {
            renewal: self.mark_renewal(),
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
        self.heard
            && self
                .status
                .last_heartbeat_time
                .is_some_and(|last| last >= time)
    }

    pub(super) fn overlay(&self, epoch: i64, stored: &mut Status) {
        if self.status.last_heartbeat_time < stored.last_heartbeat_time {
            return;
        }
        stored.last_heartbeat_time = self.status.last_heartbeat_time;
        if self.epoch == epoch {
            stored.workload.clone_from(&self.status.workload);
            stored.health_checks.clone_from(&self.status.health_checks);
        }
    }
}
