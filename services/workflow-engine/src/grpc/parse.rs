//! Requests as the operations want them. Every wrong field of a request is found before one is
//! reported.

use std::collections::BTreeMap;
use std::collections::HashMap;

use prost_types::Struct;
use reeve_contracts::workflow::v1 as wire;
use reeve_ids::{ApprovalId, ExecutionId, WorkflowId};
use reeve_status::{Fault, Violations};
use serde_json::{Value, json};

use crate::domain::canonical::canonical;
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
    let right = request_id.chars().count() <= 128;
    violations.check(right, "request_id", "must be at most 128 characters");
}

/// A text with a bound.
pub fn text(violations: &mut Violations, field: &str, text: &str, limit: usize) {
    let right = text.chars().count() <= limit;
    violations.check(right, field, format!("must be at most {limit} characters"));
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
        let short = value.chars().count() <= 255;
        violations.check(
            short,
            format!("labels.{key}"),
            "must be at most 255 characters",
        );
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
    violations.finish()?;
    let size = reeve_postgres::page::size(request.page_size)?;
    let before = reeve_postgres::page::decode(&request.page_token, &filter)?;
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
    violations.finish()?;
    let filter = approvals::Filter {
        states,
        execution_id,
    };
    let size = reeve_postgres::page::size(request.page_size)?;
    let before = reeve_postgres::page::decode(&request.page_token, &filter)?;
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

/// An execution's id and a reason.
pub fn with_reason(execution_id: &str, reason: &str) -> Result<ExecutionId, Fault> {
    let mut violations = Violations::new();
    let id = violations.take("execution_id", execution_id.parse::<ExecutionId>());
    text(&mut violations, "reason", reason, 1_000);
    violations.finish()?;
    id.ok_or_else(Fault::internal)
}
