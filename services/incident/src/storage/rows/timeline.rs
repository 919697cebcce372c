//! Rows of `incident_event`.

use serde_json::Value as Json;
use sqlx::FromRow;

use super::{Corrupt, Time, digest, word};
use crate::domain::logged::{Actor, ActorKind};
use crate::domain::timeline::{Entry, EntryKind, TimelineEvent};

const TABLE: &str = "incident_event";

/// A row of `incident_event`.
#[derive(Debug, FromRow)]
pub struct TimelineRow {
    sequence: i64,
    r#type: String,
    create_time: Time,
    actor_kind: String,
    actor_subject: String,
    actor_name: String,
    summary: String,
    details: Json,
    previous_hash: Vec<u8>,
    hash: Vec<u8>,
}

impl TryFrom<TimelineRow> for TimelineEvent {
    type Error = Corrupt;

    fn try_from(row: TimelineRow) -> Result<Self, Corrupt> {
        Ok(Self {
            sequence: row.sequence,
            create_time: row.create_time,
            actor: Actor {
                kind: word(TABLE, "actor_kind", &row.actor_kind, ActorKind::parse)?,
                subject: row.actor_subject,
                display_name: row.actor_name,
            },
            entry: Entry {
                kind: word(TABLE, "type", &row.r#type, EntryKind::parse)?,
                summary: row.summary,
                details: row.details,
            },
            previous_hash: digest(TABLE, "previous_hash", &row.previous_hash)?,
            hash: digest(TABLE, "hash", &row.hash)?,
        })
    }
}
