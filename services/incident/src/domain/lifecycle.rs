//! The verbs that change an incident's status. Each checks the table and its guards, changes the
//! incident and returns the timeline entry that tells of it.

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::IncidentId;
use serde_json::json;

use super::classification::{CloseReason, Priority, ResponseTargets, Severity};
use super::incident::{Incident, ResponseClock};
use super::logged::{Actor, ActorKind};
use super::parts::Resolution;
use super::status::Status;
use super::timeline::{Entry, EntryKind};

/// Why a verb is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The lifecycle has no such edge, or this verb does not take it.
    Transition {
        /// Where it is.
        from: Status,
        /// Where it was to go.
        to: Status,
    },
    /// The edge is legal, and the incident lacks what it needs.
    Incomplete(Vec<&'static str>),
    /// A person decides this.
    NeedsPerson,
}

/// Who acts, and when.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// The principal.
    pub actor: &'a Actor,
    /// The time.
    pub now: DateTime<Utc>,
}

impl Incident {
    fn go(&mut self, to: Status) -> Result<Status, Refusal> {
        let from = self.status;
        if !from.may_become(to) {
            return Err(Refusal::Transition { from, to });
        }
        self.status = to;
        Ok(from)
    }

    /// Somebody acts, which answers the response clock if nothing did before.
    fn respond(&mut self, by: By<'_>) {
        if self.acknowledge_time.is_none() {
            self.acknowledge_time = Some(by.now);
            self.acknowledged_by.clone_from(&by.actor.subject);
        }
    }

    fn needs_person(&self, by: By<'_>) -> Result<(), Refusal> {
        let agent = by.actor.kind == ActorKind::Agent;
        if agent && self.severity.is_grave() {
            Err(Refusal::NeedsPerson)
        } else {
            Ok(())
        }
    }

    /// Somebody takes notice.
    ///
    /// # Errors
    /// When it was acknowledged before.
    pub fn acknowledge(&mut self, by: By<'_>, note: &str) -> Result<Entry, Refusal> {
        // A rule reopens into INVESTIGATING; whoever answers first acknowledges that round.
        let reopened = self.status == Status::Investigating && self.acknowledge_time.is_none();
        if !reopened {
            self.go(Status::Acknowledged)?;
        }
        self.respond(by);
        let late = self.clock.is_breached(self.acknowledge_time, by.now);
        let entry = Entry::noted(EntryKind::Acknowledged, "Acknowledged", note);
        Ok(entry.with(json!({"late": late, "round": self.round})))
    }

    /// Nobody works on it after all.
    ///
    /// # Errors
    /// When it is neither acknowledged nor investigated, or has an assignee.
    pub fn unacknowledge(&mut self, note: &str) -> Result<Entry, Refusal> {
        if self.status.may_become(Status::Detected) && !self.assignee.is_empty() {
            return Err(Refusal::Incomplete(vec![
                "it has an assignee; remove that first",
            ]));
        }
        let from = self.go(Status::Detected)?;
        self.acknowledge_time = None;
        self.acknowledged_by.clear();
        let entry = Entry::noted(EntryKind::Unacknowledged, "Acknowledgement withdrawn", note);
        Ok(entry.with(json!({"from": from})))
    }

    /// The search for the cause begins, or begins again.
    ///
    /// # Errors
    /// When it is being investigated, or over.
    pub fn start_investigation(
        &mut self,
        by: By<'_>,
        assignee: &str,
        note: &str,
    ) -> Result<Entry, Refusal> {
        if !self.status.is_open() {
            let (from, to) = (self.status, Status::Investigating);
            return Err(Refusal::Transition { from, to });
        }
        let from = self.go(Status::Investigating)?;
        self.mitigate_time = None;
        if !assignee.is_empty() {
            assignee.clone_into(&mut self.assignee);
        }
        self.respond(by);
        let summary = match from {
            Status::Mitigating => "Mitigation failed, investigating again",
            Status::Mitigated => "It came back, investigating again",
            _ => "Investigation started",
        };
        let entry = Entry::noted(EntryKind::InvestigationStarted, summary, note);
        Ok(entry.with(json!({"from": from, "assignee": self.assignee})))
    }

    /// The work on stopping the effect begins.
    ///
    /// # Errors
    /// When nobody has acknowledged it, or it is over.
    pub fn start_mitigation(&mut self, by: By<'_>, note: &str) -> Result<Entry, Refusal> {
        let from = self.go(Status::Mitigating)?;
        self.mitigate_time = None;
        self.respond(by);
        let entry = Entry::noted(EntryKind::MitigationStarted, "Mitigation started", note);
        Ok(entry.with(json!({"from": from})))
    }

    /// The effect has stopped.
    ///
    /// # Errors
    /// When it is neither investigated nor being mitigated.
    pub fn mark_mitigated(&mut self, by: By<'_>, note: &str) -> Result<Entry, Refusal> {
        let from = self.go(Status::Mitigated)?;
        self.mitigate_time = Some(by.now);
        self.respond(by);
        let entry = Entry::noted(EntryKind::Mitigated, "Mitigated", note);
        Ok(entry.with(json!({"from": from})))
    }

    /// It is over.
    ///
    /// # Errors
    /// When it is over already, or an agent says so of a grave one.
    pub fn resolve(&mut self, by: By<'_>, resolution: Resolution) -> Result<Entry, Refusal> {
        if self.status.may_become(Status::Resolved) {
            self.needs_person(by)?;
        }
        let from = self.go(Status::Resolved)?;
        self.resolve_time = Some(by.now);
        self.respond(by);
        let entry = Entry::noted(EntryKind::Resolved, "Resolved", &resolution.summary);
        let details = json!({
            "from": from, "type": resolution.kind, "root_cause": resolution.root_cause,
            "permanent": resolution.permanent,
        });
        self.resolution = Some(resolution);
        Ok(entry.with(details))
    }

    /// Nothing more is expected. `planned` is how many actions are still to be done.
    ///
    /// # Errors
    /// When the reason does not fit the status, or something is missing.
    pub fn close(
        &mut self,
        by: By<'_>,
        reason: CloseReason,
        duplicate_of: Option<IncidentId>,
        planned: usize,
        note: &str,
    ) -> Result<Entry, Refusal> {
        let completed = reason == CloseReason::Completed;
        if completed && self.status != Status::Resolved {
            return Err(Refusal::Transition {
                from: self.status,
                to: Status::Closed,
            });
        }
        if self.status.may_become(Status::Closed) {
            self.needs_person(by)?;
            let missing = if completed {
                self.missing_to_close(planned)
            } else {
                Vec::new()
            };
            if !missing.is_empty() {
                return Err(Refusal::Incomplete(missing));
            }
        }
        let from = self.go(Status::Closed)?;
        self.close_time = Some(by.now);
        self.close_reason = Some(reason);
        self.duplicate_of = duplicate_of;
        self.respond(by);
        let entry = Entry::noted(EntryKind::Closed, "Closed", note);
        Ok(entry.with(json!({"from": from, "reason": reason, "duplicate_of": duplicate_of})))
    }

    fn missing_to_close(&self, planned: usize) -> Vec<&'static str> {
        let resolution = self.resolution.as_ref();
        let grave = self.severity.is_grave();
        let mut missing = Vec::new();
        if grave && resolution.is_none_or(|resolution| resolution.root_cause.is_empty()) {
            missing.push("the resolution has no root cause");
        }
        if grave && resolution.is_none_or(|resolution| !resolution.verified) {
            missing.push("the resolution is not verified");
        }
        if planned > 0 {
            missing.push("a planned action is not finished");
        }
        missing
    }

    /// It is not over, or came back: a new round. A person who reopens it answers its clock by
    /// that; a rule does not.
    ///
    /// # Errors
    /// When it is not over, or was closed longer ago than `limit`.
    pub fn reopen(
        &mut self,
        by: By<'_>,
        targets: &ResponseTargets,
        limit: TimeDelta,
        note: &str,
    ) -> Result<Entry, Refusal> {
        if self.status.is_open() {
            return Err(Refusal::Transition {
                from: self.status,
                to: Status::Investigating,
            });
        }
        if self
            .close_time
            .is_some_and(|closed| by.now - closed > limit)
        {
            let why = "it was closed too long ago; open another that is related to it";
            return Err(Refusal::Incomplete(vec![why]));
        }
        let from = self.go(Status::Investigating)?;
        self.round += 1;
        self.clock = ResponseClock::started(targets.of(self.priority), by.now);
        self.reopen_time = Some(by.now);
        self.acknowledge_time = None;
        self.acknowledged_by.clear();
        (self.mitigate_time, self.resolve_time, self.close_time) = (None, None, None);
        (self.close_reason, self.duplicate_of) = (None, None);
        if by.actor.kind != ActorKind::Service {
            self.respond(by);
        }
        let entry = Entry::noted(EntryKind::Reopened, "Reopened", note);
        Ok(entry.with(json!({"from": from, "round": self.round})))
    }

    /// Sets severity and priority; nothing when neither changes. An agent does not make a grave
    /// incident less severe: it could then end it.
    ///
    /// # Errors
    /// When it is closed, or an agent lowers the severity of a grave one.
    pub fn reclassify(
        &mut self,
        by: By<'_>,
        severity: Severity,
        priority: Priority,
        targets: &ResponseTargets,
        note: &str,
    ) -> Result<Option<Entry>, Refusal> {
        if self.status == Status::Closed {
            return Err(Refusal::Transition {
                from: self.status,
                to: self.status,
            });
        }
        if severity > self.severity {
            self.needs_person(by)?;
        }
        Ok(self.set_class((severity, priority), targets, note))
    }

    /// What a rule's signal says of it counts where it is worse; nothing when it is not, or when the
    /// incident is over.
    pub fn worsen(
        &mut self,
        severity: Severity,
        priority: Priority,
        targets: &ResponseTargets,
        why: &str,
    ) -> Option<Entry> {
        if !self.status.is_open() {
            return None;
        }
        // Words are ordered from worst to least.
        let worse = (self.severity.min(severity), self.priority.min(priority));
        self.set_class(worse, targets, why)
    }

    fn set_class(
        &mut self,
        (severity, priority): (Severity, Priority),
        targets: &ResponseTargets,
        note: &str,
    ) -> Option<Entry> {
        let before = (self.severity, self.priority);
        if before == (severity, priority) {
            return None;
        }
        (self.severity, self.priority) = (severity, priority);
        self.clock.target = targets.of(priority);
        // Words are ordered from worst to least: less is worse.
        let raised = severity < before.0 || priority < before.1;
        let (kind, verb) = if raised {
            (EntryKind::Escalated, "Raised")
        } else {
            (EntryKind::Deescalated, "Lowered")
        };
        let summary = format!("{verb} to {severity} {priority}");
        Some(Entry::noted(kind, &summary, note).with(json!({
            "from": {"severity": before.0, "priority": before.1},
            "to": {"severity": severity, "priority": priority},
        })))
    }

    /// Writes a breach of the response clock, once a round; nothing when there is none to write.
    pub fn record_breach(&mut self, now: DateTime<Utc>) -> Option<Entry> {
        let late = self.acknowledge_time.is_none() && self.clock.is_breached(None, now);
        if !late || !self.status.is_open() || self.clock.breach_record_time.is_some() {
            return None;
        }
        self.clock.breach_record_time = Some(now);
        let minutes = self.clock.target.num_minutes();
        let summary = format!(
            "Nobody responded within {minutes} minutes ({})",
            self.priority
        );
        let details = json!({"due_time": self.clock.due_time(), "round": self.round});
        Some(Entry::new(EntryKind::ResponseOverdue, summary).with(details))
    }
}
