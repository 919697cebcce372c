//! An event in the tenant's log: the event of its source, its number and its place in the chain of
//! hashes. It is the audit entry too.

use chrono::{DateTime, Utc};
use reeve_ids::{EventId, TenantId};
use serde_json::Value as Json;

use super::canonical::{Digest, Hasher};
use super::words::words;

words! {
    /// The sort of principal that caused an event.
    ActorKind {
        /// A person, or a program acting for one.
        User = "USER",
        /// An agent.
        Agent = "AGENT",
        /// One of Reeve's own services.
        Service = "SERVICE",
    }
}

/// Who caused an event.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Actor {
    /// Sort of principal.
    pub kind: ActorKind,
    /// Stable name.
    pub subject: String,
    /// Name for people at that time.
    pub display_name: String,
}

impl Actor {
    /// This service by itself.
    pub fn system() -> Self {
        Self {
            kind: ActorKind::Service,
            subject: "service:incident".to_owned(),
            display_name: "incident".to_owned(),
        }
    }
}

/// An event as its source wrote it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// The event's id.
    pub id: EventId,
    /// The service that wrote it.
    pub source: String,
    /// Its number in that service's log.
    pub sequence: i64,
    /// The tenant.
    pub tenant_id: TenantId,
    /// What happened.
    pub kind: String,
    /// Kind of the resource.
    pub resource_type: String,
    /// Id of the resource.
    pub resource_id: String,
    /// When, by the source's clock.
    pub occur_time: DateTime<Utc>,
    /// Who.
    pub actor: Actor,
    /// The call's id.
    pub request_id: String,
    /// The trace.
    pub traceparent: String,
    /// Particulars, a JSON object.
    pub data: Json,
}

/// A fact with its place in the tenant's log.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// Number in the tenant's log, from 1, without gaps.
    pub position: i64,
    /// The fact.
    pub fact: Fact,
    /// When it was recorded.
    pub record_time: DateTime<Utc>,
    /// Hash of the entry before.
    pub previous_hash: Digest,
    /// Hash of this entry.
    pub hash: Digest,
}

/// The end of a tenant's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number of the newest entry; 0 for an empty log.
    pub position: i64,
    /// Its hash.
    pub hash: Digest,
}

impl Head {
    /// Appends a fact: the entry, and the head that follows from it.
    pub fn append(&mut self, fact: Fact, record_time: DateTime<Utc>) -> Logged {
        let position = self.position + 1;
        let previous_hash = self.hash;
        let hash = hash(position, &fact, record_time, &previous_hash);
        *self = Self { position, hash };
        Logged {
            position,
            fact,
            record_time,
            previous_hash,
            hash,
        }
    }
}

fn hash(position: i64, fact: &Fact, record_time: DateTime<Utc>, previous: &Digest) -> Digest {
    Hasher::new("reeve.audit.v1")
        .bytes(previous)
        .number(position)
        .bytes(fact.tenant_id.uuid().as_bytes())
        .bytes(fact.id.uuid().as_bytes())
        .text(&fact.source)
        .number(fact.sequence)
        .text(&fact.kind)
        .text(&fact.resource_type)
        .text(&fact.resource_id)
        .number(fact.occur_time.timestamp_micros())
        .text(fact.actor.kind.as_str())
        .text(&fact.actor.subject)
        .text(&fact.actor.display_name)
        .text(&fact.request_id)
        .text(&fact.traceparent)
        .number(record_time.timestamp_micros())
        .json(&fact.data)
        .finish()
}

/// What is wrong with an entry of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It was edited.
    Content,
    /// It, or the one before, was replaced.
    Chain,
    /// It was removed.
    Missing,
}

/// Walks a chain and stops at the first entry that does not fit.
#[derive(Debug, Clone, Copy)]
pub struct Verifier {
    expected: i64,
    previous: Option<Digest>,
    /// How many entries fit so far.
    pub checked: i64,
}

impl Verifier {
    /// A verifier that begins at a position; the entry before it is `previous`, when known.
    pub fn new(first: i64, previous: Option<Digest>) -> Self {
        Self {
            expected: first,
            previous,
            checked: 0,
        }
    }

    /// The last entry that fits: its position and its hash.
    pub fn last(&self) -> (i64, Option<Digest>) {
        (self.expected - 1, self.previous)
    }

    /// Checks the next entry.
    ///
    /// # Errors
    /// The position of the first wrong entry and what is wrong with it.
    pub fn check(&mut self, entry: &Logged) -> Result<(), (i64, Fault)> {
        if entry.position != self.expected {
            return Err((self.expected, Fault::Missing));
        }
        if self
            .previous
            .is_some_and(|previous| previous != entry.previous_hash)
        {
            return Err((entry.position, Fault::Chain));
        }
        let computed = hash(
            entry.position,
            &entry.fact,
            entry.record_time,
            &entry.previous_hash,
        );
        if computed != entry.hash {
            return Err((entry.position, Fault::Content));
        }
        self.previous = Some(entry.hash);
        self.expected += 1;
        self.checked += 1;
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::canonical::GENESIS;

    /// A fact for tests.
    pub(crate) fn fact(kind: &str, data: Json) -> Fact {
        Fact {
            id: EventId::new(),
            source: "task-queue".into(),
            sequence: 1,
            tenant_id: TenantId::new(),
            kind: kind.into(),
            resource_type: "task".into(),
            resource_id: "t-1".into(),
            occur_time: DateTime::from_timestamp(1_790_000_000, 0).expect("a time"),
            actor: Actor::system(),
            request_id: String::new(),
            traceparent: String::new(),
            data,
        }
    }

    fn chain(length: i64) -> Vec<Logged> {
        let mut head = Head {
            position: 0,
            hash: GENESIS,
        };
        let at = DateTime::from_timestamp(1_790_000_001, 0).expect("a time");
        (0..length)
            .map(|n| head.append(fact("task.failed", serde_json::json!({"n": n})), at))
            .collect()
    }

    fn verdict(entries: &[Logged]) -> Result<(), (i64, Fault)> {
        let mut verifier = Verifier::new(1, Some(GENESIS));
        entries.iter().try_for_each(|entry| verifier.check(entry))
    }

    #[test]
    fn an_untouched_chain_is_intact() {
        assert_eq!(verdict(&chain(20)), Ok(()));
    }

    #[test]
    fn every_edit_shows() {
        let edits: [fn(&mut Logged); 8] = [
            |entry| entry.fact.kind = "task.completed".into(),
            |entry| entry.fact.actor.subject = "key:other".into(),
            |entry| entry.fact.resource_id = "t-2".into(),
            |entry| entry.fact.data = serde_json::json!({"n": 99}),
            |entry| entry.fact.request_id = "r".into(),
            |entry| entry.record_time += chrono::TimeDelta::microseconds(1),
            |entry| entry.fact.occur_time += chrono::TimeDelta::microseconds(1),
            |entry| entry.hash[0] ^= 1,
        ];
        for edit in edits {
            let mut entries = chain(5);
            edit(&mut entries[2]);
            assert_eq!(verdict(&entries), Err((3, Fault::Content)));
        }
    }

    #[test]
    fn a_removed_entry_shows() {
        let mut entries = chain(5);
        entries.remove(2);
        assert_eq!(verdict(&entries), Err((3, Fault::Missing)));
    }

    #[test]
    fn a_rewritten_entry_breaks_the_next_link() {
        let mut entries = chain(5);
        let forged = fact("task.completed", serde_json::json!({}));
        let mut head = Head {
            position: 2,
            hash: entries[1].hash,
        };
        entries[2] = head.append(forged, entries[2].record_time);
        assert_eq!(verdict(&entries), Err((4, Fault::Chain)));
    }
}
