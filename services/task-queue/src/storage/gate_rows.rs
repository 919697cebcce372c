//! A row of `task_gate` as it is read.

use chrono::{DateTime, Utc};
use reeve_ids::{AgentId, GateId, TaskId, TenantId, Uuid};
use serde_json::Value as Json;
use sqlx::FromRow;

use super::rows::corrupt;
use crate::Error;
use crate::domain::{Actor, Answer, Decision, Expiry, Gate, GateKind, GateState, Said};

/// A row.
#[derive(Debug, Clone, FromRow)]
pub struct GateRow {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub task_id: Uuid,
    pub queue: String,
    #[sqlx(rename = "type")]
    pub task_type: String,
    pub kind: i16,
    pub state: i16,
    pub prompt: String,
    pub answer_schema: Option<Json>,
    pub content_digest: String,
    pub expire_time: Option<DateTime<Utc>>,
    pub expiry: Option<i16>,
    pub attempt: i32,
    pub agent_id: Option<Uuid>,
    pub opener_kind: i16,
    pub opener_subject: String,
    pub opener_name: String,
    pub create_time: DateTime<Utc>,
    pub input: Option<Json>,
    pub decision: Option<i16>,
    pub comment: Option<String>,
    /// Of the answer, if there is one.
    pub answer_digest: Option<Vec<u8>>,
    /// The request that answered.
    pub request_id: Option<String>,
    pub answerer_kind: Option<i16>,
    pub answerer_subject: Option<String>,
    pub answerer_name: Option<String>,
    pub close_time: Option<DateTime<Utc>>,
}

impl GateRow {
    /// The gate.
    ///
    /// # Errors
    /// When the row is corrupt.
    pub fn into_gate(self) -> Result<Gate, Error> {
        let wrong = |what: &str, number: i16| corrupt(self.task_id, what, number);
        let kind = GateKind::from_number(self.kind);
        let state = GateState::from_number(self.state);
        let decision = self.decision.map(|number| {
            Decision::from_number(number).ok_or_else(|| wrong("gate decision", number))
        });
        let said = match (self.input, decision.transpose()?) {
            (_, Some(decision)) => Some(Said::Decision(decision)),
            (input, None) => input.map(Said::Input),
        };
        let comment = self.comment.unwrap_or_default();
        let answerer = self.answerer_subject.map(|subject| Actor {
            kind: self.answerer_kind.unwrap_or_default(),
            subject,
            display_name: self.answerer_name.unwrap_or_default(),
        });
        Ok(Gate {
            id: GateId::from_uuid(self.id),
            tenant_id: TenantId::from_uuid(self.tenant_id),
            task_id: TaskId::from_uuid(self.task_id),
            queue: self.queue,
            task_type: self.task_type,
            kind: kind.ok_or_else(|| wrong("gate kind", self.kind))?,
            state: state.ok_or_else(|| wrong("gate state", self.state))?,
            prompt: self.prompt,
            answer_schema: self.answer_schema,
            content_digest: self.content_digest,
            expire_time: self.expire_time,
            expiry: self.expiry.and_then(Expiry::from_number),
            attempt: self.attempt,
            agent_id: self.agent_id.map(AgentId::from_uuid),
            opener: Actor {
                kind: self.opener_kind,
                subject: self.opener_subject,
                display_name: self.opener_name,
            },
            create_time: self.create_time,
            answer: said.map(|said| Answer {
                said,
                comment,
                result: None,
            }),
            answerer,
            close_time: self.close_time,
        })
    }
}
