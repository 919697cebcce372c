//! Rules: which events are signals, and which signals are the same trouble.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::{RuleId, TenantId};
use serde::{Deserialize, Serialize};

use super::canonical::{Digest, Hasher};
use super::classification::{Category, Priority, Severity};
use super::evidence::{Trouble, text_at};
use super::logged::Fact;

/// Rules that a tenant may have.
pub const MOST_RULES: i64 = 200;
/// The source whose events no rule sees, so that incidents cannot feed themselves.
pub const OWN_SOURCE: &str = "incident";
/// The group value that is the class of the error.
pub const ERROR_CLASS: &str = "error_class";
/// Names of facts outside an event's data.
const ENVELOPE: [&str; 4] = ["resource_type", "resource_id", "source", "actor"];

/// Compares one fact of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Which fact.
    pub field: String,
    /// What it must be equal to; empty for absent.
    pub value: String,
    /// Whether it must differ instead.
    pub negated: bool,
}

/// What opens incidents.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its id.
    pub id: RuleId,
    /// The tenant.
    pub tenant_id: TenantId,
    /// Grows with each change.
    pub version: i64,
    /// Unique in the tenant.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Whether it is applied.
    pub enabled: bool,
    /// The types of events that it looks at.
    pub event_types: Vec<String>,
    /// What must hold of them.
    pub conditions: Vec<Condition>,
    /// What makes two signals the same trouble.
    pub group_by: Vec<String>,
    /// Signals within the window that open an incident.
    pub threshold: i32,
    /// How far back signals count; nothing when one is enough.
    pub window: Option<TimeDelta>,
    /// Rules with the same word feed the same incident.
    pub correlation: String,
    /// Of the incident.
    pub severity: Severity,
    /// Of the incident.
    pub priority: Priority,
    /// Of the incident.
    pub category: Category,
    /// Template of the title.
    pub title_template: String,
    /// How long after its resolution an incident is reopened.
    pub reopen: TimeDelta,
    /// Whether every tenant starts with it.
    pub built_in: bool,
    /// When it was created.
    pub create_time: DateTime<Utc>,
    /// When it last changed.
    pub update_time: DateTime<Utc>,
}

/// The values that a rule groups by, by name.
pub type Group = BTreeMap<String, String>;

impl Rule {
    /// The fields that differ from the rule as it was.
    pub fn changed_since(&self, before: &Self) -> Vec<&'static str> {
        let fields = [
            ("description", self.description != before.description),
            ("enabled", self.enabled != before.enabled),
            ("event_types", self.event_types != before.event_types),
            ("conditions", self.conditions != before.conditions),
            ("group_by", self.group_by != before.group_by),
            ("threshold", self.threshold != before.threshold),
            ("window_duration", self.window != before.window),
            ("correlation", self.correlation != before.correlation),
            ("severity", self.severity != before.severity),
            ("priority", self.priority != before.priority),
            ("category", self.category != before.category),
            (
                "title_template",
                self.title_template != before.title_template,
            ),
            ("reopen_duration", self.reopen != before.reopen),
        ];
        let changed = fields.into_iter().filter(|(_, changed)| *changed);
        changed.map(|(name, _)| name).collect()
    }

    /// Whether an event is a signal for this rule.
    pub fn matches(&self, fact: &Fact) -> bool {
        self.enabled
            && fact.source != OWN_SOURCE
            && self.event_types.contains(&fact.kind)
            && self.conditions.iter().all(|condition| {
                (field(fact, &condition.field) == condition.value) != condition.negated
            })
    }

    /// The values that tell whether two signals are the same trouble.
    pub fn group(&self, fact: &Fact) -> Group {
        self.group_by
            .iter()
            .map(|name| (name.clone(), field(fact, name)))
            .collect()
    }

    /// What an alert is known by: this rule and the group's values.
    pub fn fingerprint(&self, group: &Group) -> Digest {
        let start = Hasher::new("reeve.alert.v1")
            .bytes(self.tenant_id.uuid().as_bytes())
            .bytes(self.id.uuid().as_bytes());
        self.add_group(start, group)
    }

    /// What an incident is known by: the correlation and the group's values. The recipe has a
    /// version, so that a later one cannot collide with it.
    pub fn incident_key(&self, group: &Group) -> Digest {
        let correlation = if self.correlation.is_empty() {
            &self.name
        } else {
            &self.correlation
        };
        let start = Hasher::new("reeve.incident.key.v1")
            .bytes(self.tenant_id.uuid().as_bytes())
            .text(correlation);
        self.add_group(start, group)
    }

    /// Adds the values in the rule's own order, without their names: two rules may find the same
    /// value, an agent's id say, in facts of different names.
    fn add_group(&self, start: Hasher, group: &Group) -> Digest {
        let values = self
            .group_by
            .iter()
            .map(|name| group.get(name).map_or("", String::as_str));
        values.fold(start, Hasher::text).finish()
    }
}

/// Whether a name can be a fact: one of the envelope's, or a path into the data.
pub fn is_field(name: &str) -> bool {
    let path = name.strip_prefix("data.");
    ENVELOPE.contains(&name) || path.is_some_and(|path| is_path(path) && name.len() <= 128)
}

/// Whether a text is names with dots between them.
pub fn is_path(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    text.split('.')
        .all(|part| !part.is_empty() && part.bytes().all(plain))
}

/// A fact of an event as text; empty when it has none.
fn field(fact: &Fact, name: &str) -> String {
    match name {
        "resource_type" => fact.resource_type.clone(),
        "resource_id" => fact.resource_id.clone(),
        "source" => fact.source.clone(),
        "actor" => fact.actor.subject.clone(),
        ERROR_CLASS => Trouble::of(fact).class(),
        _ => name
            .strip_prefix("data.")
            .map(|path| text_at(&fact.data, path))
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::logged::tests::fact;
    use crate::domain::rules_built_in::built_in;

    fn dead_letter() -> Rule {
        let mut rules = built_in(TenantId::new(), Utc::now());
        rules.remove(0)
    }

    #[test]
    fn a_condition_compares_or_differs() {
        let rule = dead_letter();
        let dead = json!({"dead": true, "type": "lint"});
        assert!(rule.matches(&fact("task.failed", dead.clone())));
        assert!(!rule.matches(&fact("task.completed", dead.clone())));
        assert!(!rule.matches(&fact("task.failed", json!({"dead": false}))));
        assert!(!rule.matches(&fact("task.failed", json!({}))));
        let of_workflow = json!({"dead": true, "origin": {"kind": "workflow"}});
        assert!(!rule.matches(&fact("task.failed", of_workflow)));
        let not_allowed = json!({"dead": true, "error_code": "APPROVAL_REJECTED"});
        assert!(!rule.matches(&fact("task.failed", not_allowed)));
        let unknown = json!({"dead": true, "error_code": "OUTCOME_UNKNOWN"});
        assert!(rule.matches(&fact("task.failed", unknown)));
        let disabled = Rule {
            enabled: false,
            ..rule
        };
        assert!(!disabled.matches(&fact("task.failed", dead)));
    }

    #[test]
    fn incidents_cannot_feed_themselves() {
        let rule = Rule {
            event_types: vec!["incident.opened".into()],
            ..dead_letter()
        };
        let rule = Rule {
            conditions: vec![],
            ..rule
        };
        let own = Fact {
            source: "incident".into(),
            ..fact("incident.opened", json!({}))
        };
        assert!(!rule.matches(&own));
    }

    #[test]
    fn the_same_trouble_has_the_same_key() {
        let rule = dead_letter();
        let key = |data| rule.incident_key(&rule.group(&fact("task.failed", data)));
        let one = key(json!({"type": "lint", "error_code": "EXIT", "error_message": "status 1"}));
        let same = key(json!({"type": "lint", "error_code": "EXIT", "error_message": "status 2"}));
        let other =
            key(json!({"type": "build", "error_code": "EXIT", "error_message": "status 1"}));
        assert_eq!(one, same);
        assert_ne!(one, other);
    }

    #[test]
    fn tenants_never_share_a_key() {
        let (one, other) = (dead_letter(), dead_letter());
        let group = one.group(&fact("task.failed", json!({})));
        assert_ne!(one.incident_key(&group), other.incident_key(&group));
        assert_ne!(one.fingerprint(&group), other.fingerprint(&group));
    }

    #[test]
    fn rules_of_one_correlation_share_a_key_but_not_an_alert() {
        let rules = built_in(TenantId::new(), Utc::now());
        let named = |name: &str| {
            rules
                .iter()
                .find(|rule| rule.name == name)
                .expect("built in")
        };
        let (dead, burst) = (named("task-dead-letter"), named("task-failure-burst"));
        let failed = fact("task.failed", json!({"type": "lint", "error_message": "x"}));
        assert_eq!(
            dead.incident_key(&dead.group(&failed)),
            burst.incident_key(&burst.group(&failed))
        );
        assert_ne!(
            dead.fingerprint(&dead.group(&failed)),
            burst.fingerprint(&burst.group(&failed))
        );
    }

    #[test]
    fn a_field_is_of_the_envelope_or_a_path() {
        for good in [
            "resource_id",
            "source",
            "actor",
            "data.dead",
            "data.origin.kind",
        ] {
            assert!(is_field(good), "{good}");
        }
        for bad in [
            "",
            "data",
            "data.",
            "data..x",
            "data.\0a",
            "data.ä",
            "tenant_id",
            "error_class",
        ] {
            assert!(!is_field(bad), "{bad}");
        }
    }
}
