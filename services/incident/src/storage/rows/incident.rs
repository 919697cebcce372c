//! Rows of `incident`.

use chrono::TimeDelta;
use reeve_ids::{IncidentId, RuleId, TenantId, Uuid};
use serde_json::Value as Json;
use sqlx::FromRow;

use super::{Corrupt, Time, digest, document, word};
use crate::domain::classification::{Category, CloseReason, Priority, Severity, Source};
use crate::domain::correlation::Past;
use crate::domain::incident::{Incident, ResponseClock};
use crate::domain::status::Status;

const TABLE: &str = "incident";

/// A row of `incident`.
#[derive(Debug, FromRow)]
pub struct IncidentRow {
    id: Uuid,
    tenant_id: Uuid,
    version: i64,
    project_id: String,
    title: String,
    description: String,
    severity: String,
    priority: String,
    status: String,
    category: String,
    source: String,
    assignee: String,
    labels: Json,
    resolution: Option<Json>,
    rule_id: Option<Uuid>,
    incident_key: Option<Vec<u8>>,
    signal_count: i64,
    last_signal_time: Option<Time>,
    related: Vec<Uuid>,
    close_reason: Option<String>,
    duplicate_of: Option<Uuid>,
    round: i32,
    response_target_seconds: i64,
    round_start_time: Time,
    breach_record_time: Option<Time>,
    detect_time: Time,
    acknowledge_time: Option<Time>,
    acknowledged_by: String,
    mitigate_time: Option<Time>,
    resolve_time: Option<Time>,
    close_time: Option<Time>,
    reopen_time: Option<Time>,
    create_time: Time,
    update_time: Time,
    created_by: String,
    timeline_count: i64,
    timeline_hash: Vec<u8>,
}

impl TryFrom<IncidentRow> for Incident {
    type Error = Corrupt;

    fn try_from(row: IncidentRow) -> Result<Self, Corrupt> {
        let clock = ResponseClock {
            target: TimeDelta::try_seconds(row.response_target_seconds).ok_or_else(|| {
                Corrupt::new(
                    TABLE,
                    "response_target_seconds",
                    row.response_target_seconds,
                )
            })?,
            start_time: row.round_start_time,
            breach_record_time: row.breach_record_time,
        };
        let key = row
            .incident_key
            .map(|key| digest(TABLE, "incident_key", &key))
            .transpose()?;
        let resolution = row
            .resolution
            .map(|json| document(TABLE, "resolution", json))
            .transpose()?;
        Ok(Self {
            id: IncidentId::from_uuid(row.id),
            tenant_id: TenantId::from_uuid(row.tenant_id),
            version: row.version,
            project_id: row.project_id,
            title: row.title,
            description: row.description,
            severity: word(TABLE, "severity", &row.severity, Severity::parse)?,
            priority: word(TABLE, "priority", &row.priority, Priority::parse)?,
            status: word(TABLE, "status", &row.status, Status::parse)?,
            category: word(TABLE, "category", &row.category, Category::parse)?,
            source: word(TABLE, "source", &row.source, Source::parse)?,
            assignee: row.assignee,
            labels: document(TABLE, "labels", row.labels)?,
            resolution,
            rule_id: row.rule_id.map(RuleId::from_uuid),
            key,
            signal_count: row.signal_count,
            last_signal_time: row.last_signal_time,
            related: row.related.into_iter().map(IncidentId::from_uuid).collect(),
            close_reason: close_reason(row.close_reason)?,
            duplicate_of: row.duplicate_of.map(IncidentId::from_uuid),
            round: row.round,
            clock,
            detect_time: row.detect_time,
            acknowledge_time: row.acknowledge_time,
            acknowledged_by: row.acknowledged_by,
            mitigate_time: row.mitigate_time,
            resolve_time: row.resolve_time,
            close_time: row.close_time,
            reopen_time: row.reopen_time,
            create_time: row.create_time,
            update_time: row.update_time,
            created_by: row.created_by,
            timeline_count: row.timeline_count,
            timeline_hash: digest(TABLE, "timeline_hash", &row.timeline_hash)?,
        })
    }
}

fn close_reason(text: Option<String>) -> Result<Option<CloseReason>, Corrupt> {
    text.map(|text| word(TABLE, "close_reason", &text, CloseReason::parse))
        .transpose()
}

/// The newest incident of a key that is over.
#[derive(Debug, FromRow)]
pub struct PastRow {
    id: Uuid,
    end_time: Time,
    close_reason: Option<String>,
    original_id: Option<Uuid>,
}

impl TryFrom<PastRow> for Past {
    type Error = Corrupt;

    fn try_from(row: PastRow) -> Result<Self, Corrupt> {
        Ok(Self {
            id: IncidentId::from_uuid(row.id),
            end_time: row.end_time,
            close_reason: close_reason(row.close_reason)?,
            original: row.original_id.map(IncidentId::from_uuid),
        })
    }
}
