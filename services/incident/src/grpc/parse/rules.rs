//! Requests about rules.

use chrono::{DateTime, TimeDelta, Utc};
use prost::Message as _;
use reeve_contracts::incident::v1 as proto;
use reeve_ids::{RuleId, TenantId};
use reeve_status::Fault;

use super::Reader;
use crate::domain::classification::{Category, Priority, Severity};
use crate::domain::rule::{Condition, ERROR_CLASS, Rule, is_field};
use crate::domain::rules_built_in::DEFAULT_REOPEN;
use crate::domain::title;
use crate::operations::RequestKey as Key;

/// Fields that an update may change.
const FIELDS: [&str; 13] = [
    "description",
    "enabled",
    "event_types",
    "conditions",
    "group_by",
    "threshold",
    "window_duration",
    "correlation",
    "severity",
    "priority",
    "category",
    "title_template",
    "reopen_duration",
];

/// A new rule.
pub fn create(
    tenant_id: TenantId,
    request: &proto::CreateRuleRequest,
    now: DateTime<Utc>,
) -> Result<(Rule, Option<Key>), Fault> {
    let mut reader = Reader::new(now);
    let key = reader.request("CreateRule", &request.request_id, &request.encode_to_vec());
    reader.check(request.rule.is_some(), "rule", "is required");
    let message = request.rule.clone().unwrap_or_default();
    let mut rule = Rule {
        id: RuleId::new(),
        tenant_id,
        version: 1,
        name: message.name.clone(),
        description: String::new(),
        enabled: false,
        event_types: Vec::new(),
        conditions: Vec::new(),
        group_by: Vec::new(),
        threshold: 1,
        window: None,
        correlation: String::new(),
        severity: Severity::Medium,
        priority: Priority::P3,
        category: Category::Application,
        title_template: String::new(),
        reopen: DEFAULT_REOPEN,
        built_in: false,
        create_time: now,
        update_time: now,
    };
    reader.within("rule", |reader| {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let right = (1..=63).contains(&rule.name.len()) && rule.name.bytes().all(plain);
        reader.check(right, "name", "must have 1 to 63 characters of [a-z0-9-]");
        for field in FIELDS {
            read(reader, field, &message, &mut rule);
        }
        check_whole(reader, &rule);
    });
    reader.finish()?;
    Ok((rule, key))
}

/// A change of a rule, to be applied to the rule as it is.
#[derive(Debug)]
pub struct Edit {
    /// Which rule.
    pub id: RuleId,
    /// The etag that was read.
    pub etag: Option<i64>,
    message: proto::Rule,
    paths: Vec<String>,
    now: DateTime<Utc>,
}

/// A change of a rule.
pub fn update(request: &proto::UpdateRuleRequest, now: DateTime<Utc>) -> Result<Edit, Fault> {
    let mut reader = Reader::new(now);
    let id = reader.id("rule_id", &request.rule_id);
    let etag = reader.etag(&request.etag);
    reader.check(request.rule.is_some(), "rule", "is required");
    let paths = reader.mask(request.update_mask.as_ref(), &FIELDS);
    let paths = paths.into_iter().map(str::to_owned).collect();
    reader.finish()?;
    let message = request.rule.clone().unwrap_or_default();
    Ok(Edit {
        id: id.ok_or_else(Fault::internal)?,
        etag,
        message,
        paths,
        now,
    })
}

impl Edit {
    /// Writes the new values into a rule.
    ///
    /// # Errors
    /// INVALID_ARGUMENT with everything that is wrong with them, alone or together with the rest.
    pub fn apply(&self, rule: &mut Rule) -> Result<(), Fault> {
        let mut reader = Reader::new(self.now);
        reader.within("rule", |reader| {
            for path in &self.paths {
                read(reader, path, &self.message, rule);
            }
            check_whole(reader, rule);
        });
        reader.finish()
    }
}

fn read(reader: &mut Reader, field: &str, message: &proto::Rule, rule: &mut Rule) {
    match field {
        "description" => {
            rule.description = reader.optional_text(field, &message.description, 1_000);
        }
        "enabled" => rule.enabled = message.enabled,
        "event_types" => rule.event_types = event_types(reader, &message.event_types),
        "conditions" => rule.conditions = conditions(reader, &message.conditions),
        "group_by" => rule.group_by = group_by(reader, &message.group_by),
        "threshold" => {
            let right = (0..=10_000).contains(&message.threshold);
            reader.check(right, field, "must be from 0, which means 1, to 10000");
            rule.threshold = message.threshold.clamp(1, 10_000);
        }
        "window_duration" => {
            let window = message.window_duration.as_ref();
            rule.window = duration(reader, field, window, (1, 86_400));
        }
        "correlation" => {
            rule.correlation = reader.optional_text(field, &message.correlation, 63);
        }
        "severity" => {
            rule.severity = reader
                .word(field, message.severity)
                .unwrap_or(rule.severity);
        }
        "priority" => {
            rule.priority = reader
                .word(field, message.priority)
                .unwrap_or(rule.priority);
        }
        "category" => {
            rule.category = reader
                .word(field, message.category)
                .unwrap_or(rule.category);
        }
        "title_template" => {
            rule.title_template = reader.text(field, &message.title_template, 500);
            if let Err(why) = title::check(&message.title_template) {
                reader.wrong(field, format!("cannot be read: {why}"));
            }
        }
        "reopen_duration" => {
            let reopen = message.reopen_duration.as_ref();
            let reopen = duration(reader, field, reopen, (0, 1_209_600));
            rule.reopen = reopen.unwrap_or(DEFAULT_REOPEN);
        }
        _ => {}
    }
}

/// What no field can say alone.
fn check_whole(reader: &mut Reader, rule: &Rule) {
    let counts = rule.threshold == 1 || rule.window.is_some();
    reader.check(
        counts,
        "window_duration",
        "is required when threshold is above 1",
    );
}

fn event_types(reader: &mut Reader, types: &[String]) -> Vec<String> {
    let field = "event_types";
    reader.check(!types.is_empty(), field, "is required");
    let types = reader.texts(field, types, 20, 128);
    let exact = types
        .iter()
        .all(|kind| kind.contains('.') && !kind.contains('*'));
    reader.check(exact, field, "must be exact types, like task.failed");
    let own = types.iter().any(|kind| kind.starts_with("incident."));
    reader.check(
        !own,
        field,
        "must not be incident's own, or incidents would feed themselves",
    );
    types
}

fn conditions(reader: &mut Reader, conditions: &[proto::RuleCondition]) -> Vec<Condition> {
    reader.check(
        conditions.len() <= 20,
        "conditions",
        "must have at most 20 items",
    );
    let conditions = conditions.iter().take(20).enumerate();
    conditions
        .map(|(index, condition)| {
            reader.within(format!("conditions[{index}]"), |reader| {
                let right = is_field(&condition.field);
                let form = "must be resource_type, resource_id, source, actor or data.<path>, \
                            of names with [A-Za-z0-9_-]";
                reader.check(right, "field", form);
                Condition {
                    field: condition.field.clone(),
                    value: reader.optional_text("value", &condition.value, 256),
                    negated: condition.negated,
                }
            })
        })
        .collect()
}

fn group_by(reader: &mut Reader, names: &[String]) -> Vec<String> {
    let field = "group_by";
    reader.check(
        (1..=10).contains(&names.len()),
        field,
        "must have 1 to 10 items",
    );
    let right = names
        .iter()
        .all(|name| name == ERROR_CLASS || is_field(name));
    let form = "must be error_class, resource_type, resource_id, source, actor or data.<path>, \
                of names with [A-Za-z0-9_-]";
    reader.check(right, field, form);
    names.to_vec()
}

fn duration(
    reader: &mut Reader,
    field: &str,
    duration: Option<&prost_types::Duration>,
    (least, most): (i64, i64),
) -> Option<TimeDelta> {
    let duration = duration?;
    let span = reeve_wellknown::timedelta(duration)
        .filter(|span| span.subsec_nanos() == 0 && (least..=most).contains(&span.num_seconds()));
    if span.is_none() {
        reader.wrong(
            field,
            format!("must be whole seconds from {least} to {most}"),
        );
    }
    span
}
