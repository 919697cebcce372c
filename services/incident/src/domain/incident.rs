//! One trouble: its facts, its clocks and what may be derived from them.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::{IncidentId, RuleId, TenantId};

use super::canonical::{Digest, GENESIS};
use super::classification::{Category, CloseReason, Priority, ResponseTargets, Severity, Source};
use super::logged::Actor;
use super::parts::{Impact, Resolution};
use super::status::Status;

/// An incident without its timeline, parts and evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// The tenant.
    pub tenant_id: TenantId,
    /// Grows with each change.
    pub version: i64,
    /// The project that it concerns; empty when none.
    pub project_id: String,
    /// One line.
    pub title: String,
    /// What is known.
    pub description: String,
    /// How bad it is.
    pub severity: Severity,
    /// How soon somebody must respond.
    pub priority: Priority,
    /// Place in the lifecycle.
    pub status: Status,
    /// What part of the estate is concerned.
    pub category: Category,
    /// Who noticed.
    pub source: Source,
    /// Who deals with it; empty when nobody.
    pub assignee: String,
    /// For filtering.
    pub labels: BTreeMap<String, String>,
    /// How it ended.
    pub resolution: Option<Resolution>,
    /// The rule that opened it.
    pub rule_id: Option<RuleId>,
    /// What makes two troubles the same; only what a rule opened has one.
    pub key: Option<Digest>,
    /// Signals attached.
    pub signal_count: i64,
    /// When the newest signal occurred.
    pub last_signal_time: Option<DateTime<Utc>>,
    /// Related incidents.
    pub related: Vec<IncidentId>,
    /// Why it was closed.
    pub close_reason: Option<CloseReason>,
    /// The incident that it repeats.
    pub duplicate_of: Option<IncidentId>,
    /// The round: 1, and one more for each reopening.
    pub round: i32,
    /// The response clock of the round.
    pub clock: ResponseClock,
    /// When it was first detected.
    pub detect_time: DateTime<Utc>,
    /// When it was acknowledged in this round.
    pub acknowledge_time: Option<DateTime<Utc>>,
    /// By whom.
    pub acknowledged_by: String,
    /// When its effect stopped in this round.
    pub mitigate_time: Option<DateTime<Utc>>,
    /// When it was resolved in this round.
    pub resolve_time: Option<DateTime<Utc>>,
    /// When it was closed in this round.
    pub close_time: Option<DateTime<Utc>>,
    /// When it was last reopened.
    pub reopen_time: Option<DateTime<Utc>>,
    /// When the record was made.
    pub create_time: DateTime<Utc>,
    /// When it last changed.
    pub update_time: DateTime<Utc>,
    /// Who opened it.
    pub created_by: String,
    /// Entries in the timeline.
    pub timeline_count: i64,
    /// Hash of the newest entry.
    pub timeline_hash: Digest,
}

/// By when somebody must respond, in the current round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseClock {
    /// How long the priority allows.
    pub target: TimeDelta,
    /// When the round began.
    pub start_time: DateTime<Utc>,
    /// When the breach was written to the timeline.
    pub breach_record_time: Option<DateTime<Utc>>,
}

impl ResponseClock {
    /// A clock that starts now.
    pub fn started(target: TimeDelta, start_time: DateTime<Utc>) -> Self {
        Self {
            target,
            start_time,
            breach_record_time: None,
        }
    }

    /// By when.
    pub fn due_time(&self) -> DateTime<Utc> {
        self.start_time + self.target
    }

    /// Whether the response is, or was, late.
    pub fn is_breached(&self, response: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
        response.map_or(now >= self.due_time(), |response| {
            response > self.due_time()
        })
    }
}

/// What is needed to open an incident.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The project; empty when none.
    pub project_id: String,
    /// One line.
    pub title: String,
    /// What is known.
    pub description: String,
    /// How bad it is.
    pub severity: Severity,
    /// How soon somebody must respond.
    pub priority: Priority,
    /// What part of the estate is concerned.
    pub category: Category,
    /// Who noticed.
    pub source: Source,
    /// Who deals with it.
    pub assignee: String,
    /// For filtering.
    pub labels: BTreeMap<String, String>,
    /// The rule that opens it.
    pub rule_id: Option<RuleId>,
    /// What makes two troubles the same.
    pub key: Option<Digest>,
    /// Related incidents.
    pub related: Vec<IncidentId>,
    /// When it was detected.
    pub detect_time: DateTime<Utc>,
}

impl Incident {
    /// A new incident, in DETECTED. A detection in the future, which a skewed clock may claim,
    /// counts as now.
    pub fn open(
        opening: Opening,
        targets: &ResponseTargets,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Self {
        let detect_time = opening.detect_time.min(now);
        Self {
            id: IncidentId::new(),
            tenant_id: opening.tenant_id,
            version: 1,
            project_id: opening.project_id,
            title: opening.title,
            description: opening.description,
            severity: opening.severity,
            priority: opening.priority,
            status: Status::Detected,
            category: opening.category,
            source: opening.source,
            assignee: opening.assignee,
            labels: opening.labels,
            resolution: None,
            rule_id: opening.rule_id,
            key: opening.key,
            signal_count: 0,
            last_signal_time: None,
            related: opening.related,
            close_reason: None,
            duplicate_of: None,
            round: 1,
            clock: ResponseClock::started(targets.of(opening.priority), detect_time),
            detect_time,
            acknowledge_time: None,
            acknowledged_by: String::new(),
            mitigate_time: None,
            resolve_time: None,
            close_time: None,
            reopen_time: None,
            create_time: now,
            update_time: now,
            created_by: actor.subject.clone(),
            timeline_count: 0,
            timeline_hash: GENESIS,
        }
    }

    /// The durations of the round.
    pub fn figures(&self, impacts: &[Impact]) -> Figures {
        let since_start =
            |time: Option<DateTime<Utc>>| time.map(|time| time - self.clock.start_time);
        let first_impact = impacts.iter().map(|impact| impact.start_time).min();
        Figures {
            acknowledge: since_start(self.acknowledge_time),
            mitigate: since_start(self.mitigate_time),
            resolve: since_start(self.resolve_time),
            detect: first_impact.map(|start| (self.detect_time - start).max(TimeDelta::zero())),
        }
    }
}

/// The durations that reports are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// To the acknowledgement.
    pub acknowledge: Option<TimeDelta>,
    /// To the mitigation.
    pub mitigate: Option<TimeDelta>,
    /// To the resolution.
    pub resolve: Option<TimeDelta>,
    /// From the first impact to the detection.
    pub detect: Option<TimeDelta>,
}
