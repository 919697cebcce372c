//! Rules and alerts.

use reeve_contracts::incident::v1 as proto;

use super::super::words::OnWire;
use super::{span, time};
use crate::domain::alert::Alert;
use crate::domain::canonical::hex;
use crate::domain::rule::{Condition, Rule};

/// A rule.
pub fn rule(rule: &Rule) -> proto::Rule {
    let condition = |condition: &Condition| proto::RuleCondition {
        field: condition.field.clone(),
        value: condition.value.clone(),
        negated: condition.negated,
    };
    proto::Rule {
        id: rule.id.to_string(),
        etag: rule.version.to_string(),
        name: rule.name.clone(),
        description: rule.description.clone(),
        enabled: rule.enabled,
        event_types: rule.event_types.clone(),
        conditions: rule.conditions.iter().map(condition).collect(),
        group_by: rule.group_by.clone(),
        threshold: rule.threshold,
        window_duration: span(rule.window),
        correlation: rule.correlation.clone(),
        severity: rule.severity.number(),
        priority: rule.priority.number(),
        category: rule.category.number(),
        title_template: rule.title_template.clone(),
        reopen_duration: span(Some(rule.reopen)),
        built_in: rule.built_in,
        create_time: time(rule.create_time),
        update_time: time(rule.update_time),
    }
}

/// An alert.
pub fn alert(alert: &Alert) -> proto::Alert {
    proto::Alert {
        id: alert.id.to_string(),
        rule_id: alert.rule_id.to_string(),
        fingerprint: hex(&alert.fingerprint),
        group: alert.group.clone().into_iter().collect(),
        state: alert.state.number(),
        signal_count: alert.signal_count,
        first_signal_time: time(alert.first_signal_time),
        last_signal_time: time(alert.last_signal_time),
        incident_id: alert
            .incident_id
            .map(|id| id.to_string())
            .unwrap_or_default(),
    }
}
