//! `reeve task gates` and `reeve task answer`: what waits for people.

use std::io::Write;

use anyhow::Result;
use clap::Args;
use reeve_contracts::task::v1::gate_service_client::GateServiceClient;
use reeve_contracts::task::v1::{AnswerGateRequest, Gate};
use serde_json::{Value as Json, json};

use super::{Page, call, persist};
use crate::client::input;
use crate::client::output::{Column, Format, print, print_json, short};
use crate::client::session::Session;
use crate::client::text::visible_lines;

const COLUMNS: &[Column] = &[
    ("GATE", "id"),
    ("TASK", "taskId"),
    ("KIND", "kind"),
    ("TYPE", "taskType"),
    ("QUEUE", "queue"),
    ("SINCE", "createTime"),
    ("EXPIRES", "expireTime"),
    ("DIGEST", "contentDigest"),
    ("PROMPT", "prompt"),
];

/// Which gates.
#[derive(Debug, Clone, Args)]
pub struct Chosen {
    /// Only this kind, for example approval; may be repeated.
    #[arg(long = "kind")]
    kinds: Vec<String>,
    /// Only of tasks in this queue; may be repeated.
    #[arg(long = "queue")]
    queues: Vec<String>,
    /// Only of tasks of this type; may be repeated.
    #[arg(long = "type")]
    task_types: Vec<String>,
    #[command(flatten)]
    page: Page,
}

/// An answer to a gate that was seen.
#[derive(Debug, Clone, Args)]
pub struct Answer {
    /// The task's id.
    task_id: String,
    /// The gate's id, as `reeve task gates` and `reeve task get` show it.
    gate_id: String,
    #[command(flatten)]
    said: Said,
    /// Why, or what the agent should know.
    #[arg(long, default_value = "")]
    comment: String,
    /// What came of the task, as a JSON object; with --complete.
    #[arg(long, requires = "complete")]
    result: Option<String>,
    /// Digest of what was seen, where the gate has one.
    #[arg(long, default_value = "")]
    digest: String,
    /// Only if the task has this etag.
    #[arg(long, default_value = "")]
    etag: String,
}

/// The heart of an answer: exactly one of these.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct Said {
    /// What the agent asked for, as a JSON object.
    #[arg(long)]
    input: Option<String>,
    /// It may go on.
    #[arg(long)]
    approve: bool,
    /// It may not: the task fails.
    #[arg(long)]
    reject: bool,
    /// Of a lost attempt: run the task again.
    #[arg(long)]
    run_again: bool,
    /// Of a lost attempt: it was done.
    #[arg(long)]
    complete: bool,
    /// Of a lost attempt: it was not done, or nobody knows.
    #[arg(long)]
    fail: bool,
    /// Of a lost attempt: it is not wanted any more.
    #[arg(long)]
    cancel: bool,
}

impl Said {
    fn read(&self) -> Result<(&'static str, Json)> {
        if let Some(input) = &self.input {
            return Ok(("input", input::json("--input", input)?));
        }
        let words = [
            (self.approve, "APPROVE"),
            (self.reject, "REJECT"),
            (self.run_again, "RUN_AGAIN"),
            (self.complete, "COMPLETE"),
            (self.fail, "FAIL"),
            (self.cancel, "CANCEL"),
        ];
        let chosen = words.into_iter().find(|(chosen, _)| *chosen);
        let word = chosen.map_or("UNSPECIFIED", |(_, word)| word);
        Ok(("decision", json!(format!("GATE_DECISION_{word}"))))
    }
}

/// Lists open gates.
pub async fn list(session: &Session, chosen: Chosen, out: &mut impl Write) -> Result<()> {
    let Chosen {
        kinds,
        queues,
        task_types,
        page,
    } = chosen;
    let kinds = input::values_of("reeve.task.v1.GateKind", &kinds)?;
    let request = input::message(json!({
        "kinds": kinds, "queues": queues, "taskTypes": task_types,
        "pageSize": page.page_size, "pageToken": page.page_token,
    }))?;
    let found = call!(session, TaskQueue, GateServiceClient, list_gates, request);
    print(out, session.output, &found, "gates", COLUMNS)
}

/// Answers a gate.
pub async fn answer(
    session: &Session,
    asked: Answer,
    columns: &[Column],
    out: &mut impl Write,
) -> Result<()> {
    let (field, said) = asked.said.read()?;
    let mut answer = json!({ field: said, "comment": asked.comment });
    if let Some(result) = &asked.result {
        answer["result"] = input::json("--result", result)?;
    }
    let request: AnswerGateRequest = input::message(json!({
        "taskId": asked.task_id, "gateId": asked.gate_id, "answer": answer,
        "seenDigest": asked.digest, "etag": asked.etag,
        "requestId": uuid::Uuid::now_v7().to_string(),
    }))?;
    let answered = persist!(session, TaskQueue, GateServiceClient, answer_gate, request);
    print(out, session.output, &answered, "task", columns)
}

/// Shows people what a task waits for.
pub fn show(session: &Session, gate: Option<Gate>, out: &mut impl Write) -> Result<()> {
    let Some(gate) = gate.filter(|_| session.output == Format::Table) else {
        return Ok(());
    };
    let kind = short(gate.kind().as_str_name());
    writeln!(out, "gate {} waits for a person ({kind}):", gate.id)?;
    writeln!(out, "{}", visible_lines(&gate.prompt))?;
    if let Some(schema) = gate.answer_schema {
        print_json(out, &reeve_wellknown::json_from_struct(schema))?;
    }
    Ok(())
}
