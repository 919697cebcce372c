//! Requests about gates.

use chrono::TimeDelta;
use prost::Message as _;
use reeve_contracts::task::v1 as proto;
use reeve_contracts::task::v1::gate_answer::Answer as Said;
use reeve_ids::GateId;
use reeve_schema::Schema;
use reeve_status::{Fault, Violations};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use super::{parse, parse_work};
use crate::domain::{self, Answer, Decision, Expiry, GateAsk, GateKind};
use crate::operations::settling::Suspension;
use crate::operations::{AnswerAsk, Suspend};
use crate::storage::GateFilter;

const PROMPT: usize = 4_096;
const SCHEMA: usize = 16 * 1_024;
const INPUT: usize = 32 * 1_024;
const COMMENT: usize = 4_096;

/// SuspendTask.
///
/// # Errors
/// INVALID_ARGUMENT with every violation.
pub fn suspend(request: proto::SuspendTaskRequest) -> Result<Suspend, Fault> {
    let mut v = Violations::new();
    let bytes = request.encoded_len();
    let token = parse::required(&mut v, "lease_token", &request.lease_token);
    let ask = match request.gate {
        Some(gate) => v.within("gate", |v| self::ask(v, gate)),
        None => {
            v.add("gate", "is required");
            None
        }
    };
    let checkpoint = parse_work::checkpoint(&mut v, request.checkpoint);
    let usage = parse_work::usages(&mut v, request.usage);
    let suspend = token.zip(ask).map(|(token, ask)| Suspend {
        token,
        suspension: Suspension {
            id: GateId::new(),
            ask,
            checkpoint,
            bytes,
        },
        usage,
    });
    parse::finish(v, suspend)
}

fn ask(v: &mut Violations, gate: proto::GateSpec) -> Option<GateAsk> {
    let kind = i16::try_from(gate.kind).ok();
    let kind = kind.and_then(GateKind::from_number);
    let kind = kind.filter(|kind| matches!(kind, GateKind::Input | GateKind::Approval));
    v.check(kind.is_some(), "kind", "must be INPUT or APPROVAL");
    parse::bytes(v, "prompt", &gate.prompt, PROMPT);
    v.check(!gate.prompt.is_empty(), "prompt", "is required");
    let input = kind.is_none_or(|kind| kind == GateKind::Input);
    let approval = kind.is_none_or(|kind| kind == GateKind::Approval);
    let answer_schema = gate.answer_schema.and_then(|schema| {
        v.check(input, "answer_schema", "is refused unless kind is INPUT");
        self::schema(v, schema)
    });
    let digest = &gate.content_digest;
    if !digest.is_empty() {
        v.check(
            approval,
            "content_digest",
            "is refused unless kind is APPROVAL",
        );
        v.check(is_digest(digest), "content_digest", DIGEST_RULE);
    }
    let expire = expire(v, gate.expire_duration.as_ref(), gate.expiry, input);
    Some(GateAsk {
        kind: kind?,
        prompt: gate.prompt,
        answer_schema,
        content_digest: gate.content_digest,
        expire,
    })
}

fn expire(
    v: &mut Violations,
    span: Option<&prost_types::Duration>,
    expiry: i32,
    input: bool,
) -> Option<(TimeDelta, Expiry)> {
    let (second, month) = (TimeDelta::seconds(1), TimeDelta::days(30));
    let given = span.is_some();
    let span = parse::duration(v, "expire_duration", span, second, month);
    if expiry == 0 {
        return span.map(|span| (span, Expiry::Fail));
    }
    v.check(given, "expiry", "is refused without expire_duration");
    let expiry = i16::try_from(expiry).ok().and_then(Expiry::from_number);
    v.check(expiry.is_some(), "expiry", "must be FAIL or PROCEED");
    let legal = input || expiry != Some(Expiry::Proceed);
    v.check(legal, "expiry", "must be FAIL unless kind is INPUT");
    span.zip(expiry)
}

const DIGEST_RULE: &str = "must be 64 hexadecimal digits";

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A schema that can be compiled; each fault of another is named by its place.
fn schema(v: &mut Violations, schema: prost_types::Struct) -> Option<Json> {
    let schema = parse::json(v, "answer_schema", Some(schema), SCHEMA)?;
    match Schema::compile_within_limits(&schema) {
        Err(faults) => {
            for fault in faults {
                let place = reeve_schema::dotted(&fault.pointer);
                v.add(format!("answer_schema{place}"), fault.description);
            }
        }
        Ok(_) => v.check(
            allows_objects(&schema),
            "answer_schema.type",
            "must be object, or allow it: an answer's input is one",
        ),
    }
    Some(schema)
}

fn allows_objects(schema: &Json) -> bool {
    schema.get("type").is_none_or(|kinds| match kinds {
        Json::Array(kinds) => kinds.iter().any(|kind| kind == "object"),
        kind => kind == "object",
    })
}

/// AnswerGate.
///
/// # Errors
/// INVALID_ARGUMENT with every violation.
pub fn answer(request: proto::AnswerGateRequest) -> Result<AnswerAsk, Fault> {
    let mut v = Violations::new();
    let task_id = parse::required(&mut v, "task_id", &request.task_id);
    let gate_id = parse::required(&mut v, "gate_id", &request.gate_id);
    let etag = parse::etag(&mut v, &request.etag);
    parse::text(&mut v, "request_id", &request.request_id, 128);
    let seen = &request.seen_digest;
    v.check(
        seen.is_empty() || is_digest(seen),
        "seen_digest",
        DIGEST_RULE,
    );
    let digest = Sha256::digest(request.answer.clone().unwrap_or_default().encode_to_vec());
    let answer = match request.answer {
        Some(answer) => v.within("answer", |v| self::said(v, answer)),
        None => {
            v.add("answer", "is required");
            None
        }
    };
    let ids = task_id.zip(gate_id).zip(answer);
    let ask = ids.map(|((task_id, gate_id), answer)| AnswerAsk {
        task_id,
        gate_id,
        answer,
        digest: digest.to_vec(),
        etag,
        request_id: request.request_id,
        seen_digest: request.seen_digest,
    });
    parse::finish(v, ask)
}

fn said(v: &mut Violations, answer: proto::GateAnswer) -> Option<Answer> {
    parse::bytes(v, "comment", &answer.comment, COMMENT);
    let said = match answer.answer {
        None => {
            v.add("input", "or decision is required");
            None
        }
        Some(Said::Input(input)) => {
            parse::json(v, "input", Some(input), INPUT).map(domain::Said::Input)
        }
        Some(Said::Decision(number)) => {
            let decision = i16::try_from(number).ok().and_then(Decision::from_number);
            let words = Decision::ALL.map(Decision::word).join(", ");
            v.check(
                decision.is_some(),
                "decision",
                format!("must be one of {words}"),
            );
            decision.map(domain::Said::Decision)
        }
    };
    let complete = said == Some(domain::Said::Decision(Decision::Complete));
    let legal = answer.result.is_none() || complete;
    v.check(legal, "result", "is refused unless decision is COMPLETE");
    let result = parse_work::result(v, answer.result);
    Some(Answer {
        said: said?,
        comment: answer.comment,
        result,
    })
}

/// Which gates a list is about.
pub fn filter(v: &mut Violations, request: &proto::ListGatesRequest) -> GateFilter {
    v.check(request.kinds.len() <= 4, "kinds", "must be at most 4");
    let kinds = request.kinds.iter().enumerate().filter_map(|(at, number)| {
        let kind = i16::try_from(*number).ok().and_then(GateKind::from_number);
        v.check(
            kind.is_some(),
            format!("kinds[{at}]"),
            "must be INPUT, APPROVAL, LOST_LEASE or TIMEOUT",
        );
        kind.map(GateKind::number)
    });
    let kinds = kinds.collect();
    names(v, "queues", &request.queues, 64);
    names(v, "task_types", &request.task_types, 128);
    v.check(
        request.page_size >= 0,
        "page_size",
        "must be from 0 to 1000",
    );
    GateFilter {
        kinds,
        queues: request.queues.clone(),
        task_types: request.task_types.clone(),
    }
}

fn names(v: &mut Violations, field: &str, names: &[String], most: usize) {
    v.check(names.len() <= 64, field, "must be at most 64");
    for (at, name) in names.iter().enumerate().take(64) {
        parse::text(v, format!("{field}[{at}]"), name, most);
    }
}
