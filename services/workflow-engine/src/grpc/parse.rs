//! Requests as the operations want them. Every wrong field of a request is found before one is
//! reported.

use std::collections::BTreeMap;
use std::collections::HashMap;

use prost_types::Struct;
use reeve_contracts::workflow::v1 as wire;
use reeve_ids::{ApprovalId, ExecutionId, WorkflowId};
use reeve_status::{Fault, Violations};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::domain::canonical::canonical;
use crate::domain::expression::unfit;
use crate::domain::state::Priority;
use crate::operations::decide_approval::Decision;
use crate::operations::start_execution::Start;
use crate::storage::workflows::Which;
use crate::storage::{approvals, executions};

const INPUT_LIMIT: usize = 256 * 1_024;
const CONTEXT_LIMIT: usize = 64 * 1_024;
const LABEL_LIMIT: usize = 32;

/// One id.
pub fn id<T>(field: &str, text: &str) -> Result<T, Fault>
where
    T: std::str::FromStr<Err = reeve_ids::InvalidId>,
{
    let mut violations = Violations::new();
    let id = violations.take(field, text.parse());
    violations.finish()?;
    id.ok_or_else(Fault::internal)
}

/// An id that may be empty.
fn optional<T>(violations: &mut Violations, field: &str, text: &str) -> Option<T>
where
    T: std::str::FromStr<Err = reeve_ids::InvalidId>,
{
    if text.is_empty() {
        None
    } else {
        violations.take(field, text.parse())
    }
}

/// A request_id, which may be empty.
pub fn request_id(violations: &mut Violations, request_id: &str) {
    text(violations, "request_id", request_id, 128);
}

/// A text with a bound that PostgreSQL can store.
pub fn text(violations: &mut Violations, field: &str, text: &str, limit: usize) {
    let right = text.chars().count() <= limit && !text.contains('\0');
    let rule = format!("must be at most {limit} characters, none of them NUL");
    violations.check(right, field, rule);
}

/// An etag, which may be empty.
pub fn etag(violations: &mut Violations, etag: &str) -> Option<i64> {
    if etag.is_empty() {
        return None;
    }
    let version = etag.parse().ok();
    let right = "must be the etag of the execution, or empty";
    violations.check(version.is_some(), "etag", right);
    version
}

/// Size and place of a page, with whatever else is wrong with the request.
pub fn page<Key: DeserializeOwned>(
    mut violations: Violations,
    size: i32,
    token: &str,
    filter: &impl Serialize,
) -> Result<(i64, Option<Key>), Fault> {
    let size = reeve_postgres::page::size(size);
    let key = reeve_postgres::page::decode(token, filter);
    match (size, key) {
        (Ok(size), key) if violations.is_empty() => Ok((size, key?)),
        (size, key) => {
            let wrong = [size.err(), key.err()].into_iter().flatten();
            for violation in wrong.flat_map(|fault| fault.violations().to_vec()) {
                violations.add(violation.field, violation.description);
            }
            Err(violations.into_fault())
        }
    }
}

/// Exactly one of an id and a name.
pub fn which(
    violations: &mut Violations,
    (id_field, id): (&str, &str),
    (name_field, name): (&str, &str),
    version: (&str, i32),
) -> Which {
    violations.check(version.1 >= 0, version.0, "must not be negative");
    if id.is_empty() == name.is_empty() {
        let right = format!("exactly one of {id_field} and {name_field} is required");
        violations.add(id_field, right);
    }
    text(violations, name_field, name, 128);
    match optional::<WorkflowId>(violations, id_field, id) {
        Some(id) => Which::Id(id),
        None => Which::Name(name.to_owned()),
    }
}

/// A Struct with a bound; unset is an empty object.
fn object(violations: &mut Violations, field: &str, value: Option<Struct>, limit: usize) -> Value {
    let value = value.map_or_else(|| json!({}), reeve_wellknown::json_from_struct);
    let right = canonical(&value).len() <= limit;
    violations.check(
        right,
        field,
        format!("must be at most {limit} bytes as JSON"),
    );
    if let Some(why) = unfit(&value) {
        violations.add(field, why);
    }
    value
}

fn labels(
    violations: &mut Violations,
    labels: HashMap<String, String>,
    limit: usize,
) -> BTreeMap<String, String> {
    let few = labels.len() <= limit;
    violations.check(few, "labels", format!("must be at most {limit}"));
    for (key, value) in &labels {
        let spelled = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._/-".contains(c);
        let right = (1..=63).contains(&key.len()) && key.chars().all(spelled);
        violations.check(
            right,
            format!("labels.{key}"),
            "its key must be 1 to 63 characters of [a-z0-9._/-]",
        );
        let right = value.chars().count() <= 255 && !value.contains('\0');
        let rule = "must be at most 255 characters, none of them NUL";
        violations.check(right, format!("labels.{key}"), rule);
    }
    labels.into_iter().collect()
}

/// StartExecution.
pub fn start(request: wire::StartExecutionRequest, traceparent: String) -> Result<Start, Fault> {
    let mut violations = Violations::new();
    let found = &mut violations;
    request_id(found, &request.request_id);
    let which = which(
        found,
        ("workflow_id", &request.workflow_id),
        ("workflow_name", &request.workflow_name),
        ("workflow_version", request.workflow_version),
    );
    let priority = match request.priority() {
        // An unknown number reads as unspecified.
        wire::ExecutionPriority::Unspecified if request.priority != 0 => {
            found.add("priority", "is not a known priority");
            Priority::Normal
        }
        wire::ExecutionPriority::Unspecified | wire::ExecutionPriority::Normal => Priority::Normal,
        wire::ExecutionPriority::Low => Priority::Low,
        wire::ExecutionPriority::High => Priority::High,
        wire::ExecutionPriority::Critical => Priority::Critical,
    };
    let start = Start {
        which,
        version: request.workflow_version,
        input: object(found, "input", request.input, INPUT_LIMIT),
        context: object(found, "context", request.context, CONTEXT_LIMIT),
        labels: labels(found, request.labels, LABEL_LIMIT),
        project_id: optional(found, "project_id", &request.project_id),
        budget_id: optional(found, "budget_id", &request.budget_id),
        priority,
        traceparent,
        request_id: request.request_id,
    };
    violations.finish()?;
    Ok(start)
}

/// A page of executions.
pub struct ExecutionPage {
    /// Which.
    pub filter: executions::Filter,
    /// Before which.
    pub before: Option<ExecutionId>,
    /// How many.
    pub size: i64,
}

/// ListExecutions.
pub fn executions(request: wire::ListExecutionsRequest) -> Result<ExecutionPage, Fault> {
    let mut violations = Violations::new();
    let known = |state: &i32| wire::ExecutionState::try_from(*state).ok();
    let states = states(&mut violations, &request.states, 7, |state| {
        let name = known(state)?
            .as_str_name()
            .strip_prefix("EXECUTION_STATE_")?;
        (name != "UNSPECIFIED").then(|| name.to_owned())
    });
    let filter = executions::Filter {
        states,
        workflow_id: optional(&mut violations, "workflow_id", &request.workflow_id),
        labels: labels(&mut violations, request.labels, 8),
    };
    let token = &request.page_token;
    let (size, before) = page(violations, request.page_size, token, &filter)?;
    Ok(ExecutionPage {
        filter,
        before,
        size,
    })
}

/// A page of approvals.
pub struct ApprovalPage {
    /// Which.
    pub filter: approvals::Filter,
    /// Before which.
    pub before: Option<ApprovalId>,
    /// How many.
    pub size: i64,
}

/// ListApprovals.
pub fn approvals(request: &wire::ListApprovalsRequest) -> Result<ApprovalPage, Fault> {
    let mut violations = Violations::new();
    let known = |state: &i32| wire::ApprovalState::try_from(*state).ok();
    let states = states(&mut violations, &request.states, 5, |state| {
        let name = known(state)?
            .as_str_name()
            .strip_prefix("APPROVAL_STATE_")?;
        (name != "UNSPECIFIED").then(|| name.to_owned())
    });
    let execution_id = optional(&mut violations, "execution_id", &request.execution_id);
    let filter = approvals::Filter {
        states,
        execution_id,
    };
    let token = &request.page_token;
    let (size, before) = page(violations, request.page_size, token, &filter)?;
    Ok(ApprovalPage {
        filter,
        before,
        size,
    })
}

fn states(
    violations: &mut Violations,
    numbers: &[i32],
    limit: usize,
    word: impl Fn(&i32) -> Option<String>,
) -> Vec<String> {
    violations.check(
        numbers.len() <= limit,
        "states",
        format!("must be at most {limit}"),
    );
    let numbers = numbers.iter().enumerate();
    let words = numbers.filter_map(|(index, number)| {
        let word = word(number);
        violations.check(
            word.is_some(),
            format!("states[{index}]"),
            "is not a known state",
        );
        word
    });
    words.collect()
}

/// DecideApproval.
pub fn decision(request: wire::DecideApprovalRequest) -> Result<Decision, Fault> {
    let mut violations = Violations::new();
    let approval = violations.take("approval_id", request.approval_id.parse::<ApprovalId>());
    let decision = request.decision();
    violations.check(
        decision != wire::ApprovalDecision::Unspecified,
        "decision",
        "must be APPROVE or REJECT",
    );
    let digits = request.seen_digest.len() == 64
        && request.seen_digest.chars().all(|c| c.is_ascii_hexdigit());
    violations.check(
        digits,
        "seen_digest",
        "must be the subject_digest of what was seen: 64 hexadecimal digits",
    );
    text(&mut violations, "comment", &request.comment, 4_000);
    violations.finish()?;
    Ok(Decision {
        approval: approval.ok_or_else(Fault::internal)?,
        approved: decision == wire::ApprovalDecision::Approve,
        seen_digest: request.seen_digest,
        comment: request.comment,
    })
}

/// Which execution, and the etag that it must have.
pub type Guarded = (ExecutionId, Option<i64>);

/// An execution's id, its etag and a reason.
pub fn guarded(execution_id: &str, etag_text: &str, reason: &str) -> Result<Guarded, Fault> {
    let mut violations = Violations::new();
    let id = violations.take("execution_id", execution_id.parse::<ExecutionId>());
    let etag = etag(&mut violations, etag_text);
    text(&mut violations, "reason", reason, 1_000);
    violations.finish()?;
    Ok((id.ok_or_else(Fault::internal)?, etag))
}
