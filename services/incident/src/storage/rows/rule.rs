//! Rows of `rule` and `alert`.

use chrono::TimeDelta;
use reeve_ids::{AlertId, IncidentId, RuleId, TenantId, Uuid};
use serde_json::Value as Json;
use sqlx::FromRow;

use super::{Corrupt, Time, digest, document, word};
use crate::domain::alert::{Alert, AlertState};
use crate::domain::classification::{Category, Priority, Severity};
use crate::domain::rule::Rule;

/// A row of `rule`.
#[derive(Debug, FromRow)]
pub struct RuleRow {
    id: Uuid,
    tenant_id: Uuid,
    version: i64,
    name: String,
    description: String,
    enabled: bool,
    event_types: Vec<String>,
    conditions: Json,
    group_by: Vec<String>,
    threshold: i32,
    window_seconds: Option<i64>,
    correlation: String,
    severity: String,
    priority: String,
    category: String,
    title_template: String,
    reopen_seconds: i64,
    built_in: bool,
    create_time: Time,
    update_time: Time,
}

impl TryFrom<RuleRow> for Rule {
    type Error = Corrupt;

    fn try_from(row: RuleRow) -> Result<Self, Corrupt> {
        let seconds = |column, seconds: i64| {
            TimeDelta::try_seconds(seconds).ok_or_else(|| Corrupt::new("rule", column, seconds))
        };
        Ok(Self {
            id: RuleId::from_uuid(row.id),
            tenant_id: TenantId::from_uuid(row.tenant_id),
            version: row.version,
            name: row.name,
            description: row.description,
            enabled: row.enabled,
            event_types: row.event_types,
            conditions: document("rule", "conditions", row.conditions)?,
            group_by: row.group_by,
            threshold: row.threshold,
            window: row
                .window_seconds
                .map(|s| seconds("window_seconds", s))
                .transpose()?,
            correlation: row.correlation,
            severity: word("rule", "severity", &row.severity, Severity::parse)?,
            priority: word("rule", "priority", &row.priority, Priority::parse)?,
            category: word("rule", "category", &row.category, Category::parse)?,
            title_template: row.title_template,
            reopen: seconds("reopen_seconds", row.reopen_seconds)?,
            built_in: row.built_in,
            create_time: row.create_time,
            update_time: row.update_time,
        })
    }
}

/// A row of `alert`.
#[derive(Debug, FromRow)]
pub struct AlertRow {
    id: Uuid,
    rule_id: Uuid,
    fingerprint: Vec<u8>,
    group_values: Json,
    state: String,
    signal_count: i64,
    first_signal_time: Time,
    last_signal_time: Time,
    incident_id: Option<Uuid>,
}

impl TryFrom<AlertRow> for Alert {
    type Error = Corrupt;

    fn try_from(row: AlertRow) -> Result<Self, Corrupt> {
        Ok(Self {
            id: AlertId::from_uuid(row.id),
            rule_id: RuleId::from_uuid(row.rule_id),
            fingerprint: digest("alert", "fingerprint", &row.fingerprint)?,
            group: document("alert", "group_values", row.group_values)?,
            state: word("alert", "state", &row.state, AlertState::parse)?,
            signal_count: row.signal_count,
            first_signal_time: row.first_signal_time,
            last_signal_time: row.last_signal_time,
            incident_id: row.incident_id.map(IncidentId::from_uuid),
        })
    }
}
