//! What an event says about trouble, and what is kept of it.

use chrono::{DateTime, Utc};
use reeve_ids::{EventId, EvidenceId};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::error_class::error_class;
use super::logged::Fact;
use super::words::words;

/// Signals of one incident of which evidence is kept; further ones are counted.
pub const MOST_EVIDENCE: i64 = 20;
/// Bytes of one incident's evidence, about: an answer holds all of it.
pub const MOST_BYTES: i64 = 1024 * 1024;
/// Failed attempts that evidence lists.
pub const MOST_ATTEMPTS: i64 = 20;
/// Characters of an error's text that are kept.
const LONGEST_TEXT: usize = 4_096;

words! {
    /// Whether the part that another service holds could be collected.
    EvidenceState {
        /// It is being asked for.
        Pending = "PENDING",
        /// It was collected, or there was none to collect.
        Collected = "COLLECTED",
        /// It could not be collected.
        Incomplete = "INCOMPLETE",
    }
}

/// What an event says about the work that failed, as far as it says anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trouble {
    /// The task; empty when the event is not about one.
    pub task_id: String,
    /// The run of a workflow; empty when none.
    pub execution_id: String,
    /// The agent; empty when none.
    pub agent_id: String,
    /// The attempt; 0 when the event does not say.
    pub attempt: i32,
    /// The project; empty when none.
    pub project_id: String,
    /// The error's code.
    pub error_code: String,
    /// The error's text.
    pub error_message: String,
}

impl Trouble {
    /// Reads a fact. Services name these things alike, whatever the event.
    pub fn of(fact: &Fact) -> Self {
        let data = &fact.data;
        let resource = |kind: &str| {
            if fact.resource_type == kind {
                fact.resource_id.clone()
            } else {
                String::new()
            }
        };
        let or = |first: String, second: String| if first.is_empty() { second } else { first };
        let from_origin = match text_at(data, "origin.kind").as_str() {
            "workflow" => text_at(data, "origin.resource_id"),
            _ => String::new(),
        };
        Self {
            task_id: or(resource("task"), text_at(data, "task_id")),
            execution_id: or(
                resource("execution"),
                or(text_at(data, "execution_id"), from_origin),
            ),
            agent_id: or(resource("agent"), text_at(data, "agent_id")),
            attempt: text_at(data, "attempt").parse().unwrap_or(0),
            project_id: text_at(data, "project_id"),
            error_code: either(data, ["error_code", "error.code", "code"]),
            error_message: cut(
                &either(data, ["error_message", "error.message", "message"]),
                LONGEST_TEXT,
            ),
        }
    }

    /// The class of its error.
    pub fn class(&self) -> String {
        error_class(&self.error_code, &self.error_message)
    }
}

/// One attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedAttempt {
    /// Its number; 0 when the event does not say.
    pub attempt: i32,
    /// The task.
    pub task_id: String,
    /// The agent.
    pub agent_id: String,
    /// The error's code.
    pub error_code: String,
    /// The error's text.
    pub error_message: String,
    /// When it failed.
    pub fail_time: DateTime<Utc>,
    /// The event that told of it.
    pub event_id: EventId,
}

impl From<&Fact> for FailedAttempt {
    fn from(fact: &Fact) -> Self {
        let trouble = Trouble::of(fact);
        Self {
            attempt: trouble.attempt,
            task_id: trouble.task_id,
            agent_id: trouble.agent_id,
            error_code: trouble.error_code,
            error_message: trouble.error_message,
            fail_time: fact.occur_time,
            event_id: fact.id,
        }
    }
}

/// What was known of a signal when it was attached.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Its id.
    pub id: EvidenceId,
    /// The signal.
    pub fact: Fact,
    /// The attempts that failed, oldest first.
    pub attempts: Vec<FailedAttempt>,
    /// The task as its service told it.
    pub task: Option<Json>,
    /// Whether the task could be collected.
    pub state: EvidenceState,
    /// Why not.
    pub incomplete_reason: String,
    /// When the event's facts were kept.
    pub create_time: DateTime<Utc>,
    /// When the task was collected, or given up.
    pub collect_time: Option<DateTime<Utc>>,
}

impl Evidence {
    /// Evidence from an event; the task, if it is about one, is still to be asked for.
    pub fn new(fact: Fact, attempts: Vec<FailedAttempt>, now: DateTime<Utc>) -> Self {
        let about_task = !Trouble::of(&fact).task_id.is_empty()
            || attempts.iter().any(|attempt| !attempt.task_id.is_empty());
        Self {
            id: EvidenceId::new(),
            fact,
            attempts,
            task: None,
            state: if about_task {
                EvidenceState::Pending
            } else {
                EvidenceState::Collected
            },
            incomplete_reason: String::new(),
            create_time: now,
            collect_time: (!about_task).then_some(now),
        }
    }

    /// The failing task: the event's own, or that of the newest attempt.
    pub fn task_id(&self) -> String {
        let own = Trouble::of(&self.fact).task_id;
        let last = || {
            self.attempts
                .iter()
                .rev()
                .find(|attempt| !attempt.task_id.is_empty())
        };
        if own.is_empty() {
            last().map(|last| last.task_id.clone()).unwrap_or_default()
        } else {
            own
        }
    }
}

impl Evidence {
    /// What it takes of an answer, about, without the task.
    pub fn weight(&self) -> i64 {
        let attempts: i64 = self
            .attempts
            .iter()
            .map(|attempt| weight(attempt.error_message.len() + attempt.error_code.len() + 200))
            .sum();
        attempts + weight(self.fact.data.to_string().len() + 1_000)
    }
}

/// What a task takes of an answer, about.
pub fn task_weight(task: &Json) -> i64 {
    weight(task.to_string().len())
}

/// A Struct on the wire is somewhat larger than its JSON.
fn weight(bytes: usize) -> i64 {
    i64::try_from(bytes + bytes / 2).unwrap_or(i64::MAX)
}

impl Evidence {
    /// The trace of the failing work: the event's, or else the one that its task was created in.
    pub fn traceparent(&self) -> String {
        if !trace_id(&self.fact.traceparent).is_empty() {
            return self.fact.traceparent.clone();
        }
        self.task
            .as_ref()
            .map(|task| text_at(task, "traceparent"))
            .unwrap_or_default()
    }
}

/// The trace id of a W3C traceparent; empty when it has none.
pub fn trace_id(traceparent: &str) -> &str {
    let id = traceparent.split('-').nth(1).unwrap_or_default();
    let well_formed = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if well_formed { id } else { "" }
}

/// The first of some values that is there.
fn either(data: &Json, paths: [&str; 3]) -> String {
    let mut found = paths.into_iter().map(|path| text_at(data, path));
    found.find(|text| !text.is_empty()).unwrap_or_default()
}

/// The value at a path of names, as text: empty for what is absent, null, or a compound.
pub fn text_at(data: &Json, path: &str) -> String {
    let found = path.split('.').try_fold(data, |json, name| json.get(name));
    match found {
        Some(Json::String(text)) => text.clone(),
        Some(json @ (Json::Bool(_) | Json::Number(_))) => json.to_string(),
        Some(Json::Null | Json::Array(_) | Json::Object(_)) | None => String::new(),
    }
}

/// The first characters of a text.
pub fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => text[..end].to_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::logged::tests::fact;

    #[test]
    fn reads_a_task_event() {
        let data = json!({
            "agent_id": "a", "attempt": 3, "error_code": "EXIT", "error_message": "status 1",
            "origin": {"kind": "workflow", "resource_id": "e"}, "project_id": "p",
        });
        let trouble = Trouble::of(&fact("task.failed", data));
        assert_eq!((trouble.task_id.as_str(), trouble.attempt), ("t-1", 3));
        assert_eq!(
            (trouble.execution_id.as_str(), trouble.agent_id.as_str()),
            ("e", "a")
        );
        assert_eq!(trouble.class(), "exit: status <number>");
    }

    #[test]
    fn reads_errors_that_are_nested_and_facts_about_nothing() {
        let data = json!({"error": {"code": "X", "message": "boom"}});
        let trouble = Trouble::of(&fact("execution.failed", data));
        assert_eq!(
            (trouble.error_code.as_str(), trouble.error_message.as_str()),
            ("X", "boom")
        );
        let mut other = fact("agent.heartbeat_lost", json!(null));
        other.resource_type = "agent".into();
        let trouble = Trouble::of(&other);
        assert_eq!(
            (trouble.agent_id.as_str(), trouble.task_id.as_str()),
            ("t-1", "")
        );
        assert_eq!(
            Evidence::new(other, vec![], Utc::now()).state,
            EvidenceState::Collected
        );
    }

    #[test]
    fn the_task_may_be_that_of_the_last_attempt() {
        let mut failed = fact("execution.failed", json!({}));
        failed.resource_type = "execution".into();
        let attempt = FailedAttempt::from(&fact("task.failed", json!({"attempt": 1})));
        let evidence = Evidence::new(failed, vec![attempt], Utc::now());
        assert_eq!(
            (evidence.task_id().as_str(), evidence.state),
            ("t-1", EvidenceState::Pending)
        );
    }

    #[test]
    fn a_trace_id_is_thirty_two_digits_or_nothing() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(trace_id(&format!("00-{id}-00f067aa0ba902b7-01")), id);
        for bad in ["", "00", "00-xyz-1-01", "00-4bf9-1-01"] {
            assert_eq!(trace_id(bad), "");
        }
    }

    #[test]
    fn a_cut_keeps_characters_whole() {
        assert_eq!(cut("äöü", 2), "äö");
        assert_eq!(cut("ab", 2), "ab");
    }
}
