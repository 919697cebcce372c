//! Who is to have a task, and which delegations are asked for.

use prost::Message as _;
use prost_types::Struct;
use reeve_contracts::task::v1 as proto;
use reeve_ids::AgentId;
use reeve_status::{Fault, Violations};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use super::{parse, parse_work};
use crate::domain::{DelegationOutcome, DelegationType};
use crate::operations::{By, DelegationAsk};
use crate::storage::delegations::DelegationFilter;

const METADATA: usize = 16 * 1_024;
const CHECKPOINT: usize = 256 * 1_024;

/// DelegateTask.
///
/// # Errors
/// INVALID_ARGUMENT with every violation.
pub fn delegate(request: proto::DelegateTaskRequest) -> Result<DelegationAsk, Fault> {
    let mut v = Violations::new();
    let token = parse::required(&mut v, "lease_token", &request.lease_token);
    let (kind, to) = target(&mut v, request.r#type, &request.to_agent_id);
    let metadata = facts(&mut v, &request.reason, request.metadata);
    let checkpoint = parse::json(&mut v, "checkpoint", request.checkpoint, CHECKPOINT);
    let usage = parse_work::usages(&mut v, request.usage);
    let ask = token.zip(kind).map(|(token, kind)| DelegationAsk {
        by: By::Holder(token),
        kind,
        to,
        reason: request.reason,
        metadata,
        checkpoint,
        usage,
    });
    parse::finish(v, ask)
}

/// ReassignTask.
///
/// # Errors
/// INVALID_ARGUMENT with every violation.
pub fn reassign(request: proto::ReassignTaskRequest) -> Result<DelegationAsk, Fault> {
    let mut v = Violations::new();
    let digest = (!request.request_id.is_empty()).then(|| digest(&request));
    let task_id = parse::required(&mut v, "task_id", &request.task_id);
    let (kind, to) = target(&mut v, request.r#type, &request.to_agent_id);
    let metadata = facts(&mut v, &request.reason, request.metadata);
    let etag = parse::etag(&mut v, &request.etag);
    parse::text(&mut v, "request_id", &request.request_id, 128);
    let request_id = request.request_id;
    let ask = task_id.zip(kind).map(|(task_id, kind)| DelegationAsk {
        by: By::Operator {
            task_id,
            etag,
            request: digest.map(|digest| (request_id, digest)),
        },
        kind,
        to,
        reason: request.reason,
        metadata,
        checkpoint: None,
        usage: None,
    });
    parse::finish(v, ask)
}

/// A body is the same whichever version of the task it was about.
fn digest(request: &proto::ReassignTaskRequest) -> Vec<u8> {
    let body = proto::ReassignTaskRequest {
        etag: String::new(),
        ..request.clone()
    };
    Sha256::digest(body.encode_to_vec()).to_vec()
}

fn target(v: &mut Violations, kind: i32, to: &str) -> (Option<DelegationType>, Option<AgentId>) {
    let kind = i16::try_from(kind)
        .ok()
        .and_then(DelegationType::from_number);
    v.check(kind.is_some(), "type", "must be a type of delegation");
    let to_agent = parse::optional(v, "to_agent_id", to);
    match kind {
        Some(DelegationType::Manual) => {
            v.check(!to.is_empty(), "to_agent_id", "is required with MANUAL");
        }
        Some(kind @ (DelegationType::Automatic | DelegationType::LoadBalance)) => {
            let rule = format!("is refused with {}: the server chooses", kind.word());
            v.check(to.is_empty(), "to_agent_id", rule);
        }
        Some(DelegationType::Failover) | None => {}
    }
    (kind, to_agent)
}

fn facts(v: &mut Violations, reason: &str, metadata: Option<Struct>) -> Option<Json> {
    parse::text(v, "reason", reason, 512);
    parse::json(v, "metadata", metadata, METADATA)
}

/// Which delegations.
pub fn filter(v: &mut Violations, filter: Option<proto::DelegationFilter>) -> DelegationFilter {
    let Some(filter) = filter else {
        return DelegationFilter::default();
    };
    v.within("filter", |v| {
        let kinds = filter.types.iter().enumerate().filter_map(|(at, number)| {
            let kind = i16::try_from(*number)
                .ok()
                .and_then(DelegationType::from_number);
            v.check(
                kind.is_some(),
                format!("types[{at}]"),
                "must be a type of delegation",
            );
            kind.map(DelegationType::number)
        });
        let kinds = kinds.collect();
        let outcomes = filter
            .outcomes
            .iter()
            .enumerate()
            .filter_map(|(at, number)| {
                let outcome = i16::try_from(*number)
                    .ok()
                    .and_then(DelegationOutcome::from_number);
                v.check(
                    outcome.is_some(),
                    format!("outcomes[{at}]"),
                    "must be an outcome",
                );
                outcome.map(DelegationOutcome::number)
            });
        let outcomes = outcomes.collect();
        DelegationFilter {
            task_id: parse::optional(v, "task_id", &filter.task_id),
            from: parse::optional(v, "from_agent_id", &filter.from_agent_id),
            to: parse::optional(v, "to_agent_id", &filter.to_agent_id),
            kinds,
            outcomes,
            since: parse::time(v, "delegate_time_from", filter.delegate_time_from.as_ref()),
            before: parse::time(
                v,
                "delegate_time_before",
                filter.delegate_time_before.as_ref(),
            ),
        }
    })
}
