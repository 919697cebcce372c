//! What happened.

use chrono::{DateTime, Utc};
use reeve_ids::{ExecutionId, Uuid};
use serde_json::Value;
use sqlx::FromRow;

use super::{Corrupt, digest, word};
use crate::domain::canonical::Digest;
use crate::domain::event::{Actor, ActorKind};
use crate::domain::history::{Entry, EntryKind};

/// A row of `history`.
#[derive(Debug, FromRow)]
pub struct HistoryRow {
    execution_id: Uuid,
    sequence: i64,
    r#type: String,
    step_id: String,
    attempt: i32,
    actor_kind: String,
    actor_subject: String,
    actor_name: String,
    data: Value,
    occur_time: DateTime<Utc>,
    previous_hash: Vec<u8>,
    hash: Vec<u8>,
}

/// An entry in its place in the chain.
#[derive(Debug, Clone)]
pub struct Chained {
    /// The execution.
    pub execution_id: ExecutionId,
    /// Place.
    pub sequence: i64,
    /// What happened.
    pub entry: Entry,
    /// Hash of the entry before.
    pub previous_hash: Digest,
    /// Its own hash.
    pub hash: Digest,
}

impl TryFrom<HistoryRow> for Chained {
    type Error = Corrupt;

    fn try_from(row: HistoryRow) -> Result<Self, Corrupt> {
        const TABLE: &str = "history";
        let id = row.execution_id;
        Ok(Self {
            execution_id: ExecutionId::from_uuid(id),
            sequence: row.sequence,
            entry: Entry {
                kind: word(TABLE, "type", id, &row.r#type, EntryKind::parse)?,
                step_id: row.step_id,
                attempt: u32::try_from(row.attempt).unwrap_or(0),
                actor: Actor {
                    kind: word(TABLE, "actor_kind", id, &row.actor_kind, ActorKind::parse)?,
                    subject: row.actor_subject,
                    display_name: row.actor_name,
                },
                time: row.occur_time,
                data: row.data,
            },
            previous_hash: digest(TABLE, "previous_hash", id, &row.previous_hash)?,
            hash: digest(TABLE, "hash", id, &row.hash)?,
        })
    }
}
