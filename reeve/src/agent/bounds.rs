//! What task-queue accepts in a report (`reeve.task.v1`). A program knows nothing of these bounds,
//! and a refused report would have the program run again, so what it says is made to fit here.

use std::collections::HashMap;

use prost::Message as _;
use prost_types::Struct;
use prost_types::value::Kind;
use reeve_contracts::task::v1::Usage;

/// A line about progress.
pub const PROGRESS_BYTES: usize = 1_024;
/// The message of an error.
const MESSAGE_BYTES: usize = 4_096;
/// The code of an error.
const CODE_BYTES: usize = 64;
/// A result as JSON.
const RESULT_BYTES: usize = 1_024 * 1_024;
/// Objects and arrays within each other. Protobuf's decoders stop at 100 messages within each other,
/// an object of a Struct is three of them, and readers wrap a result into a few more.
const RESULT_DEPTH: usize = 28;
const USAGES: usize = 32;
const QUANTITIES: usize = 16;
/// 2^53: what a double can count to.
const GREATEST_COUNT: i64 = 1 << 53;

/// Text of at most so many bytes, cut between characters, without the NUL that PostgreSQL refuses.
pub fn clip(text: &str, most: usize) -> String {
    let mut clipped = text.replace('\0', "");
    clipped.truncate(clipped.floor_char_boundary(most));
    clipped
}

/// The message of an error.
pub fn message(text: &str) -> String {
    clip(text, MESSAGE_BYTES)
}

/// The code of an error: in capitals, with `_` for what a code cannot have; nothing when there is
/// nothing in it.
pub fn code(text: &str) -> Option<String> {
    let legal = text.trim().chars().map(|char| {
        let upper = char.to_ascii_uppercase();
        if upper.is_ascii_alphanumeric() {
            upper
        } else {
            '_'
        }
    });
    let code: String = legal.take(CODE_BYTES).collect();
    code.contains(|char| char != '_').then_some(code)
}

/// Why a result cannot be stored: a code and a sentence.
pub fn fault_of(result: &Struct) -> Option<(&'static str, String)> {
    // Depth first: what follows descends as deep as the result is.
    if !is_within(result, RESULT_DEPTH) {
        let message = format!("the result has more than {RESULT_DEPTH} levels within each other");
        return Some(("RESULT_TOO_DEEP", message));
    }
    if has_nul(result) {
        let message = "the result has a NUL character in a text, which cannot be stored".to_owned();
        return Some(("BAD_OUTPUT", message));
    }
    let bytes = reeve_wellknown::json_from_struct(result.clone())
        .to_string()
        .len();
    if bytes > RESULT_BYTES {
        let message = format!("the result has {bytes} bytes; {RESULT_BYTES} can be stored");
        return Some(("RESULT_TOO_LARGE", message));
    }
    // A number is up to five times as long in a message as in JSON.
    let bytes = result.encoded_len();
    if bytes > reeve_runtime::answer::ANSWER_BYTES {
        let message = format!(
            "the result has {bytes} bytes as a message; {} fit into an answer",
            reeve_runtime::answer::ANSWER_BYTES
        );
        return Some(("RESULT_TOO_LARGE", message));
    }
    None
}

fn is_within(fields: &Struct, depth: usize) -> bool {
    depth > 0
        && fields
            .fields
            .values()
            .all(|value| is_kind_within(value.kind.as_ref(), depth - 1))
}

fn is_kind_within(kind: Option<&Kind>, depth: usize) -> bool {
    match kind {
        Some(Kind::StructValue(fields)) => is_within(fields, depth),
        Some(Kind::ListValue(list)) => {
            depth > 0
                && list
                    .values
                    .iter()
                    .all(|value| is_kind_within(value.kind.as_ref(), depth - 1))
        }
        _ => true,
    }
}

fn has_nul(fields: &Struct) -> bool {
    fields
        .fields
        .iter()
        .any(|(key, value)| key.contains('\0') || kind_has_nul(value.kind.as_ref()))
}

fn kind_has_nul(kind: Option<&Kind>) -> bool {
    match kind {
        Some(Kind::StringValue(text)) => text.contains('\0'),
        Some(Kind::StructValue(fields)) => has_nul(fields),
        Some(Kind::ListValue(list)) => list
            .values
            .iter()
            .any(|value| kind_has_nul(value.kind.as_ref())),
        _ => false,
    }
}

/// The usage that can be accounted for; the rest is told of in the log.
pub fn usages(mut said: Vec<Usage>) -> Vec<Usage> {
    said.retain(|usage| {
        let fault = usage_fault(usage);
        if let Some(fault) = fault {
            tracing::warn!(model = usage.model, "usage is left out: {fault}");
        }
        fault.is_none()
    });
    if said.len() > USAGES {
        tracing::warn!(
            entries = said.len(),
            "usage beyond {USAGES} entries is left out"
        );
        said.truncate(USAGES);
    }
    said
}

fn usage_fault(usage: &Usage) -> Option<&'static str> {
    let is_text = |text: &str, most| text.chars().count() <= most && !text.contains('\0');
    let counts = [
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.output_tokens,
    ];
    if !is_text(&usage.provider, 64) {
        return Some("provider has more than 64 characters");
    }
    if !is_text(&usage.model, 128) {
        return Some("model has more than 128 characters");
    }
    if !counts
        .iter()
        .all(|count| (0..=GREATEST_COUNT).contains(count))
    {
        return Some("a count of tokens is not from 0 to 2^53");
    }
    quantities_fault(&usage.quantities)
}

fn quantities_fault(quantities: &HashMap<String, String>) -> Option<&'static str> {
    let is_unit = |unit: &str| {
        (1..=64).contains(&unit.len())
            && unit.starts_with(|c: char| c.is_ascii_alphanumeric())
            && unit
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
    };
    if quantities.len() > QUANTITIES {
        return Some("more than 16 quantities");
    }
    if !quantities.keys().all(|unit| is_unit(unit)) {
        return Some("a unit is not 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-'");
    }
    if !quantities.values().all(|amount| is_decimal(amount)) {
        return Some("a quantity is not a plain decimal of at most 18 and 10 digits");
    }
    None
}

fn is_decimal(text: &str) -> bool {
    let digits = |part: &str, most| {
        (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let (whole, fraction) = text
        .split_once('.')
        .map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    digits(whole, 18)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(|fraction| digits(fraction, 10))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn result(json: Json) -> Struct {
        reeve_wellknown::struct_from_json(json).unwrap()
    }

    fn fault(json: Json) -> Option<&'static str> {
        fault_of(&result(json)).map(|(code, _)| code)
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(clip("a\0b", 10), "ab");
        assert_eq!(clip("äöü", 3), "ä");
        assert_eq!(message(&"é".repeat(4_000)).len(), 4_096);
    }

    #[test]
    fn a_code_is_in_capitals() {
        assert_eq!(code("rate-limited").as_deref(), Some("RATE_LIMITED"));
        assert_eq!(code(" HTTP 429 ").as_deref(), Some("HTTP_429"));
        assert_eq!(code(&"x".repeat(100)).map(|code| code.len()), Some(64));
        assert_eq!((code(""), code("---")), (None, None));
    }

    #[test]
    fn a_result_that_cannot_be_stored_is_known_before() {
        assert_eq!(fault(json!({"a": [1, "b", {"c": null}]})), None);
        assert_eq!(fault(json!({"a": ["b\0"]})), Some("BAD_OUTPUT"));
        assert_eq!(fault(json!({"a\0": 1})), Some("BAD_OUTPUT"));
        assert_eq!(
            fault(json!({"a": "x".repeat(RESULT_BYTES)})),
            Some("RESULT_TOO_LARGE")
        );
        let ones = vec![1; 400_000];
        assert_eq!(fault(json!({"a": ones})), Some("RESULT_TOO_LARGE"));
    }

    #[test]
    fn the_deepest_result_survives_the_wire() {
        let nested = |depth: usize| (1..depth).fold(json!({}), |inner, _| json!({"a": inner}));
        assert_eq!(fault(nested(RESULT_DEPTH)), None);
        assert_eq!(fault(nested(RESULT_DEPTH + 1)), Some("RESULT_TOO_DEEP"));
        let message = reeve_contracts::task::v1::WorkRequest {
            sequence: 1,
            message: Some(reeve_contracts::task::v1::work_request::Message::Complete(
                reeve_contracts::task::v1::CompleteBatch {
                    items: vec![reeve_contracts::task::v1::CompleteTaskRequest {
                        result: Some(result(nested(RESULT_DEPTH))),
                        ..Default::default()
                    }],
                },
            )),
        };
        let bytes = message.encode_to_vec();
        let heard = reeve_contracts::task::v1::WorkRequest::decode(bytes.as_slice()).unwrap();
        assert_eq!(heard, message);
    }

    #[test]
    fn usage_that_cannot_be_accounted_for_is_left_out() {
        let usage = |input_tokens, unit: &str, amount: &str| Usage {
            input_tokens,
            quantities: HashMap::from([(unit.to_owned(), amount.to_owned())]),
            ..Usage::default()
        };
        let said = vec![
            usage(7, "gpu_seconds", "1.5"),
            usage(-1, "gpu_seconds", "1"),
            usage(i64::MAX, "gpu_seconds", "1"),
            usage(7, "gpu seconds", "1"),
            usage(7, "gpu_seconds", "1e-3"),
            usage(7, "gpu_seconds", "-1"),
        ];
        assert_eq!(usages(said.clone()), said[..1]);
        assert_eq!(usages(vec![usage(1, "a", "1"); 40]).len(), USAGES);
    }
}
