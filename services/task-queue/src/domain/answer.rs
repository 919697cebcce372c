//! What people answer, whose answer counts, and what it leads to.

use chrono::{DateTime, Utc};
use reeve_schema::{Mismatch, Schema};
use serde_json::Value as Json;

use super::{Actor, ActorKind, Expiry, Gate, GateKind, State, TaskError};

/// Bytes of an error's message.
const MESSAGE: usize = 4_096;

/// What a person decides. The numbers are those at rest and on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum Decision {
    /// It may.
    Approve = 1,
    /// It may not.
    Reject = 2,
    /// Once more.
    RunAgain = 3,
    /// It was done.
    Complete = 4,
    /// It was not, or nobody knows.
    Fail = 5,
    /// It is not wanted any more.
    Cancel = 6,
}

impl Decision {
    /// Every decision.
    pub const ALL: [Self; 6] = [
        Self::Approve,
        Self::Reject,
        Self::RunAgain,
        Self::Complete,
        Self::Fail,
        Self::Cancel,
    ];

    /// The number at rest.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The decision that a number stands for.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|decision| decision.number() == number)
    }

    /// The word in events.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Approve => "APPROVE",
            Self::Reject => "REJECT",
            Self::RunAgain => "RUN_AGAIN",
            Self::Complete => "COMPLETE",
            Self::Fail => "FAIL",
            Self::Cancel => "CANCEL",
        }
    }
}

/// The heart of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// What the agent asked for.
    Input(Json),
    /// What is to be done.
    Decision(Decision),
}

/// What a person answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The heart of it.
    pub said: Said,
    /// For people and for the agent.
    pub comment: String,
    /// What came of the task, with COMPLETE; it is kept as the task's result.
    pub result: Option<Json>,
}

/// Why an answer does not count.
#[derive(Debug, Clone, PartialEq)]
pub enum Objection {
    /// This kind of principal may not answer.
    WrongKind,
    /// The principal asked for it.
    OwnAsk,
    /// Its time is over, though nothing has closed it yet.
    Late,
    /// What was seen is not what it is about.
    DigestMismatch,
    /// The answer is none for this kind of gate: a field and what is wrong with it.
    Unfit(Vec<(String, String)>),
}

/// What an answer, or its absence, leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Ruling {
    /// The task is offered again.
    GoOn,
    /// It is done.
    Finish,
    /// It has failed.
    Fail(TaskError),
    /// It is not wanted any more.
    Cancel,
}

impl Ruling {
    /// Where the task goes.
    pub const fn state(&self) -> State {
        match self {
            Self::GoOn => State::Pending,
            Self::Finish => State::Completed,
            Self::Fail(_) => State::Failed,
            Self::Cancel => State::Cancelled,
        }
    }
}

impl Gate {
    /// Whether somebody may answer at all, whatever the answer.
    ///
    /// # Errors
    /// [`Objection::WrongKind`].
    pub fn may_answer(by: &Actor) -> Result<(), Objection> {
        if by.kind == ActorKind::User as i16 {
            Ok(())
        } else {
            Err(Objection::WrongKind)
        }
    }

    /// What an answer to it, while it is open, leads to.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn rule(
        &self,
        by: &Actor,
        answer: &Answer,
        seen_digest: &str,
        now: DateTime<Utc>,
    ) -> Result<Ruling, Objection> {
        Self::may_answer(by)?;
        // The sweep may be late; the time counts.
        if self.expire_time.is_some_and(|time| time <= now) {
            return Err(Objection::Late);
        }
        if self.kind == GateKind::Approval && self.opener.subject == by.subject {
            return Err(Objection::OwnAsk);
        }
        let unfit = self.unfit(answer, seen_digest);
        if !unfit.is_empty() {
            return Err(Objection::Unfit(unfit));
        }
        if !seen_digest.eq_ignore_ascii_case(&self.content_digest) {
            return Err(Objection::DigestMismatch);
        }
        Ok(ruling(answer))
    }

    /// What happens when nobody has answered in time.
    pub fn expired(&self) -> Ruling {
        match self.expiry {
            Some(Expiry::Proceed) => Ruling::GoOn,
            Some(Expiry::Fail) | None => {
                failure("GATE_EXPIRED", "nobody answered in time", &self.prompt)
            }
        }
    }

    /// Fields of an answer that do not suit this gate.
    fn unfit(&self, answer: &Answer, seen_digest: &str) -> Vec<(String, String)> {
        let mut unfit = Vec::new();
        let mut add = |field: &str, rule: String| unfit.push((field.to_owned(), rule));
        match (seen_digest.is_empty(), self.content_digest.is_empty()) {
            (true, false) => add("seen_digest", "is required for this gate".to_owned()),
            (false, true) => add("seen_digest", "is refused for this gate".to_owned()),
            _ => {}
        }
        match &answer.said {
            Said::Input(input) if self.kind == GateKind::Input => {
                for fault in self.check(input) {
                    let place = reeve_schema::dotted(&fault.pointer);
                    add(&format!("answer.input{place}"), fault.description);
                }
            }
            Said::Decision(decision) if self.kind.takes(*decision) => {}
            _ => {
                let rule = format!("must be {} for a gate of this kind", self.kind.words());
                add("answer", rule);
            }
        }
        unfit
    }

    /// Where input does not match. A schema that this version does not take any more, though an
    /// earlier one did, matches everything: a person must be able to answer.
    fn check(&self, input: &Json) -> Vec<Mismatch> {
        let schema = self.answer_schema.as_ref();
        let compiled = schema.and_then(|schema| Schema::compile_within_limits(schema).ok());
        compiled.map_or_else(Vec::new, |schema| schema.check(input))
    }
}

impl GateKind {
    fn takes(self, decision: Decision) -> bool {
        use Decision::{Approve, Cancel, Complete, Fail, Reject, RunAgain};
        match self {
            Self::Input => false,
            Self::Approval => matches!(decision, Approve | Reject),
            Self::LostLease | Self::Timeout => {
                matches!(decision, RunAgain | Complete | Fail | Cancel)
            }
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Approval => "decision APPROVE or REJECT",
            Self::LostLease | Self::Timeout => "decision RUN_AGAIN, COMPLETE, FAIL or CANCEL",
        }
    }
}

fn ruling(answer: &Answer) -> Ruling {
    let comment = &answer.comment;
    match answer.said {
        Said::Input(_) | Said::Decision(Decision::Approve | Decision::RunAgain) => Ruling::GoOn,
        Said::Decision(Decision::Complete) => Ruling::Finish,
        Said::Decision(Decision::Cancel) => Ruling::Cancel,
        Said::Decision(Decision::Reject) => {
            failure("APPROVAL_REJECTED", "a person did not allow it", comment)
        }
        Said::Decision(Decision::Fail) => failure(
            "OUTCOME_UNKNOWN",
            "nobody can say that it was done",
            comment,
        ),
    }
}

/// A dead letter's error, within the bounds of a message.
fn failure(code: &str, what: &str, more: &str) -> Ruling {
    let mut message = what.to_owned();
    if !more.is_empty() {
        message.push_str(": ");
        message.push_str(more);
    }
    message.truncate(message.floor_char_boundary(MESSAGE));
    Ruling::Fail(TaskError::new(code, message))
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
