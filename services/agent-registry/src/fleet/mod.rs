//! The agents that this process has heard of, in memory: where heartbeats go instead of into
//! PostgreSQL. What is here is either stored (state, epoch) or may be lost (the last reports).
//!
//! The map is split, so that heartbeats of different agents rarely meet at a lock; no lock is held
//! across an await.

mod seat;

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::AgentId;

use seat::Seat;
pub use seat::Standing;

use crate::domain::workload::{HealthCheck, Status, Workload};
use crate::storage::rows::Member;
use crate::storage::statuses::Report;

const SHARDS: usize = 32;
/// Changes of unknown agents that a shard remembers: far more than happen while an agent is read.
const UNSEATED: usize = 256;

/// What an accepted heartbeat leaves behind.
#[derive(Debug, Clone)]
pub struct Beat {
    /// The agent.
    pub agent_id: AgentId,
    /// The process.
    pub epoch: i64,
    /// When it arrived.
    pub time: DateTime<Utc>,
    /// The load, if it was reported.
    pub workload: Option<Workload>,
    /// The checks, if any were reported.
    pub health_checks: Vec<HealthCheck>,
}

/// The agents that this process has heard of.
#[derive(Debug)]
pub struct Fleet {
    shards: Vec<Mutex<Shard>>,
}

#[derive(Debug, Default)]
struct Shard {
    seats: HashMap<AgentId, Seat>,
    /// Processes whose lease must be renewed, once each.
    renewals: Vec<(AgentId, i64)>,
    /// Processes whose lease must be removed.
    releases: Vec<(AgentId, i64)>,
    /// The latest versions that were heard of of agents that are not here: one of them may be being
    /// read right now.
    unseated: VecDeque<(AgentId, i64)>,
    /// Agents with reports to write down, once each.
    reports: Vec<AgentId>,
}

impl Fleet {
    /// A fleet of which nothing is known.
    pub fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// What is known of an agent; nothing for one that must be read first.
    pub fn standing(&self, id: AgentId) -> Option<Standing> {
        self.shard(id)
            .seats
            .get(&id)
            .filter(|seat| !seat.is_stale())
            .map(Seat::standing)
    }

    /// Takes note of what is stored of an agent. An older version than the known one is ignored:
    /// it was read before a change and arrived after it.
    pub fn install(&self, member: Member) {
        let mut shard = self.shard(member.id);
        match shard.seats.get_mut(&member.id) {
            Some(seat) => seat.update(member),
            None => {
                let id = member.id;
                let mut seat = Seat::new(member);
                let heard_of = shard.unseated.iter().filter(|(other, _)| *other == id);
                heard_of.for_each(|(_, version)| seat.outdate(*version));
                shard.seats.insert(id, seat);
            }
        }
    }

    /// Takes note of a change of an agent, if it is here. Its reports are not known to whoever
    /// changed it.
    pub fn update(&self, member: Member) {
        if let Some(seat) = self.shard(member.id).seats.get_mut(&member.id) {
            seat.update(member);
        }
    }

    /// Makes the next heartbeat read the agent anew, unless this version of it is known already.
    pub fn outdate(&self, id: AgentId, version: i64) {
        let mut shard = self.shard(id);
        match shard.seats.get_mut(&id) {
            Some(seat) => seat.outdate(version),
            None => shard.leave_word(id, version),
        }
    }

    /// Forgets an agent that was not found.
    pub fn unseat(&self, id: AgentId) {
        self.shard(id).seats.remove(&id);
    }

    /// Forgets an agent, which is deleted.
    pub fn forget(&self, id: AgentId) {
        let mut shard = self.shard(id);
        shard.seats.remove(&id);
        shard.leave_word(id, i64::MAX);
    }

    /// Takes a heartbeat in; whether the process's load is known now. Nothing happens when a later
    /// process has registered meanwhile.
    pub fn record(&self, beat: Beat) -> bool {
        let mut shard = self.shard(beat.agent_id);
        let shard = &mut *shard;
        let Some(seat) = shard
            .seats
            .get_mut(&beat.agent_id)
            .filter(|s| s.epoch() == beat.epoch)
        else {
            return true;
        };
        let (id, epoch) = (beat.agent_id, beat.epoch);
        let marks = seat.record(beat);
        let has_workload = seat.has_workload();
        if marks.renewal {
            shard.renewals.push((id, epoch));
        }
        if marks.report {
            shard.reports.push(id);
        }
        has_workload
    }

    /// Grants a process its first lease, before its first heartbeat.
    pub fn grant(&self, id: AgentId, epoch: i64) {
        self.shard(id).renewals.push((id, epoch));
    }

    /// Ends the lease of a process whose silence means nothing, so that it does not count as lapsed
    /// when it runs out.
    pub fn release(&self, id: AgentId, epoch: i64) {
        self.shard(id).releases.push((id, epoch));
    }

    /// The processes whose leases must be removed.
    pub fn take_releases(&self) -> Vec<(AgentId, i64)> {
        let mut taken = Vec::new();
        for shard in &self.shards {
            let mut shard = lock(shard);
            let releases = std::mem::take(&mut shard.releases);
            let owes = |(id, epoch): &(AgentId, i64)| {
                shard.seats.get(id).is_some_and(|seat| seat.owes(*epoch))
            };
            taken.extend(releases.into_iter().filter(|process| !owes(process)));
        }
        taken
    }

    /// The processes whose leases must be renewed, each of them once.
    pub fn take_renewals(&self) -> Vec<(AgentId, i64)> {
        let mut taken = Vec::new();
        for shard in &self.shards {
            let mut shard = lock(shard);
            let mut renewals = std::mem::take(&mut shard.renewals);
            renewals.retain(|(id, epoch)| {
                let Some(seat) = shard.seats.get_mut(id) else {
                    return true;
                };
                seat.renewed();
                seat.owes(*epoch)
            });
            taken.extend(renewals);
        }
        taken
    }

    /// Takes back renewals that did not happen.
    pub fn return_renewals(&self, renewals: Vec<(AgentId, i64)>) {
        for (id, epoch) in renewals {
            let mut shard = self.shard(id);
            let wanted = shard.seats.get_mut(&id).is_none_or(Seat::mark_renewal);
            if wanted {
                shard.renewals.push((id, epoch));
            }
        }
    }

    /// The reports since the last call, at most `limit`.
    pub fn take_reports(&self, limit: usize) -> Vec<Report> {
        let mut taken = Vec::new();
        for shard in &self.shards {
            let mut shard = lock(shard);
            let count = shard.reports.len().min(limit.saturating_sub(taken.len()));
            let ids: Vec<AgentId> = shard.reports.drain(..count).collect();
            taken.extend(
                ids.iter()
                    .filter_map(|id| shard.seats.get_mut(id)?.take_report()),
            );
        }
        taken
    }

    /// Takes back reports that were not written down.
    pub fn return_reports(&self, reports: Vec<Report>) {
        for report in reports {
            let mut shard = self.shard(report.agent_id);
            let id = report.agent_id;
            if shard.seats.get_mut(&id).is_some_and(Seat::mark_report) {
                shard.reports.push(id);
            }
        }
    }

    /// Whether this process heard from that one within `span` before `now`, and it owes heartbeats.
    pub fn heard(&self, id: AgentId, epoch: i64, now: DateTime<Utc>, span: TimeDelta) -> bool {
        let heard = |seat: &Seat| seat.owes(epoch) && seat.heard_since(now - span);
        self.shard(id).seats.get(&id).is_some_and(heard)
    }

    /// Lays what is known here over what is stored, if it is newer.
    pub fn overlay(&self, id: AgentId, epoch: i64, stored: &mut Status) {
        if let Some(seat) = self.shard(id).seats.get(&id) {
            seat.overlay(epoch, stored);
        }
    }

    /// How many agents this process has heard of.
    pub fn size(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| lock(shard).seats.len())
            .sum()
    }

    fn shard(&self, id: AgentId) -> MutexGuard<'_, Shard> {
        // The last byte of a UUIDv7 is random.
        let [.., last] = *id.uuid().as_bytes();
        lock(&self.shards[usize::from(last) % SHARDS])
    }
}

impl Shard {
    fn leave_word(&mut self, id: AgentId, version: i64) {
        self.unseated.truncate(UNSEATED - 1);
        self.unseated.push_front((id, version));
    }
}

impl Default for Fleet {
    fn default() -> Self {
        Self::new()
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // No update leaves a shard half-done, so a panic elsewhere does not spoil it.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
