//! Rows of `event`, `tenant_log` and `evidence`.

use reeve_ids::{EventId, EvidenceId, TenantId, Uuid};
use serde_json::Value as Json;
use sqlx::FromRow;

use super::{Corrupt, Time, digest, document, word};
use crate::domain::evidence::{Evidence, EvidenceState};
use crate::domain::logged::{Actor, ActorKind, Fact, Head, Logged};

/// A row of `event`.
#[derive(Debug, FromRow)]
pub struct EventRow {
    tenant_id: Uuid,
    position: i64,
    event_id: Uuid,
    source: String,
    sequence: i64,
    r#type: String,
    resource_type: String,
    resource_id: String,
    occur_time: Time,
    actor_kind: String,
    actor_subject: String,
    actor_name: String,
    request_id: String,
    traceparent: String,
    data: Json,
    record_time: Time,
    previous_hash: Vec<u8>,
    hash: Vec<u8>,
}

impl TryFrom<EventRow> for Logged {
    type Error = Corrupt;

    fn try_from(row: EventRow) -> Result<Self, Corrupt> {
        Ok(Self {
            position: row.position,
            fact: Fact {
                id: EventId::from_uuid(row.event_id),
                source: row.source,
                sequence: row.sequence,
                tenant_id: TenantId::from_uuid(row.tenant_id),
                kind: row.r#type,
                resource_type: row.resource_type,
                resource_id: row.resource_id,
                occur_time: row.occur_time,
                actor: Actor {
                    kind: word("event", "actor_kind", &row.actor_kind, ActorKind::parse)?,
                    subject: row.actor_subject,
                    display_name: row.actor_name,
                },
                request_id: row.request_id,
                traceparent: row.traceparent,
                data: row.data,
            },
            record_time: row.record_time,
            previous_hash: digest("event", "previous_hash", &row.previous_hash)?,
            hash: digest("event", "hash", &row.hash)?,
        })
    }
}

/// A row of `tenant_log`.
#[derive(Debug, FromRow)]
pub struct HeadRow {
    tenant_id: Uuid,
    position: i64,
    hash: Vec<u8>,
}

impl TryFrom<HeadRow> for (TenantId, Head) {
    type Error = Corrupt;

    fn try_from(row: HeadRow) -> Result<Self, Corrupt> {
        let hash = digest("tenant_log", "hash", &row.hash)?;
        Ok((
            TenantId::from_uuid(row.tenant_id),
            Head {
                position: row.position,
                hash,
            },
        ))
    }
}

/// A row of `evidence` with its event.
#[derive(Debug, FromRow)]
pub struct EvidenceRow {
    #[sqlx(flatten)]
    event: EventRow,
    evidence_id: Uuid,
    attempts: Json,
    task: Option<Json>,
    state: String,
    incomplete_reason: String,
    create_time: Time,
    collect_time: Option<Time>,
}

impl TryFrom<EvidenceRow> for Evidence {
    type Error = Corrupt;

    fn try_from(row: EvidenceRow) -> Result<Self, Corrupt> {
        Ok(Self {
            id: EvidenceId::from_uuid(row.evidence_id),
            fact: Logged::try_from(row.event)?.fact,
            attempts: document("evidence", "attempts", row.attempts)?,
            task: row.task,
            state: word("evidence", "state", &row.state, EvidenceState::parse)?,
            incomplete_reason: row.incomplete_reason,
            create_time: row.create_time,
            collect_time: row.collect_time,
        })
    }
}
