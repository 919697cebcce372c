//! What a program says by its output and exit status.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use chrono::TimeDelta;
use reeve_contracts::task::v1::Usage;
use serde_json::Value as Json;

use super::bounds;
use super::exec::Outcome;
use super::question::{self, Question};

/// How a task ended and what it used.
#[derive(Debug)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// What it used.
    pub usage: Vec<Usage>,
}

impl Report {
    /// A failure that used nothing.
    pub fn failed(code: &str, message: impl AsRef<str>, retryable: bool) -> Self {
        let outcome = Outcome::Failed {
            code: code.to_owned(),
            message: bounds::message(message.as_ref()),
            retryable,
        };
        Self {
            outcome,
            usage: Vec::new(),
        }
    }

    /// Adds how long the program was busy, which every run has.
    pub fn timed(mut self, busy: Duration) -> Self {
        let busy = TimeDelta::from_std(busy).unwrap_or(TimeDelta::MAX);
        let duration = Some(reeve_wellknown::duration(busy));
        match self.usage.first_mut() {
            Some(first) => first.duration = first.duration.take().or(duration),
            None => self.usage.push(Usage {
                duration,
                ..Usage::default()
            }),
        }
        self
    }
}

/// Reads the program's output: one JSON object, which is the result, or holds it under "result"
/// beside "usage", or says why it failed under "error", or what it waits for under "suspend".
/// A failure of which it does not say whether trying again may help is `retryable` by default or not.
pub fn parse(output: &[u8], status: ExitStatus, last_line: &str, retryable: bool) -> Report {
    let json = json(output);
    let usage = usage_in(json.as_ref().ok());
    let question = json.as_ref().ok().and_then(Question::read);
    let outcome = match question.filter(|_| status.code() == Some(question::EXIT)) {
        Some(question) => Outcome::Suspended(question),
        None if status.success() => completed(json),
        None => failed(json.ok(), status, last_line, retryable),
    };
    Report { outcome, usage }
}

/// What a program says it used, when nothing else that it says counts any more.
pub fn usage_of(output: &[u8]) -> Vec<Usage> {
    usage_in(json(output).ok().as_ref())
}

fn json(output: &[u8]) -> Result<Json, serde_json::Error> {
    let text = String::from_utf8_lossy(output);
    if text.trim().is_empty() {
        return Ok(Json::Object(serde_json::Map::new()));
    }
    serde_json::from_str(text.trim())
}

fn completed(json: Result<Json, serde_json::Error>) -> Outcome {
    let result = match json {
        Ok(Json::Object(mut map)) => map.remove("result").unwrap_or(Json::Object(map)),
        _ => Json::Null,
    };
    let Some(result) = reeve_wellknown::struct_from_json(result) else {
        let message = "the program must print one JSON object on stdout";
        return Report::failed("BAD_OUTPUT", message, false).outcome;
    };
    match bounds::fault_of(&result) {
        // The same program would print the same again.
        Some((code, message)) => Report::failed(code, message, false).outcome,
        None => Outcome::Completed(result),
    }
}

fn failed(
    json: Option<Json>,
    status: ExitStatus,
    last_line: &str,
    retryable_by_default: bool,
) -> Outcome {
    let error = json.as_ref().and_then(|json| json.get("error"));
    let text = |key| {
        error
            .and_then(|error| error.get(key))
            .and_then(Json::as_str)
            .map(str::to_owned)
    };
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("EXIT_{code}"),
        (None, Some(signal)) => format!("SIGNAL_{signal}"),
        (None, None) => "EXIT_UNKNOWN".to_owned(),
    };
    let retryable = error
        .and_then(|error| error.get("retryable"))
        .and_then(Json::as_bool);
    let said = if last_line.is_empty() {
        status.to_string()
    } else {
        last_line.to_owned()
    };
    let code = text("code").and_then(|code| bounds::code(&code));
    let message = text("message").unwrap_or(said);
    Report::failed(
        &code.unwrap_or(how),
        message,
        retryable.unwrap_or(retryable_by_default),
    )
    .outcome
}

/// `[{"provider", "model", "input_tokens", "cached_input_tokens", "output_tokens",
/// "quantities": {"unit": "1.5"}}]`; what is not of this form is left out.
fn usage_in(json: Option<&Json>) -> Vec<Usage> {
    let rows = json
        .and_then(|json| json.get("usage"))
        .and_then(Json::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let row = |row: &Json| {
        let text = |key| {
            row.get(key)
                .and_then(Json::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let count = |key| row.get(key).and_then(Json::as_i64).unwrap_or_default();
        let quantities = row.get("quantities").and_then(Json::as_object);
        let quantities = quantities.into_iter().flatten();
        let quantities = quantities.map(|(unit, amount)| (unit.clone(), decimal(amount)));
        Usage {
            provider: text("provider"),
            model: text("model"),
            input_tokens: count("input_tokens"),
            cached_input_tokens: count("cached_input_tokens"),
            output_tokens: count("output_tokens"),
            duration: None,
            quantities: quantities.collect(),
        }
    };
    bounds::usages(rows.iter().map(row).collect())
}

/// A quantity as text; a number without the exponent that JSON may give it.
fn decimal(amount: &Json) -> String {
    match amount {
        Json::String(text) => text.clone(),
        Json::Number(number) if number.is_f64() => number
            .as_f64()
            .map_or_else(String::new, |number| number.to_string()),
        other => other.to_string(),
    }
}

/// A progress line: "40% building" or "40 building" carries a share, any other line none.
pub fn progress(line: &str) -> (Option<f64>, String) {
    let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
    let number = first.strip_suffix('%').unwrap_or(first).parse::<f64>();
    match number.ok().filter(|share| (0.0..=100.0).contains(share)) {
        Some(share) => (Some(share), rest.to_owned()),
        None => (None, line.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Struct;

    use super::*;

    fn result_of(outcome: &Outcome) -> Option<&Struct> {
        match outcome {
            Outcome::Completed(result) => Some(result),
            Outcome::Failed { .. } | Outcome::Suspended(_) => None,
        }
    }

    fn exit(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    #[test]
    fn a_plain_object_is_the_result() {
        let report = parse(br#"{"files": 3}"#, exit(0), "", true);
        assert!(
            result_of(&report.outcome)
                .unwrap()
                .fields
                .contains_key("files")
        );
    }

    #[test]
    fn usage_stands_beside_the_result() {
        let output = br#"{"result": {"a": 1}, "usage": [{"model": "m", "input_tokens": 7}]}"#;
        let report = parse(output, exit(0), "", true).timed(Duration::from_millis(1_500));
        assert_eq!(report.usage[0].input_tokens, 7);
        assert_eq!(report.usage[0].duration.as_ref().unwrap().seconds, 1);
        assert!(
            !result_of(&report.outcome)
                .unwrap()
                .fields
                .contains_key("usage")
        );
    }

    #[test]
    fn a_failure_says_why() {
        let output = br#"{"error": {"code": "LINT", "message": "3 faults", "retryable": false}}"#;
        let Outcome::Failed {
            code,
            message,
            retryable,
        } = parse(output, exit(1), "x", true).outcome
        else {
            panic!("exit status 1 is a failure");
        };
        assert_eq!(
            (code.as_str(), message.as_str(), retryable),
            ("LINT", "3 faults", false)
        );
        let Outcome::Failed {
            code,
            message,
            retryable,
        } = parse(b"", exit(3), "no disk", true).outcome
        else {
            panic!("exit status 3 is a failure");
        };
        assert_eq!(
            (code.as_str(), message.as_str(), retryable),
            ("EXIT_3", "no disk", true)
        );
        let blind = parse(b"", exit(3), "no disk", false).outcome;
        let said = br#"{"error": {"retryable": true}}"#;
        let told = parse(said, exit(3), "no disk", false).outcome;
        for (outcome, expected) in [(blind, false), (told, true)] {
            let Outcome::Failed { retryable, .. } = outcome else {
                panic!("exit status 3 is a failure");
            };
            assert_eq!(retryable, expected);
        }
    }

    #[test]
    fn a_failure_is_told_in_words_that_the_queue_accepts() {
        let message = "trace\0back ".repeat(1_000);
        let error = serde_json::json!({"code": "rate-limited", "message": message});
        let output = serde_json::json!({"error": error}).to_string();
        let Outcome::Failed { code, message, .. } =
            parse(output.as_bytes(), exit(1), "", true).outcome
        else {
            panic!("exit status 1 is a failure");
        };
        assert_eq!((code.as_str(), message.len()), ("RATE_LIMITED", 4_096));
        assert!(!message.contains('\0'));
    }

    #[test]
    fn a_result_that_is_too_large_is_a_failure_for_good() {
        let output = serde_json::json!({"result": {"text": "x".repeat(2_000_000)}, "usage": [{"model": "m"}]});
        let report = parse(output.to_string().as_bytes(), exit(0), "", true);
        let Outcome::Failed {
            code, retryable, ..
        } = report.outcome
        else {
            panic!("two megabytes are too large");
        };
        assert_eq!((code.as_str(), retryable), ("RESULT_TOO_LARGE", false));
        assert_eq!(report.usage[0].model, "m", "it was used all the same");
    }

    #[test]
    fn a_quantity_may_be_a_number() {
        let output = br#"{"usage": [{"quantities": {"a": 1e-7, "b": 2, "c": "0.5"}}]}"#;
        let usage = &usage_of(output)[0].quantities;
        assert_eq!(
            (&*usage["a"], &*usage["b"], &*usage["c"]),
            ("0.0000001", "2", "0.5")
        );
    }

    #[test]
    fn output_that_is_no_object_fails() {
        for output in [&b"done"[..], b"[1]", b"7"] {
            assert!(result_of(&parse(output, exit(0), "", true).outcome).is_none());
        }
    }

    #[test]
    fn a_line_may_carry_a_share() {
        assert_eq!(progress("40% building"), (Some(40.0), "building".into()));
        assert_eq!(progress("building 40"), (None, "building 40".into()));
        assert_eq!(progress("400 files"), (None, "400 files".into()));
    }
}
