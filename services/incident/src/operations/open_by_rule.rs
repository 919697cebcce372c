//! What a rule does to an incident: opens it, attaches a signal to it, reopens it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use reeve_events::NewEvent;
use reeve_ids::{AlertId, IncidentId};
use serde_json::json;
use sqlx::PgConnection;

use super::change::{self, event};
use super::title::title;
use super::{Operations, change::SOURCE};
use crate::domain::alert::AlertState;
use crate::domain::canonical::Digest;
use crate::domain::classification::Source;
use crate::domain::evidence::{Evidence, EvidenceState, FailedAttempt, MOST_EVIDENCE, Trouble};
use crate::domain::incident::{Incident, Opening};
use crate::domain::lifecycle::By;
use crate::domain::logged::{Actor, Logged};
use crate::domain::rule::{Group, Rule};
use crate::domain::timeline::{Entry, EntryKind, MOST_ENTRIES};
use crate::error::Error;
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
    pub alert: AlertId,
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
        self.tell(connection, &mut incident, entry, now, opened)
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
        let counted = alerts::is_attached(connection, event, id).await?;
        let open = incident.status.is_open();
        let state = if open {
            AlertState::Firing
        } else {
            AlertState::Resolved
        };
        if counted {
            let ids = (signal.rule.id, event, signal.alert);
            return Ok(alerts::attach(connection, ids, id, state).await?);
        }
        self.take(connection, signal, &mut incident, state, opened)
            .await?;
        let now = self.now().max(incident.update_time);
        let count = incident.signal_count;
        let worth_telling = count.count_ones() == 1 && incident.timeline_count < MOST_ENTRIES;
        if !worth_telling {
            return change::save(connection, &mut incident, now).await;
        }
        let summary = format!("The same trouble again: {count} signals so far");
        let entry = Entry::new(EntryKind::SignalAttached, summary)
            .with(json!({"signals": count, "event_id": event, "rule": signal.rule.name}));
        self.tell(connection, &mut incident, entry, now, opened)
            .await
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
        self.take(
            connection,
            signal,
            &mut incident,
            AlertState::Firing,
            opened,
        )
        .await?;
        self.tell(connection, &mut incident, entry, now, opened)
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
        let ids = (signal.rule.id, fact.id, signal.alert);
        alerts::attach(connection, ids, incident.id, state).await?;
        incident.signal_count += 1;
        incident.last_signal_time = incident.last_signal_time.max(Some(fact.occur_time));
        if evidence::count(connection, incident.id).await? >= MOST_EVIDENCE {
            return Ok(());
        }
        let trouble = Trouble::of(fact);
        let subject = (trouble.task_id.as_str(), trouble.execution_id.as_str());
        let attempts =
            events::attempts(connection, fact.tenant_id, subject, signal.entry.position).await?;
        let attempts = attempts
            .iter()
            .map(|entry| FailedAttempt::from(&entry.fact))
            .collect();
        let kept = Evidence::new(fact.clone(), attempts, self.now());
        opened.pending_evidence |= kept.state == EvidenceState::Pending;
        Ok(evidence::insert(connection, incident.id, signal.entry.position, &kept).await?)
    }

    /// Writes a timeline entry of the service's own, and the event that tells of it.
    pub(super) async fn tell(
        &self,
        connection: &mut PgConnection,
        incident: &mut Incident,
        entry: Entry,
        now: DateTime<Utc>,
        opened: &mut Opened,
    ) -> Result<(), Error> {
        let actor = Actor::system();
        let written = change::record(connection, incident, vec![entry], &actor, now).await?;
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
        message => format!("\n\nThe error:\n\n{}", indented(message)),
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

/// A text as a block of code in Markdown: what it says cannot pose as part of the document.
fn indented(text: &str) -> String {
    text.lines()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}
