//! Gates as the wire has them.

use reeve_contracts::task::v1 as proto;
use reeve_contracts::task::v1::gate_answer::Answer as Said;
use reeve_wellknown::{struct_from_json, timestamp};

use super::render;
use crate::domain::{self, Answer, Expiry, Gate};

/// A gate.
pub fn gate(gate: Gate) -> proto::Gate {
    proto::Gate {
        id: gate.id.to_string(),
        task_id: gate.task_id.to_string(),
        queue: gate.queue,
        task_type: gate.task_type,
        kind: i32::from(gate.kind.number()),
        state: i32::from(gate.state.number()),
        prompt: gate.prompt,
        answer_schema: gate.answer_schema.and_then(struct_from_json),
        content_digest: gate.content_digest,
        expire_time: gate.expire_time.map(timestamp),
        expiry: gate
            .expiry
            .map_or(0, |expiry| i32::from(Expiry::number(expiry))),
        attempt: gate.attempt,
        agent_id: gate.agent_id.map(|id| id.to_string()).unwrap_or_default(),
        opener: Some(render::actor(gate.opener)),
        create_time: Some(timestamp(gate.create_time)),
        answer: gate.answer.map(answer),
        answerer: gate.answerer.map(render::actor),
        close_time: gate.close_time.map(timestamp),
    }
}

fn answer(answer: Answer) -> proto::GateAnswer {
    let said = match answer.said {
        domain::Said::Input(input) => struct_from_json(input).map(Said::Input),
        domain::Said::Decision(decision) => Some(Said::Decision(i32::from(decision.number()))),
    };
    proto::GateAnswer {
        answer: said,
        comment: answer.comment,
        result: answer.result.and_then(struct_from_json),
    }
}
