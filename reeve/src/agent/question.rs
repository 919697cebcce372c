//! A program that waits for people: it says what it needs to know, ends, and is started again with
//! the answer.

use prost_types::Struct;
use reeve_contracts::task::v1::gate_answer::Answer as Said;
use reeve_contracts::task::v1::{Gate, GateDecision, GateExpiry, GateKind, GateSpec};
use serde_json::{Value as Json, json};

use super::bounds;

/// The exit status of a program that waits for people.
pub const EXIT: i32 = 75;
/// What people are asked.
const PROMPT_BYTES: usize = 4_096;

/// What a program asks before it ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// What people are asked.
    pub gate: GateSpec,
    /// What the program wants to be told again beside the answer.
    pub checkpoint: Option<Struct>,
}

impl Question {
    /// Reads `{"suspend": {"prompt", "kind", "answer_schema", "content_digest", "expire_seconds",
    /// "expiry"}, "checkpoint": {..}}`. What is wrong with it is told by task-queue.
    pub fn read(output: &Json) -> Option<Self> {
        let asked = output.get("suspend").filter(|asked| asked.is_object())?;
        let text = |key| asked.get(key).and_then(Json::as_str).unwrap_or_default();
        let structure =
            |json: Option<&Json>| json.cloned().and_then(reeve_wellknown::struct_from_json);
        let kind = match text("kind").to_ascii_uppercase().as_str() {
            "APPROVAL" => GateKind::Approval,
            _ => GateKind::Input,
        };
        let expiry = match text("expiry").to_ascii_uppercase().as_str() {
            "PROCEED" => GateExpiry::Proceed,
            "FAIL" => GateExpiry::Fail,
            _ => GateExpiry::Unspecified,
        };
        let seconds = asked.get("expire_seconds").and_then(Json::as_i64);
        let gate = GateSpec {
            kind: kind.into(),
            prompt: bounds::clip(text("prompt"), PROMPT_BYTES),
            answer_schema: structure(asked.get("answer_schema")),
            content_digest: text("content_digest").to_owned(),
            expire_duration: seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
            expiry: expiry.into(),
        };
        let checkpoint = structure(output.get("checkpoint"));
        Some(Self { gate, checkpoint })
    }
}

/// What a program is told of the answers to its questions, oldest first.
pub fn answers(gates: &[Gate]) -> Json {
    gates.iter().map(answer).collect()
}

fn answer(gate: &Gate) -> Json {
    let said = gate.answer.clone().unwrap_or_default();
    let (input, decision) = match said.answer {
        Some(Said::Input(input)) => (reeve_wellknown::json_from_struct(input), Json::Null),
        Some(Said::Decision(number)) => {
            let decision = GateDecision::try_from(number).unwrap_or_default();
            let word = decision.as_str_name().trim_start_matches("GATE_DECISION_");
            (Json::Null, json!(word))
        }
        None => (Json::Null, Json::Null),
    };
    json!({
        "kind": gate.kind().as_str_name().trim_start_matches("GATE_KIND_"),
        "state": gate.state().as_str_name().trim_start_matches("GATE_STATE_"),
        "prompt": gate.prompt, "attempt": gate.attempt,
        "input": input, "decision": decision, "comment": said.comment,
    })
}

#[cfg(test)]
mod tests {
    use reeve_contracts::task::v1::{GateAnswer, GateState};

    use super::*;

    #[test]
    fn a_question_is_read_as_far_as_it_goes() {
        let output = json!({
            "suspend": {
                "prompt": "which region?", "answer_schema": {"type": "object"},
                "expire_seconds": 60, "expiry": "proceed",
            },
            "checkpoint": {"step": 3},
        });
        let question = Question::read(&output).expect("it asks");
        assert_eq!(question.gate.kind(), GateKind::Input);
        assert_eq!(question.gate.expiry(), GateExpiry::Proceed);
        assert_eq!(
            question.gate.expire_duration.map(|span| span.seconds),
            Some(60)
        );
        assert!(question.gate.answer_schema.is_some() && question.checkpoint.is_some());
        let plain = Question::read(&json!({"suspend": {"kind": "approval"}})).expect("it asks");
        assert_eq!(plain.gate.kind(), GateKind::Approval);
        assert_eq!(Question::read(&json!({"suspend": true})), None);
        assert_eq!(Question::read(&json!({"result": {}})), None);
    }

    #[test]
    fn answers_are_told_in_plain_words() {
        let mut decided = Gate {
            answer: Some(GateAnswer {
                answer: Some(Said::Decision(GateDecision::Approve.into())),
                comment: "go".to_owned(),
                result: None,
            }),
            ..Gate::default()
        };
        decided.set_kind(GateKind::Approval);
        decided.set_state(GateState::Answered);
        let mut expired = Gate::default();
        expired.set_kind(GateKind::Input);
        expired.set_state(GateState::Expired);
        let told = answers(&[decided, expired]);
        assert_eq!(told[0]["decision"], "APPROVE");
        assert_eq!(
            (&told[0]["kind"], &told[0]["comment"]),
            (&json!("APPROVAL"), &json!("go"))
        );
        assert_eq!(
            (&told[1]["state"], &told[1]["input"]),
            (&json!("EXPIRED"), &Json::Null)
        );
    }
}
