//! The verbs of `reeve task` about whose hands a task is in, and about waiting for it.

use std::io::Write;

use anyhow::Result;
use reeve_contracts::task::v1::task_service_client::TaskServiceClient;
use reeve_contracts::task::v1::{ListDelegationsRequest, ReassignTaskRequest, WaitTasksRequest};
use serde_json::json;

use super::{Page, call, persist, tasks};
use crate::client::input;
use crate::client::output::{Column, print};
use crate::client::session::Session;

const COLUMNS: &[Column] = &[
    ("TASK", "taskId"),
    ("PLACE", "position"),
    ("FROM", "fromAgentId"),
    ("TO", "toAgentId"),
    ("TYPE", "type"),
    ("OUTCOME", "outcome"),
    ("WHEN", "delegateTime"),
    ("REASON", "reason"),
];
const TYPE: &str = "reeve.task.v1.DelegationType";
const OUTCOME: &str = "reeve.task.v1.DelegationOutcome";

/// Who is to have a task that an agent holds.
#[derive(Debug, Clone, clap::Args)]
pub struct Delegate {
    /// The task's id.
    task_id: String,
    /// The agent that is to have it; by default the server chooses.
    #[arg(long)]
    to: Option<String>,
    /// How it is found: manual, automatic, failover or load-balance; by default manual with --to, and
    /// load-balance without.
    #[arg(long = "type")]
    kind: Option<String>,
    /// Why, for people.
    #[arg(long, default_value = "")]
    reason: String,
    /// Facts for the record and the other agent, as a JSON object.
    #[arg(long, default_value = "{}")]
    metadata: String,
    /// Only if the task has this etag.
    #[arg(long, default_value = "")]
    etag: String,
    /// Repeating a delegation with the same id yields the first one.
    #[arg(long, default_value = "")]
    request_id: String,
}

/// Which delegations.
#[derive(Debug, Clone, clap::Args)]
pub struct Delegations {
    /// Only of this task: its whole chain, oldest first.
    task_id: Option<String>,
    /// Only from this agent.
    #[arg(long)]
    from: Option<String>,
    /// Only to this agent.
    #[arg(long)]
    to: Option<String>,
    /// Only of this type, for example failover; may be repeated.
    #[arg(long = "type")]
    kinds: Vec<String>,
    /// Only with this outcome, for example expired; may be repeated.
    #[arg(long = "outcome")]
    outcomes: Vec<String>,
    /// Only made at this time or later, for example 2026-11-28T12:00:00Z.
    #[arg(long)]
    since: Option<String>,
    /// Only made before this time.
    #[arg(long)]
    before: Option<String>,
    #[command(flatten)]
    page: Page,
}

/// Which tasks to wait for.
#[derive(Debug, Clone, clap::Args)]
pub struct Wait {
    /// The tasks' ids, at most 100.
    #[arg(required = true)]
    task_ids: Vec<String>,
    /// One of them is enough.
    #[arg(long)]
    any: bool,
    /// How long, for example 20s; at most 50s.
    #[arg(long = "for", default_value = "20s")]
    patience: String,
}

/// Hands a task to another agent.
pub async fn delegate(session: &Session, asked: Delegate, out: &mut impl Write) -> Result<()> {
    let by_default = if asked.to.is_some() {
        "manual"
    } else {
        "load-balance"
    };
    let kind = asked.kind.as_deref().unwrap_or(by_default);
    let metadata = input::json("--metadata", &asked.metadata)?;
    let is_empty = metadata.as_object().is_some_and(serde_json::Map::is_empty);
    let mut request: ReassignTaskRequest = input::message(json!({
        "taskId": asked.task_id, "toAgentId": asked.to, "type": input::value_of(TYPE, kind)?,
        "reason": asked.reason, "metadata": (!is_empty).then_some(metadata),
        "etag": asked.etag, "requestId": asked.request_id,
    }))?;
    if request.request_id.is_empty() {
        request.request_id = uuid::Uuid::now_v7().to_string();
    }
    let made = persist!(
        session,
        TaskQueue,
        TaskServiceClient,
        reassign_task,
        request
    );
    print(out, session.output, &made, "delegation", COLUMNS)
}

/// Lists delegations.
pub async fn list(session: &Session, asked: Delegations, out: &mut impl Write) -> Result<()> {
    let request: ListDelegationsRequest = input::message(json!({
        "filter": {
            "taskId": asked.task_id, "fromAgentId": asked.from, "toAgentId": asked.to,
            "types": input::values_of(TYPE, &asked.kinds)?,
            "outcomes": input::values_of(OUTCOME, &asked.outcomes)?,
            "delegateTimeFrom": asked.since, "delegateTimeBefore": asked.before,
        },
        "pageSize": asked.page.page_size, "pageToken": asked.page.page_token,
    }))?;
    let found = call!(
        session,
        TaskQueue,
        TaskServiceClient,
        list_delegations,
        request
    );
    print(out, session.output, &found, "delegations", COLUMNS)
}

/// Waits until tasks are over, and shows those that are.
pub async fn wait(session: &Session, asked: Wait, out: &mut impl Write) -> Result<()> {
    let condition = if asked.any { "ANY" } else { "ALL" };
    let request: WaitTasksRequest = input::message(json!({
        "taskIds": asked.task_ids, "condition": format!("WAIT_CONDITION_{condition}"),
        "waitDuration": asked.patience,
    }))?;
    let found = call!(session, TaskQueue, TaskServiceClient, wait_tasks, request);
    print(out, session.output, &found, "endedTasks", tasks::COLUMNS)
}
