//! The rules that every tenant starts with.

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::{RuleId, TenantId};

use super::classification::{Category, Priority, Severity};
use super::rule::{Condition, Rule};

/// How long after its resolution an incident is reopened, unless a rule says otherwise.
pub const DEFAULT_REOPEN: TimeDelta = TimeDelta::minutes(30);

/// The code of a task to which a person did not give leave.
const REFUSED: &str = "APPROVAL_REJECTED";

/// The rules, as a tenant gets them when its first event is seen or its rules are first listed.
pub fn built_in(tenant_id: TenantId, now: DateTime<Utc>) -> Vec<Rule> {
    let base = |name: &str| base(tenant_id, now, name);
    vec![
        Rule {
            description: "A task without a retry left. Steps of workflows are left to \
                          execution-failed: the engine may still retry them. What a person did \
                          not allow is no trouble."
                .into(),
            event_types: words(&["task.failed", "task.timed_out"]),
            conditions: vec![
                is("data.dead", "true"),
                is_not("data.origin.kind", "workflow"),
                is_not("data.error_code", REFUSED),
            ],
            group_by: words(&["data.type", "error_class"]),
            correlation: "task-failure".into(),
            severity: Severity::High,
            priority: Priority::P2,
            title_template: "Task {{ data.type }} failed for good: \
                             {% if data.error_message %}{{ data.error_code }}: \
                             {{ data.error_message }}{% else %}{{ group.error_class }}{% endif %}"
                .into(),
            ..base("task-dead-letter")
        },
        Rule {
            description: "A run of a workflow that failed after its retries.".into(),
            event_types: words(&["execution.failed", "execution.timed_out"]),
            group_by: words(&[
                "data.project_id",
                "data.workflow",
                "data.failed_step",
                "error_class",
            ]),
            severity: Severity::High,
            priority: Priority::P2,
            title_template: "Workflow {{ data.workflow or data.workflow_id or \
                             event.resource_id }} failed\
                             {% if data.failed_step %} at {{ data.failed_step }}{% endif %}: \
                             {% if data.message %}{{ data.code }}: {{ data.message }}\
                             {% else %}{{ group.error_class }}{% endif %}"
                .into(),
            ..base("execution-failed")
        },
        Rule {
            description: "Five failures of one task type and error class in ten minutes, whether \
                          or not they are retried. Steps of workflows are left to \
                          execution-failed."
                .into(),
            event_types: words(&["task.failed", "task.timed_out"]),
            conditions: vec![
                is_not("data.origin.kind", "workflow"),
                is_not("data.error_code", REFUSED),
            ],
            group_by: words(&["data.type", "error_class"]),
            threshold: 5,
            window: Some(TimeDelta::minutes(10)),
            correlation: "task-failure".into(),
            title_template: "Task {{ data.type }} keeps failing ({{ count }} times): \
                             {{ group.error_class }}"
                .into(),
            ..base("task-failure-burst")
        },
        Rule {
            description: "An agent whose heartbeat lapsed.".into(),
            event_types: words(&["agent.heartbeat_lost"]),
            group_by: words(&["resource_id"]),
            category: Category::Availability,
            title_template: "Agent {{ data.name or event.resource_id }} stopped answering".into(),
            ..base("agent-lost")
        },
    ]
}

fn base(tenant_id: TenantId, now: DateTime<Utc>, name: &str) -> Rule {
    Rule {
        id: RuleId::new(),
        tenant_id,
        version: 1,
        name: name.into(),
        description: String::new(),
        enabled: true,
        event_types: Vec::new(),
        conditions: Vec::new(),
        group_by: Vec::new(),
        threshold: 1,
        window: None,
        correlation: name.into(),
        severity: Severity::Medium,
        priority: Priority::P3,
        category: Category::Application,
        title_template: String::new(),
        reopen: DEFAULT_REOPEN,
        built_in: true,
        create_time: now,
        update_time: now,
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn is(field: &str, value: &str) -> Condition {
    Condition {
        field: field.into(),
        value: value.into(),
        negated: false,
    }
}

fn is_not(field: &str, value: &str) -> Condition {
    Condition {
        negated: true,
        ..is(field, value)
    }
}
