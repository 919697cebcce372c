//! What every change of an incident has in common: the lock, the etag, the timeline, the events,
//! the commit.

use chrono::{DateTime, Utc};
use reeve_auth::Caller;
use reeve_events::NewEvent;
use reeve_ids::IncidentId;
use reeve_postgres::Tx;
use serde_json::json;
use sqlx::PgConnection;

use super::view::View;
use super::{Operations, actor};
use crate::domain::incident::Incident;
use crate::domain::lifecycle::{By, Refusal};
use crate::domain::logged::Actor;
use crate::domain::timeline::{Entry, EntryKind, MOST_ENTRIES, TimelineEvent};
use crate::error::Error;
use crate::storage::requests::{self, Key};
use crate::storage::{incidents, timeline};

/// The source of this service's events.
pub const SOURCE: &str = "incident";

/// Entries that are kept free for the lifecycle when a timeline is full of updates.
const RESERVED_ENTRIES: i64 = 200;

/// A change under way: the incident's row is locked.
pub struct Change {
    /// The transaction.
    pub tx: Tx,
    /// The incident, to be changed.
    pub incident: Incident,
    /// When; never before the incident's last change, whatever this host's clock says.
    pub now: DateTime<Utc>,
    actor: Actor,
    event_actor: reeve_events::Actor,
}

/// A change that may have been made before.
pub enum Start {
    /// It was not: go on.
    Fresh(Box<Change>),
    /// It was: this is the incident now.
    Repeated(Box<View>),
}

impl Change {
    /// Locks an incident. An etag, when given, must be its current one.
    pub async fn begin(
        operations: &Operations,
        caller: &Caller,
        id: IncidentId,
        etag: Option<i64>,
    ) -> Result<Self, Error> {
        let change = Self::lock(operations, caller, id).await?;
        change.compare(etag)?;
        Ok(change)
    }

    /// As [`Change::begin`], for a request that a client may repeat. The repetition is looked for
    /// before the etag is compared: the first request has changed it.
    pub async fn begin_once(
        operations: &Operations,
        caller: &Caller,
        id: IncidentId,
        etag: Option<i64>,
        key: Option<&Key>,
    ) -> Result<Start, Error> {
        let mut change = Self::lock(operations, caller, id).await?;
        if let Some(key) = key {
            let (tenant, now) = (caller.tenant(), change.now);
            let earlier = requests::claim(&mut change.tx, tenant, key, id.uuid(), now).await?;
            if let Some(earlier) = earlier {
                if earlier.digest != key.digest {
                    return Err(Error::RequestIdReused(key.request_id.clone()));
                }
                let view = View::for_answer(&mut change.tx, change.incident, now).await?;
                return Ok(Start::Repeated(Box::new(view)));
            }
        }
        change.compare(etag)?;
        Ok(Start::Fresh(Box::new(change)))
    }

    async fn lock(operations: &Operations, caller: &Caller, id: IncidentId) -> Result<Self, Error> {
        let mut tx = operations.database.tenant(caller.tenant()).await?;
        let found = incidents::lock(&mut tx, caller.tenant(), id).await?;
        let incident = found.ok_or_else(|| Error::no_incident(id))?;
        let now = operations.now().max(incident.update_time);
        Ok(Self {
            tx,
            incident,
            now,
            actor: actor(caller),
            event_actor: caller.into(),
        })
    }

    fn compare(&self, etag: Option<i64>) -> Result<(), Error> {
        let current = self.incident.version;
        match etag {
            Some(etag) if etag != current => Err(Error::EtagMismatch {
                kind: "incident",
                id: self.incident.id.to_string(),
                current,
            }),
            _ => Ok(()),
        }
    }

    /// Applies a verb of the domain.
    pub fn apply<T>(
        &mut self,
        verb: impl FnOnce(&mut Incident, By<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Error> {
        let by = By {
            actor: &self.actor,
            now: self.now,
        };
        let incident = self.incident.id;
        verb(&mut self.incident, by).map_err(|refusal| Error::Refused { incident, refusal })
    }

    /// The principal's stable name.
    pub fn subject(&self) -> &str {
        &self.actor.subject
    }

    /// Refuses another entry that is not the lifecycle's own when the timeline is almost full.
    pub fn check_room(&self) -> Result<(), Error> {
        if self.incident.timeline_count < MOST_ENTRIES - RESERVED_ENTRIES {
            return Ok(());
        }
        Err(Error::Limit {
            subject: format!("incident/{}", self.incident.id),
            what: "timeline entries",
            limit: MOST_ENTRIES,
        })
    }

    /// Saves the incident with the entries that tell of the change, commits, and reads it anew.
    /// Without an entry nothing has changed.
    pub async fn finish(
        mut self,
        operations: &Operations,
        entries: Vec<Entry>,
    ) -> Result<View, Error> {
        if entries.is_empty() {
            return View::for_answer(&mut self.tx, self.incident, self.now).await;
        }
        let written = record(
            &mut self.tx,
            &mut self.incident,
            entries,
            &self.actor,
            self.now,
        )
        .await?;
        let events = written
            .iter()
            .map(|entry| event(&self.incident, entry, self.event_actor.clone(), self.now));
        let events: Vec<_> = events.collect();
        save(&mut self.tx, &mut self.incident, self.now).await?;
        reeve_events::append(&mut self.tx, SOURCE, events).await?;
        let view = View::for_answer(&mut self.tx, self.incident, self.now).await?;
        self.tx.commit().await?;
        operations.wake.notify();
        Ok(view)
    }
}

/// Appends entries to an incident's timeline; the row is locked.
pub(super) async fn record(
    connection: &mut PgConnection,
    incident: &mut Incident,
    entries: Vec<Entry>,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<Vec<TimelineEvent>, Error> {
    let mut written = Vec::with_capacity(entries.len());
    for entry in entries {
        let (count, hash) = (incident.timeline_count, incident.timeline_hash);
        let event = TimelineEvent::append(count, hash, entry, actor, now);
        timeline::append(connection, incident.tenant_id, incident.id, &event).await?;
        (incident.timeline_count, incident.timeline_hash) = (event.sequence, event.hash);
        written.push(event);
    }
    Ok(written)
}

/// Writes an incident under a new version; the row is locked.
pub(super) async fn save(
    connection: &mut PgConnection,
    incident: &mut Incident,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    incident.version += 1;
    incident.update_time = now;
    Ok(incidents::update(connection, incident).await?)
}

/// What the rest of the system hears of a timeline entry.
pub(super) fn event(
    incident: &Incident,
    entry: &TimelineEvent,
    actor: reeve_events::Actor,
    now: DateTime<Utc>,
) -> NewEvent {
    let kind = entry.entry.kind.event();
    let mut data = json!({
        "title": incident.title,
        "status": incident.status,
        "severity": incident.severity,
        "priority": incident.priority,
        "category": incident.category,
        "round": incident.round,
        "summary": entry.entry.summary,
        "details": entry.entry.details,
    });
    if entry.entry.kind == EntryKind::Detected {
        data["rule_id"] = json!(incident.rule_id);
        data["project_id"] = json!(incident.project_id);
    }
    NewEvent::new(
        incident.tenant_id,
        actor,
        now,
        kind,
        ("incident", incident.id),
    )
    .with(data)
}
