//! What happened to an incident: entries that are appended, numbered and chained.

use chrono::{DateTime, Utc};
use serde_json::{Value as Json, json};

use super::canonical::{Digest, GENESIS, Hasher};
use super::logged::Actor;
use super::words::words;

/// Entries that one timeline may hold.
pub const MOST_ENTRIES: i64 = 10_000;

words! {
    /// The kind of a timeline entry.
    EntryKind {
        /// It was detected.
        Detected = "DETECTED",
        /// It was acknowledged.
        Acknowledged = "ACKNOWLEDGED",
        /// The search for its cause began.
        InvestigationStarted = "INVESTIGATION_STARTED",
        /// The work on stopping its effect began.
        MitigationStarted = "MITIGATION_STARTED",
        /// Its effect stopped.
        Mitigated = "MITIGATED",
        /// Its severity or priority was raised.
        Escalated = "ESCALATED",
        /// It was resolved.
        Resolved = "RESOLVED",
        /// It was closed.
        Closed = "CLOSED",
        /// It came back, or was not over.
        Reopened = "REOPENED",
        /// Somebody told how it stands.
        StatusUpdate = "STATUS_UPDATE",
        /// An action was planned, taken or finished.
        ActionTaken = "ACTION_TAKEN",
        /// An acknowledgement was withdrawn.
        Unacknowledged = "UNACKNOWLEDGED",
        /// Its severity or priority was lowered.
        Deescalated = "DEESCALATED",
        /// Its description changed.
        Updated = "UPDATED",
        /// The same trouble happened again.
        SignalAttached = "SIGNAL_ATTACHED",
        /// An impact was added or ended.
        ImpactChanged = "IMPACT_CHANGED",
        /// A communication or a reply was recorded.
        CommunicationRecorded = "COMMUNICATION_RECORDED",
        /// The resolution was completed or verified.
        ResolutionChanged = "RESOLUTION_CHANGED",
        /// Nobody responded in time.
        ResponseOverdue = "RESPONSE_OVERDUE",
        /// Evidence was collected, or could not be.
        EvidenceCollected = "EVIDENCE_COLLECTED",
    }
}

impl EntryKind {
    /// The event that tells the rest of the system.
    pub const fn event(self) -> &'static str {
        match self {
            Self::Detected => "incident.opened",
            Self::Acknowledged => "incident.acknowledged",
            Self::InvestigationStarted => "incident.investigation_started",
            Self::MitigationStarted => "incident.mitigation_started",
            Self::Mitigated => "incident.mitigated",
            Self::Escalated => "incident.escalated",
            Self::Resolved => "incident.resolved",
            Self::Closed => "incident.closed",
            Self::Reopened => "incident.reopened",
            Self::StatusUpdate => "incident.status_updated",
            Self::ActionTaken => "incident.action_taken",
            Self::Unacknowledged => "incident.unacknowledged",
            Self::Deescalated => "incident.deescalated",
            Self::Updated => "incident.updated",
            Self::SignalAttached => "incident.signal_attached",
            Self::ImpactChanged => "incident.impact_changed",
            Self::CommunicationRecorded => "incident.communication_recorded",
            Self::ResolutionChanged => "incident.resolution_changed",
            Self::ResponseOverdue => "incident.response_overdue",
            Self::EvidenceCollected => "incident.evidence_collected",
        }
    }
}

/// An entry about to be appended: an effect of a verb, as data.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Kind of entry.
    pub kind: EntryKind,
    /// One line for people.
    pub summary: String,
    /// Particulars, a JSON object.
    pub details: Json,
}

impl Entry {
    /// An entry with a summary alone.
    pub fn new(kind: EntryKind, summary: impl Into<String>) -> Self {
        Self {
            kind,
            summary: summary.into(),
            details: json!({}),
        }
    }

    /// An entry whose summary ends with what the caller noted, if anything.
    pub fn noted(kind: EntryKind, summary: &str, note: &str) -> Self {
        if note.is_empty() {
            return Self::new(kind, summary);
        }
        Self::new(kind, format!("{summary}: {note}"))
    }

    /// Adds particulars.
    #[must_use]
    pub fn with(mut self, details: Json) -> Self {
        self.details = details;
        self
    }
}

/// An entry in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct TimelineEvent {
    /// Number in the incident, from 1, without gaps.
    pub sequence: i64,
    /// When it was written.
    pub create_time: DateTime<Utc>,
    /// Who did it.
    pub actor: Actor,
    /// What.
    pub entry: Entry,
    /// Hash of the entry before.
    pub previous_hash: Digest,
    /// Hash of this entry.
    pub hash: Digest,
}

impl TimelineEvent {
    /// Puts an entry behind the `count` entries that end with `previous_hash`.
    pub fn append(
        count: i64,
        previous_hash: Digest,
        entry: Entry,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Self {
        let mut event = Self {
            sequence: count + 1,
            create_time: now,
            actor: actor.clone(),
            entry,
            previous_hash,
            hash: previous_hash,
        };
        event.hash = event.computed();
        event
    }

    fn computed(&self) -> Digest {
        Hasher::new("reeve.incident.timeline.v1")
            .bytes(&self.previous_hash)
            .number(self.sequence)
            .text(self.entry.kind.as_str())
            .number(self.create_time.timestamp_micros())
            .text(self.actor.kind.as_str())
            .text(&self.actor.subject)
            .text(&self.actor.display_name)
            .text(&self.entry.summary)
            .json(&self.entry.details)
            .finish()
    }
}

/// Whether consecutive entries are whole and fit each other.
fn is_intact(events: &[TimelineEvent]) -> bool {
    let whole = events.iter().all(|event| event.computed() == event.hash);
    let linked = events.windows(2).all(|pair| {
        pair[1].previous_hash == pair[0].hash && pair[1].sequence == pair[0].sequence + 1
    });
    whole && linked
}

/// Whether these are the newest entries of a timeline of `count` that ends with `hash`, `most` of
/// them or all there are, and whole. A removed entry shows, whichever it was.
pub fn is_proven(events: &[TimelineEvent], (count, hash): (i64, &Digest), most: i64) -> bool {
    let first = count - count.min(most) + 1;
    let begins = match events.first() {
        Some(event) if first == 1 => event.sequence == 1 && event.previous_hash == GENESIS,
        Some(event) => event.sequence == first,
        None => count == 0,
    };
    let ends = events
        .last()
        .is_none_or(|event| event.sequence == count && event.hash == *hash);
    begins && ends && is_intact(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Vec<TimelineEvent> {
        let now = DateTime::from_timestamp(1_790_000_000, 0).expect("a time");
        let mut events: Vec<TimelineEvent> = Vec::new();
        for text in ["a", "b", "c"] {
            let (count, hash) = events.last().map_or((0, GENESIS), |e| (e.sequence, e.hash));
            let entry = Entry::new(EntryKind::StatusUpdate, text);
            events.push(TimelineEvent::append(
                count,
                hash,
                entry,
                &Actor::system(),
                now,
            ));
        }
        events
    }

    #[test]
    fn an_untouched_timeline_is_intact() {
        assert!(is_intact(&three()) && is_intact(&three()[1..]) && is_intact(&[]));
    }

    #[test]
    fn an_edited_removed_or_swapped_entry_shows() {
        let mut edited = three();
        edited[1].entry.summary = "forged".into();
        assert!(!is_intact(&edited));
        let mut removed = three();
        removed.remove(1);
        assert!(!is_intact(&removed));
        let mut swapped = three();
        swapped.swap(0, 1);
        assert!(!is_intact(&swapped));
    }

    #[test]
    fn what_is_missing_at_either_end_shows() {
        let whole = three();
        let end = (3, &whole[2].hash);
        assert!(is_proven(&whole, end, 100) && is_proven(&whole[1..], end, 2));
        assert!(is_proven(&[], (0, &GENESIS), 100));
        for cut in [&whole[1..], &whole[..2], &[]] {
            assert!(!is_proven(cut, end, 100), "{} are left", cut.len());
        }
        assert!(!is_proven(&whole[2..], end, 2));
        let other = (3, &whole[1].hash);
        assert!(!is_proven(&whole, other, 100));
    }

    #[test]
    fn each_kind_raises_an_event_of_its_own() {
        let events: std::collections::BTreeSet<_> =
            EntryKind::ALL.iter().map(|kind| kind.event()).collect();
        assert_eq!(events.len(), EntryKind::ALL.len());
        assert!(events.iter().all(|event| event.starts_with("incident.")));
    }
}
