//! Fields by themselves: present, well-formed, within their bounds, and fitting the step's type.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::Defects;
use crate::domain::canonical::canonical;
use crate::domain::definition::{
    Amount, Definition, RetryPolicy, RetrySafety, Step, StepType, WorkflowType,
};
use crate::domain::expression::unfit;

/// Most steps of a workflow.
pub const STEP_LIMIT: usize = 500;
/// Most attempts after the first.
pub const RETRY_LIMIT: u32 = 20;
const SECOND_MS: u64 = 1_000;
const DAY_MS: u64 = 86_400 * SECOND_MS;
const STEP_TIMEOUT_LIMIT_MS: u64 = 30 * DAY_MS;
const TIMEOUT_LIMIT_MS: u64 = 365 * DAY_MS;
const SMALL_OBJECT: usize = 16 * 1_024;
const LARGE_OBJECT: usize = 64 * 1_024;
const DEFINITION_LIMIT: usize = 1_024 * 1_024;
/// Most expressions of a definition: reading one takes some tens of microseconds.
const EXPRESSION_LIMIT: usize = 5_000;

/// Words that CEL keeps for itself, so that steps.<word> could not be read.
const KEYWORDS: &[&str] = &[
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// Checks every field by itself.
pub fn check(definition: &Definition, defects: &mut Defects) {
    workflow(definition, defects);
    let mut seen = HashSet::new();
    for (index, step) in definition.steps.iter().enumerate() {
        if !is_step_id(&step.id) {
            let right = "must match [a-z][a-z0-9_]{0,62} and not be a keyword of CEL";
            defects.step(index, step, "id", right);
        } else if !seen.insert(step.id.as_str()) {
            defects.step(
                index,
                step,
                "id",
                format!("another step is called {} too", step.id),
            );
        }
        common(index, step, defects);
        match step.kind {
            StepType::Task => task(index, step, defects),
            StepType::Approval => approval(index, step, defects),
            StepType::Transform => transform(index, step, defects),
            StepType::Wait | StepType::Workflow => {
                let kind = step.kind.as_str();
                defects.step(
                    index,
                    step,
                    "type",
                    format!("{kind} steps are not supported yet"),
                );
            }
        }
    }
    shape(definition, defects);
    storable(definition, defects);
}

/// What the database or a client could not read back.
fn storable(definition: &Definition, defects: &mut Defects) {
    let unfit_members = |whole: serde_json::Result<Value>| {
        let members = match whole {
            Ok(Value::Object(members)) => members,
            _ => Map::new(),
        };
        let unfit = members
            .into_iter()
            .filter_map(|(field, value)| unfit(&value).map(|why| (field, why)));
        unfit.collect::<Vec<_>>()
    };
    let bare = Definition {
        steps: Vec::new(),
        ..definition.clone()
    };
    for (field, why) in unfit_members(serde_json::to_value(bare)) {
        defects.workflow(field, why);
    }
    for (index, step) in definition.steps.iter().enumerate() {
        for (field, why) in unfit_members(serde_json::to_value(step)) {
            defects.step(index, step, field, why);
        }
    }
}

/// Whether there is so much of a definition that compiling it would take long.
pub fn is_too_large(definition: &Definition, defects: &mut Defects) -> bool {
    let whole =
        serde_json::to_value(definition).map_or_else(|_| String::new(), |it| canonical(&it));
    if whole.len() > DEFINITION_LIMIT {
        let size = whole.len();
        let right = format!("the definition is {size} bytes as JSON; at most {DEFINITION_LIMIT}");
        defects.workflow("steps", right);
    }
    let steps = definition.steps.iter();
    let named = steps.map(|step| step.outputs.len() + usize::from(!step.when.is_empty()));
    let count = whole.matches("${{").count() + named.sum::<usize>();
    if count > EXPRESSION_LIMIT {
        let right = format!("have {count} expressions; at most {EXPRESSION_LIMIT} are allowed");
        defects.workflow("steps", right);
    }
    whole.len() > DEFINITION_LIMIT
        || count > EXPRESSION_LIMIT
        || definition.steps.len() > STEP_LIMIT
}

fn workflow(definition: &Definition, defects: &mut Defects) {
    if !is_name(&definition.name, 128, "._-", false) {
        defects.workflow("name", "must match [a-z0-9][a-z0-9._-]{0,127}");
    }
    if definition.steps.is_empty() || definition.steps.len() > STEP_LIMIT {
        let count = definition.steps.len();
        defects.workflow(
            "steps",
            format!("must be 1 to {STEP_LIMIT} steps and is {count}"),
        );
    }
    if definition.description.chars().count() > 2_000 {
        defects.workflow("description", "must be at most 2,000 characters");
    }
    for (field, object, limit) in [
        ("agents", &definition.agents, SMALL_OBJECT),
        ("config", &definition.config, SMALL_OBJECT),
        ("output", &definition.output, LARGE_OBJECT),
    ] {
        if size(object) > limit {
            defects.workflow(field, format!("must be at most {limit} bytes as JSON"));
        }
    }
    let schema = definition.input_schema.as_ref();
    if schema.is_some_and(|schema| canonical(schema).len() > LARGE_OBJECT) {
        defects.workflow(
            "input_schema",
            format!("must be at most {LARGE_OBJECT} bytes as JSON"),
        );
    }
    let wrong = |tag: &String| tag.is_empty() || tag.chars().count() > 64;
    if definition.tags.len() > 20 || definition.tags.iter().any(wrong) {
        defects.workflow("tags", "must be at most 20 tags of 1 to 64 characters");
    }
    if definition
        .timeout_ms
        .is_some_and(|ms| !(SECOND_MS..=TIMEOUT_LIMIT_MS).contains(&ms))
    {
        defects.workflow("timeout", "must be from 1 s to 365 days");
    }
}

/// What the workflow's type asks for.
fn shape(definition: &Definition, defects: &mut Defects) {
    let steps = &definition.steps;
    match definition.kind {
        WorkflowType::Sequential | WorkflowType::Parallel => {}
        WorkflowType::Conditional if steps.iter().all(|step| step.when.is_empty()) => {
            defects.workflow(
                "type",
                "CONDITIONAL needs at least one step with a condition (when)",
            );
        }
        WorkflowType::ErrorHandling if steps.iter().all(|step| step.on_failure.is_empty()) => {
            defects.workflow(
                "type",
                "ERROR_HANDLING needs at least one step with an on_failure",
            );
        }
        WorkflowType::Collaborative => {
            let tasks = steps.iter().filter(|step| step.kind == StepType::Task);
            if tasks
                .map(Step::needed_capability)
                .collect::<HashSet<_>>()
                .len()
                < 2
            {
                let right = "COLLABORATIVE needs tasks for at least two different capabilities";
                defects.workflow("type", right);
            }
        }
        WorkflowType::Conditional | WorkflowType::ErrorHandling => {}
        WorkflowType::Loop | WorkflowType::MapReduce => {
            let kind = definition.kind.as_str();
            defects.workflow("type", format!("{kind} workflows are not supported yet"));
        }
    }
}

fn common(index: usize, step: &Step, defects: &mut Defects) {
    let mut check = |right: bool, field: &str, description: &str| {
        if !right {
            defects.step(index, step, field, description);
        }
    };
    check(
        step.name.chars().count() <= 200,
        "name",
        "must be at most 200 characters",
    );
    let described = step.description.chars().count() <= 2_000;
    check(described, "description", "must be at most 2,000 characters");
    let in_time = |ms: u64| (SECOND_MS..=STEP_TIMEOUT_LIMIT_MS).contains(&ms);
    check(
        step.timeout_ms.is_none_or(in_time),
        "timeout",
        "must be from 1 s to 30 days",
    );
    check(
        step.retries <= RETRY_LIMIT,
        "retries",
        "must be from 0 to 20",
    );
    check(
        step.dependencies.len() <= 100,
        "dependencies",
        "must be at most 100",
    );
    check(
        size(&step.input) <= LARGE_OBJECT,
        "input",
        "must be at most 64 KiB as JSON",
    );
    check(
        size(&step.config) <= SMALL_OBJECT,
        "config",
        "must be at most 16 KiB as JSON",
    );
    check(step.outputs.len() <= 64, "outputs", "must be at most 64");
    check(
        step.retry_safety != RetrySafety::VerifyFirst,
        "retry_safety",
        "VERIFY_FIRST is not supported yet",
    );
    let pinned = "pinning to one agent is not supported yet; name a capability that only it offers";
    check(step.agent_id.is_empty(), "agent_id", pinned);
    if let Some(policy) = &step.retry_policy {
        check(
            step.retries > 0,
            "retry_policy",
            "is only for steps with retries",
        );
        retry_policy(policy, &mut check);
    }
    if let Some(amount) = &step.budget_amount {
        let right = "must be a plain decimal above 0 with a three-letter currency code";
        check(is_amount(amount), "budget_amount", right);
    }
}

fn retry_policy(policy: &RetryPolicy, check: &mut impl FnMut(bool, &str, &str)) {
    let initial = policy.initial_delay_ms;
    check(
        initial <= DAY_MS,
        "retry_policy.initial_delay",
        "must be from 0 s to 24 h",
    );
    check(
        (initial..=DAY_MS).contains(&policy.max_delay_ms),
        "retry_policy.max_delay",
        "must be from initial_delay to 24 h",
    );
    let grows = (1.0..=10.0).contains(&policy.multiplier);
    check(grows, "retry_policy.multiplier", "must be from 1 to 10");
    let share = (0.0..=1.0).contains(&policy.jitter);
    check(share, "retry_policy.jitter", "must be from 0 to 1");
    for (field, names) in [
        ("retry_policy.retry_on", &policy.retry_on),
        ("retry_policy.never_on", &policy.never_on),
    ] {
        let named = |name: &String| (1..=64).contains(&name.len());
        let right = names.len() <= 32 && names.iter().all(named);
        check(
            right,
            field,
            "must be at most 32 classes or codes of 1 to 64 characters",
        );
    }
}

fn task(index: usize, step: &Step, defects: &mut Defects) {
    let right = "must be 1 to 128 characters of [A-Za-z0-9._/-] beginning with a letter or digit";
    if !is_name(&step.action, 128, "._/-", true) {
        defects.step(index, step, "action", right);
    }
    if !step.capability.is_empty() && !is_name(&step.capability, 128, "._/-", true) {
        defects.step(index, step, "capability", right);
    }
    keys(index, step, &["queue"], defects);
    let is_queue = |queue: &Value| {
        queue
            .as_str()
            .is_some_and(|it| is_name(it, 64, "._-", true))
    };
    if step
        .config
        .get("queue")
        .is_some_and(|queue| !is_queue(queue))
    {
        let right = "must be a string of 1 to 64 characters of [A-Za-z0-9._-]";
        defects.step(index, step, "config.queue", right);
    }
    if step.requires_approval.is_empty() {
        if !step.approved_input.is_empty() {
            defects.step(
                index,
                step,
                "approved_input",
                "is only for steps with requires_approval",
            );
        }
    } else if !step.input.contains_key(step.artifact_input()) {
        let name = step.artifact_input();
        let right = format!("must have {name}, which has to be what was approved");
        defects.step(index, step, "input", right);
    }
}

fn approval(index: usize, step: &Step, defects: &mut Defects) {
    let known = [
        "subject",
        "title",
        "description",
        "allow_agents",
        "forbid_initiator",
    ];
    keys(index, step, &known, defects);
    if step.config.get("subject").is_none_or(Value::is_null) {
        let right = "is required: the artifact to agree to, as \"${{ expression }}\"";
        defects.step(index, step, "config.subject", right);
    }
    for field in ["title", "description"] {
        if step
            .config
            .get(field)
            .is_some_and(|value| !value.is_string())
        {
            defects.step(index, step, format!("config.{field}"), "must be a string");
        }
    }
    for field in ["allow_agents", "forbid_initiator"] {
        if step
            .config
            .get(field)
            .is_some_and(|value| !value.is_boolean())
        {
            defects.step(
                index,
                step,
                format!("config.{field}"),
                "must be true or false",
            );
        }
    }
    if !step.outputs.is_empty() {
        defects.step(
            index,
            step,
            "outputs",
            "an APPROVAL step has its own output",
        );
    }
    only_tasks(index, step, defects);
}

fn transform(index: usize, step: &Step, defects: &mut Defects) {
    keys(index, step, &[], defects);
    if step.outputs.is_empty() {
        defects.step(
            index,
            step,
            "outputs",
            "is required: what the step computes",
        );
    }
    if step.timeout_ms.is_some() {
        defects.step(index, step, "timeout", "a TRANSFORM step takes no time");
    }
    only_tasks(index, step, defects);
}

/// Fields that mean nothing to a step without a task, and would be silently ignored.
fn only_tasks(index: usize, step: &Step, defects: &mut Defects) {
    for (set, field) in [
        (!step.action.is_empty(), "action"),
        (!step.capability.is_empty(), "capability"),
        (!step.input.is_empty(), "input"),
        (step.retries > 0, "retries"),
        (!step.requires_approval.is_empty(), "requires_approval"),
        (!step.approved_input.is_empty(), "approved_input"),
        (step.budget_amount.is_some(), "budget_amount"),
    ] {
        if set {
            defects.step(index, step, field, "is only for TASK steps");
        }
    }
}

fn keys(index: usize, step: &Step, known: &[&str], defects: &mut Defects) {
    for key in step
        .config
        .keys()
        .filter(|key| !known.contains(&key.as_str()))
    {
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        let right = format!(
            "is not a setting of {} steps; known: {known}",
            step.kind.as_str()
        );
        defects.step(index, step, format!("config.{key}"), right);
    }
}

fn is_step_id(id: &str) -> bool {
    id.starts_with(|first: char| first.is_ascii_lowercase())
        && id.len() <= 63
        && id
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !KEYWORDS.contains(&id)
}

fn is_name(name: &str, longest: usize, marks: &str, capitals: bool) -> bool {
    let letter = |c: char| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || (capitals && c.is_ascii_uppercase())
    };
    name.len() <= longest
        && name.starts_with(letter)
        && name.chars().all(|c| letter(c) || marks.contains(c))
}

fn is_amount(amount: &Amount) -> bool {
    let (whole, fraction) = amount
        .amount
        .split_once('.')
        .unwrap_or((&amount.amount, "0"));
    let digits = |text: &str, longest: usize| {
        (1..=longest).contains(&text.len()) && text.chars().all(|c| c.is_ascii_digit())
    };
    digits(whole, 18)
        && digits(fraction, 10)
        && (whole == "0" || !whole.starts_with('0'))
        && amount.amount.chars().any(|c| ('1'..='9').contains(&c))
        && amount.currency_code.len() == 3
        && amount.currency_code.chars().all(|c| c.is_ascii_uppercase())
}

fn size(object: &Map<String, Value>) -> usize {
    if object.is_empty() {
        0
    } else {
        canonical(&Value::Object(object.clone())).len()
    }
}
