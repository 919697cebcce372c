//! What a rule does to an incident: opens it, attaches a signal to it, reopens it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use reeve_events::NewEvent;
use reeve_ids::IncidentId;
use serde_json::json;
use sqlx::PgConnection;

use super::change::{self, event};
use super::{Operations, change::SOURCE};
use crate::domain::alert::AlertState;
use crate::domain::canonical::Digest;
use crate::domain::classification::Source;
use crate::domain::evidence::{
    Evidence, EvidenceState, FailedAttempt, MOST_BYTES, MOST_EVIDENCE, Trouble,
};
use crate::domain::incident::{Incident, Opening};
use crate::domain::lifecycle::By;
use crate::domain::logged::{Actor, Logged};
use crate::domain::markdown::block;
use crate::domain::rule::{Group, Rule};
use crate::domain::timeline::{Entry, EntryKind, MOST_ENTRIES};
use crate::domain::title::title;
use crate::error::Error;
use crate::storage::alerts::Counted;
use crate::storage::{alerts, events, evidence, incidents};

/// What a transaction of the rules has to tell others when it commits.
#[derive(Debug, Default)]
pub struct Opened {
    /// Events of incidents.
    pub events: Vec<NewEvent>,
    /// Whether evidence waits for its task.
    pub pending_evidence: bool,
    /// How many incidents are new.
    pub count: u64,
}

/// A signal that leads to an incident.
#[derive(Debug)]
pub struct Signal<'a> {
    /// The rule that found it.
    pub rule: &'a Rule,
    /// The event.
    pub entry: &'a Logged,
    /// Its alert.
    pub alert: Counted,
    /// The values that the rule groups by.
    pub group: Group,
    /// What makes two troubles the same.
    pub key: Digest,
    /// Signals in the window.
    pub count: i64,
}

impl Operations {
    /// The trouble is new.
    pub(super) async fn open_by_rule(
        &self,
        connection: &mut PgConnection,
        signal: &Signal<'_>,
        related: Option<IncidentId>,
        opened: &mut Opened,
    ) -> Result<(), Error> {
        let now = self.now();
        let actor = Actor::system();
        let opening = opening(signal, related);
        let mut incident = Incident::open(opening, &self.policy.targets, &actor, now);
        incidents::insert(connection, &incident).await?;
        opened.count += 1;
        let fact = &signal.entry.fact;
        let summary = format!("Detected by rule {}: {}", signal.rule.name, incident.title);
        let entry = Entry::new(EntryKind::Detected, summary).with(json!({
            "rule": signal.rule.name, "event_id": fact.id, "event_type": fact.kind,
            "resource_id": fact.resource_id, "signals": signal.count, "group": signal.group,
        }));
        self.take(
            connection,
            signal,
            &mut incident,
            AlertState::Firing,
            opened,
        )
        .await?;
        self.tell(connection, &mut incident, vec![entry], now, opened)
            .await
    }

    /// The trouble is known: it counts, and its evidence is kept while there is room.
    pub(super) async fn attach(
        &self,
        connection: &mut PgConnection,
        signal: &Signal<'_>,
        id: IncidentId,
        opened: &mut Opened,
    ) -> Result<(), Error> {
        let (tenant, event) = (signal.rule.tenant_id, signal.entry.fact.id);
        let found = incidents::lock(connection, tenant, id).await?;
        let mut incident = found.ok_or_else(|| Error::no_incident(id))?;
        let counted = alerts::is_attached(connection, tenant, event, id).await?;
        let state = if incident.status.is_open() {
            AlertState::Firing
        } else {
            AlertState::Resolved
        };
        let mut entries: Vec<Entry> = self.join(signal, &mut incident).into_iter().collect();
        if counted {
            let ids = (signal.rule.id, event, signal.alert.id);
            alerts::attach(connection, tenant, ids, id, state).await?;
        } else {
            self.take(connection, signal, &mut incident, state, opened)
                .await?;
            entries.extend(told(signal, &incident));
        }
        let now = self.now().max(incident.update_time);
        match (entries.is_empty(), counted) {
            (true, true) => Ok(()),
            (true, false) => change::save(connection, &mut incident, now).await,
            (false, _) => {
                self.tell(connection, &mut incident, entries, now, opened)
                    .await
            }
        }
    }

    /// What a rule says of an incident counts when its alert joins it, where it is worse. Once: who
    /// lowers it afterwards knows more than the rule.
    fn join(&self, signal: &Signal<'_>, incident: &mut Incident) -> Option<Entry> {
        if signal.alert.incident == Some(incident.id) {
            return None;
        }
        let (rule, targets) = (signal.rule, &self.policy.targets);
        let why = format!("rule {} saw it too", rule.name);
        incident.worsen(rule.severity, rule.priority, targets, &why)
    }

    /// The trouble came back soon after it was over.
    pub(super) async fn reopen_by_rule(
        &self,
        connection: &mut PgConnection,
        signal: &Signal<'_>,
        id: IncidentId,
        opened: &mut Opened,
    ) -> Result<(), Error> {
        let found = incidents::lock(connection, signal.rule.tenant_id, id).await?;
        let mut incident = found.ok_or_else(|| Error::no_incident(id))?;
        let actor = Actor::system();
        let now = self.now().max(incident.update_time);
        let by = By { actor: &actor, now };
        let (targets, limit) = (self.policy.targets, self.policy.reopen_limit);
        let note = format!("rule {} saw it again", signal.rule.name);
        let Ok(entry) = incident.reopen(by, &targets, limit, &note) else {
            // Closed longer ago than anything may be reopened, though the rule would.
            return self
                .open_by_rule(connection, signal, Some(id), opened)
                .await;
        };
        let entries = [Some(entry), self.join(signal, &mut incident)];
        self.take(
            connection,
            signal,
            &mut incident,
            AlertState::Firing,
            opened,
        )
        .await?;
        let entries = entries.into_iter().flatten().collect();
        self.tell(connection, &mut incident, entries, now, opened)
            .await
    }

    /// Counts a signal and keeps its evidence.
    async fn take(
        &self,
        connection: &mut PgConnection,
        signal: &Signal<'_>,
        incident: &mut Incident,
        state: AlertState,
        opened: &mut Opened,
    ) -> Result<(), Error> {
        let fact = &signal.entry.fact;
        let tenant = fact.tenant_id;
        let ids = (signal.rule.id, fact.id, signal.alert.id);
        alerts::attach(connection, tenant, ids, incident.id, state).await?;
        incident.signal_count += 1;
        incident.last_signal_time = incident.last_signal_time.max(Some(fact.occur_time));
        let (pieces, bytes) = evidence::count(connection, tenant, incident.id).await?;
        if pieces >= MOST_EVIDENCE {
            return Ok(());
        }
        let trouble = Trouble::of(fact);
        let subject = (trouble.task_id.as_str(), trouble.execution_id.as_str());
        let position = signal.entry.position;
        let attempts = events::attempts(connection, tenant, subject, position).await?;
        let attempts = attempts
            .iter()
            .map(|entry| FailedAttempt::from(&entry.fact))
            .collect();
        let kept = Evidence::new(fact.clone(), attempts, self.now());
        let weight = kept.weight();
        if bytes + weight > MOST_BYTES {
            return Ok(());
        }
        opened.pending_evidence |= kept.state == EvidenceState::Pending;
        Ok(evidence::insert(connection, incident.id, position, &kept, weight).await?)
    }

    /// Writes timeline entries of the service's own, and the events that tell of them.
    pub(super) async fn tell(
        &self,
        connection: &mut PgConnection,
        incident: &mut Incident,
        entries: Vec<Entry>,
        now: DateTime<Utc>,
        opened: &mut Opened,
    ) -> Result<(), Error> {
        let actor = Actor::system();
        let written = change::record(connection, incident, entries, &actor, now).await?;
        change::save(connection, incident, now).await?;
        let by = reeve_events::Actor::service(SOURCE);
        opened.events.extend(
            written
                .iter()
                .map(|entry| event(incident, entry, by.clone(), now)),
        );
        Ok(())
    }
}

/// The entry that tells of another signal: the second, fourth, eighth and so on are worth one.
fn told(signal: &Signal<'_>, incident: &Incident) -> Option<Entry> {
    let count = incident.signal_count;
    if count.count_ones() != 1 || incident.timeline_count >= MOST_ENTRIES {
        return None;
    }
    let summary = format!("The same trouble again: {count} signals so far");
    let details =
        json!({"signals": count, "event_id": signal.entry.fact.id, "rule": signal.rule.name});
    Some(Entry::new(EntryKind::SignalAttached, summary).with(details))
}

fn opening(signal: &Signal<'_>, related: Option<IncidentId>) -> Opening {
    let Signal {
        rule,
        entry,
        group,
        key,
        count,
        ..
    } = signal;
    let trouble = Trouble::of(&entry.fact);
    let error = match trouble.error_message.as_str() {
        "" => String::new(),
        message => format!("\n\nThe error:\n\n{}", block(message)),
    };
    let description = format!(
        "Opened by rule `{}` for `{}` of {} `{}`.{error}",
        rule.name, entry.fact.kind, entry.fact.resource_type, entry.fact.resource_id,
    );
    Opening {
        tenant_id: rule.tenant_id,
        project_id: trouble.project_id,
        title: title(rule, &entry.fact, group, *count),
        description,
        severity: rule.severity,
        priority: rule.priority,
        category: rule.category,
        source: Source::Rule,
        assignee: String::new(),
        labels: BTreeMap::new(),
        rule_id: Some(rule.id),
        key: Some(*key),
        related: related.into_iter().collect(),
        detect_time: entry.fact.occur_time,
    }
}
