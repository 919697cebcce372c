//! What agents say.

use std::collections::HashSet;

use chrono::TimeDelta;
use prost::Message as _;
use reeve_contracts::task::v1 as proto;
use reeve_ids::TenantId;
use reeve_status::{Fault, Violations};
use serde_json::Value as Json;

use super::parse;
use super::parse_spec::is_decimal;
use crate::domain::{Artifact, TaskError, Usage};
use crate::operations::{Failure, Rejection};
use crate::storage::{Completion, Progress};

const RESULT: usize = 1_024 * 1_024;
const CHECKPOINT: usize = 256 * 1_024;
const DETAILS: usize = 64 * 1_024;

/// CompleteTask.
///
/// # Errors
/// INVALID_ARGUMENT with every violation.
pub fn completion(
    request: proto::CompleteTaskRequest,
    tenant_id: TenantId,
) -> Result<Completion, Fault> {
    let mut v = Violations::new();
    let parsed = complete(&mut v, request, tenant_id);
    parse::finish(v, parsed)
}

/// BatchCompleteTasks.
///
/// # Errors
/// INVALID_ARGUMENT with every violation of every item.
pub fn completions(
    requests: Vec<proto::CompleteTaskRequest>,
    tenant_id: TenantId,
) -> Result<Vec<Completion>, Fault> {
    let mut v = Violations::new();
    v.check(
        (1..=256).contains(&requests.len()),
        "requests",
        "must be 1 to 256",
    );
    let mut completions = Vec::with_capacity(requests.len());
    for (at, request) in requests.into_iter().enumerate() {
        let one = v.within(format!("requests[{at}]"), |v| {
            complete(v, request, tenant_id)
        });
        completions.extend(one);
    }
    v.finish()?;
    Ok(completions)
}

fn complete(
    v: &mut Violations,
    request: proto::CompleteTaskRequest,
    tenant_id: TenantId,
) -> Option<Completion> {
    let bytes = request.encoded_len();
    let token = parse::required(v, "lease_token", &request.lease_token);
    parse::bytes(v, "message", &request.message, 1_024);
    let result = self::result(v, request.result);
    let usage = usages(v, request.usage);
    let artifacts = artifacts(v, request.artifacts);
    Some(Completion {
        token: token?,
        tenant_id,
        result,
        message: request.message,
        usage,
        artifacts,
        bytes,
    })
}

/// FailTask.
///
/// # Errors
/// INVALID_ARGUMENT with every violation.
pub fn failure(request: proto::FailTaskRequest) -> Result<Failure, Fault> {
    let mut v = Violations::new();
    let token = parse::required(&mut v, "lease_token", &request.lease_token);
    let error = match request.error {
        Some(error) => v.within("error", |v| self::error(v, error)),
        None => {
            v.add("error", "is required");
            TaskError::new("", "")
        }
    };
    let wait = request.retry_after_duration.as_ref();
    let legal = wait.is_none() || request.retryable;
    v.check(legal, "retry_after_duration", "is refused unless retryable");
    let (zero, day) = (TimeDelta::zero(), TimeDelta::hours(24));
    let retry_after = parse::duration(&mut v, "retry_after_duration", wait, zero, day);
    let usage = usages(&mut v, request.usage);
    let artifacts = artifacts(&mut v, request.artifacts);
    let retryable = request.retryable;
    let failure = token.map(|token| Failure {
        token,
        error,
        retryable,
        retry_after,
        usage,
        artifacts,
    });
    parse::finish(v, failure)
}

/// What a next attempt needs.
pub fn checkpoint(v: &mut Violations, checkpoint: Option<prost_types::Struct>) -> Option<Json> {
    parse::json(v, "checkpoint", checkpoint, CHECKPOINT)
}

/// What came of a task.
pub fn result(v: &mut Violations, result: Option<prost_types::Struct>) -> Option<Json> {
    parse::json(v, "result", result, RESULT)
}

fn error(v: &mut Violations, error: proto::TaskError) -> TaskError {
    let legal = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let right = (1..=64).contains(&error.code.len()) && error.code.chars().all(legal);
    v.check(right, "code", "must be 1 to 64 characters of [A-Z0-9_]");
    parse::bytes(v, "message", &error.message, 4_096);
    let details = parse::json(v, "details", error.details, DETAILS);
    TaskError {
        code: error.code,
        message: error.message,
        details,
    }
}

fn artifacts(v: &mut Violations, asked: Vec<proto::Artifact>) -> Vec<Artifact> {
    v.check(asked.len() <= 64, "artifacts", "must be at most 64");
    let mut names = HashSet::new();
    let each = asked.into_iter().enumerate().take(64);
    each.map(|(at, one)| {
        v.within(format!("artifacts[{at}]"), |v| {
            let first = names.insert(one.name.clone());
            v.check(first, "name", "must be unique within the attempt");
            artifact(v, one)
        })
    })
    .collect()
}

fn artifact(v: &mut Violations, asked: proto::Artifact) -> Artifact {
    v.check(!asked.name.is_empty(), "name", "is required");
    parse::text(v, "name", &asked.name, 256);
    parse::text(v, "media_type", &asked.media_type, 128);
    let rule = "must be an absolute URI of at most 2048 characters, without spaces";
    v.check(is_uri(&asked.uri), "uri", rule);
    v.check(asked.size_bytes >= 0, "size_bytes", "must not be negative");
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let digest = &asked.sha256;
    let legal = digest.is_empty() || (digest.len() == 64 && digest.bytes().all(hex));
    v.check(
        legal,
        "sha256",
        "must be 64 characters of [0-9a-f], or empty",
    );
    Artifact {
        name: asked.name,
        uri: asked.uri,
        media_type: asked.media_type,
        size_bytes: asked.size_bytes,
        sha256: asked.sha256,
    }
}

/// A scheme, a colon, and something: whoever follows it judges the rest.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let of_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    text.chars().count() <= 2_048
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(of_scheme)
        && !rest.is_empty()
        && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// ReportProgress.
///
/// # Errors
/// INVALID_ARGUMENT with every violation.
pub fn progress(
    request: proto::ReportProgressRequest,
    tenant_id: TenantId,
) -> Result<Progress, Fault> {
    let mut v = Violations::new();
    let bytes = request.encoded_len();
    let token = parse::required(&mut v, "lease_token", &request.lease_token);
    let percent = request.percent;
    v.check(
        (0.0..=100.0).contains(&percent),
        "percent",
        "must be from 0 to 100",
    );
    parse::bytes(&mut v, "message", &request.message, 1_024);
    let checkpoint = self::checkpoint(&mut v, request.checkpoint);
    let usage = usages(&mut v, request.usage);
    let message = request.message;
    let progress = token.map(|token| Progress {
        token,
        tenant_id,
        percent,
        message,
        checkpoint,
        usage,
        bytes,
    });
    parse::finish(v, progress)
}

/// RejectTask.
///
/// # Errors
/// INVALID_ARGUMENT with every violation.
pub fn rejection(request: proto::RejectTaskRequest) -> Result<Rejection, Fault> {
    let mut v = Violations::new();
    let token = parse::required(&mut v, "lease_token", &request.lease_token);
    parse::text(&mut v, "reason", &request.reason, 512);
    let reason = request.reason;
    parse::finish(v, token.map(|token| Rejection { token, reason }))
}

/// A lone lease token.
///
/// # Errors
/// INVALID_ARGUMENT.
pub fn token(text: &str) -> Result<crate::domain::LeaseToken, Fault> {
    let mut v = Violations::new();
    let token = parse::required(&mut v, "lease_token", text);
    parse::finish(v, token)
}

/// What an attempt consumed; nothing when nothing is said.
pub fn usages(v: &mut Violations, usages: Vec<proto::Usage>) -> Option<Vec<Usage>> {
    if usages.is_empty() {
        return None;
    }
    v.check(usages.len() <= 32, "usage", "must be at most 32");
    let each = usages.into_iter().enumerate();
    Some(
        each.map(|(at, one)| v.within(format!("usage[{at}]"), |v| usage(v, one)))
            .collect(),
    )
}

fn usage(v: &mut Violations, usage: proto::Usage) -> Usage {
    parse::text(v, "provider", &usage.provider, 64);
    parse::text(v, "model", &usage.model, 128);
    let counts = [
        ("input_tokens", usage.input_tokens),
        ("cached_input_tokens", usage.cached_input_tokens),
        ("output_tokens", usage.output_tokens),
    ];
    for (field, count) in counts {
        let right = (0..=Usage::GREATEST_COUNT).contains(&count);
        v.check(right, field, "must be from 0 to 2^53");
    }
    let (zero, most) = (TimeDelta::zero(), TimeDelta::days(366));
    let busy = parse::duration(v, "duration", usage.duration.as_ref(), zero, most);
    v.check(
        usage.quantities.len() <= 16,
        "quantities",
        "must be at most 16",
    );
    for (unit, quantity) in &usage.quantities {
        let field = format!("quantities[{unit:?}]");
        v.check(is_unit(unit), &field, UNIT_RULE);
        v.check(
            is_decimal(quantity),
            &field,
            "must be a plain decimal that is not negative",
        );
    }
    Usage {
        provider: usage.provider,
        model: usage.model,
        input_tokens: usage.input_tokens,
        cached_input_tokens: usage.cached_input_tokens,
        output_tokens: usage.output_tokens,
        duration_seconds: seconds(busy.unwrap_or_default()),
        quantities: usage.quantities.into_iter().collect(),
    }
}

const UNIT_RULE: &str = "must be 1 to 63 characters of [a-z0-9_] beginning with a letter, and none \
     of agent_seconds, input_tokens, cached_input_tokens and output_tokens, which have fields";

/// Whether finance can price it by this name.
fn is_unit(unit: &str) -> bool {
    let own = [
        "agent_seconds",
        "input_tokens",
        "cached_input_tokens",
        "output_tokens",
    ];
    (1..=63).contains(&unit.len())
        && unit.starts_with(|first: char| first.is_ascii_lowercase())
        && unit
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !own.contains(&unit)
}

/// A span that is not negative as a plain decimal, without trailing zeros.
fn seconds(span: TimeDelta) -> String {
    let text = format!("{}.{:09}", span.num_seconds(), span.subsec_nanos());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_is_exact() {
        for (millis, text) in [(0, "0"), (1_500, "1.5"), (60_000, "60"), (100, "0.1")] {
            assert_eq!(seconds(TimeDelta::milliseconds(millis)), text);
        }
        assert_eq!(seconds(TimeDelta::nanoseconds(1)), "0.000000001");
    }
}
