//! `reeve task`.

use std::io::Write;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use reeve_contracts::task::v1::task_service_client::TaskServiceClient;
use reeve_contracts::task::v1::{
    CancelTaskRequest, GetTaskRequest, RetryTaskRequest, TaskState, WatchTasksRequest,
};
use serde_json::{Value as Json, json};

use super::{Page, call, open};
use crate::client::input;
use crate::client::output::{Column, print};
use crate::client::session::Session;

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("TYPE", "spec.type"),
    ("TITLE", "spec.title"),
    ("STATE", "state"),
    ("WAITS FOR", "pendingReason"),
    ("ATTEMPT", "attempt"),
    ("AGENT", "assignedAgentId"),
    ("ERROR", "error.message"),
];

/// What tasks can be asked.
#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// Create a task.
    Create {
        /// Its type, for example "lint".
        #[arg(long = "type")]
        task_type: String,
        /// Title for people.
        #[arg(long, default_value = "")]
        title: String,
        /// What an agent must offer; by default the type.
        #[arg(long, default_value = "")]
        capability: String,
        /// Parameters as a JSON object.
        #[arg(long, default_value = "{}")]
        parameters: String,
        /// Repeating a creation with the same id yields the first task.
        #[arg(long, default_value = "")]
        request_id: String,
        /// Wait until the task has ended, showing its progress.
        #[arg(long)]
        wait: bool,
    },
    /// List tasks, newest first.
    List {
        /// Only this state, for example PENDING; may be repeated.
        #[arg(long = "state")]
        states: Vec<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Show one task, with its result as JSON.
    Get {
        /// The task's id.
        task_id: String,
    },
    /// Show tasks as they change.
    Watch {
        /// Continues after a cursor.
        #[arg(long, default_value = "")]
        cursor: String,
    },
    /// Cancel a task; a running one is told.
    Cancel {
        /// The task's id.
        task_id: String,
        /// Why.
        #[arg(long, default_value = "cancelled from the command line")]
        reason: String,
    },
    /// Try a failed task once more.
    Retry {
        /// The task's id.
        task_id: String,
    },
}

/// Does what was asked.
pub async fn run(session: &Session, verb: Verb, out: &mut impl Write) -> Result<()> {
    let format = session.output;
    match verb {
        Verb::Create {
            task_type,
            title,
            capability,
            parameters,
            request_id,
            wait,
        } => {
            let parameters: Json =
                serde_json::from_str(&parameters).context("--parameters is not JSON")?;
            let spec = json!({
                "type": task_type, "title": title, "capability": capability, "parameters": parameters,
            });
            let request = input::message(json!({"spec": spec, "requestId": request_id}))?;
            let created = call!(session, TaskQueue, TaskServiceClient, create_task, request);
            let Some(task) = created.task.as_ref().filter(|_| wait) else {
                return print(out, format, &created, "task", COLUMNS);
            };
            follow(session, &task.id).await?;
            show(session, task.id.clone(), out).await
        }
        Verb::List { states, page } => {
            let states: Vec<_> = states
                .iter()
                .map(|state| format!("TASK_STATE_{}", state.to_uppercase()))
                .collect();
            let request = input::message(json!({
                "filter": {"states": states},
                "pageSize": page.page_size, "pageToken": page.page_token,
            }))?;
            let found = call!(session, TaskQueue, TaskServiceClient, list_tasks, request);
            print(out, format, &found, "tasks", COLUMNS)
        }
        Verb::Get { task_id } => show(session, task_id, out).await,
        Verb::Watch { cursor } => {
            let request = WatchTasksRequest {
                cursor,
                ..WatchTasksRequest::default()
            };
            let mut changes = open!(session, TaskQueue, TaskServiceClient, watch_tasks, request);
            while let Some(change) = changes.message().await? {
                print(out, format, &change, "task", COLUMNS)?;
            }
            Ok(())
        }
        Verb::Cancel { task_id, reason } => {
            let request = CancelTaskRequest {
                task_id,
                reason,
                etag: String::new(),
            };
            let cancelled = call!(session, TaskQueue, TaskServiceClient, cancel_task, request);
            print(out, format, &cancelled, "task", COLUMNS)
        }
        Verb::Retry { task_id } => {
            let request = RetryTaskRequest {
                task_id,
                etag: String::new(),
            };
            let retried = call!(session, TaskQueue, TaskServiceClient, retry_task, request);
            print(out, format, &retried, "task", COLUMNS)
        }
    }
}

async fn show(session: &Session, task_id: String, out: &mut impl Write) -> Result<()> {
    let request = GetTaskRequest { task_id };
    let found = call!(session, TaskQueue, TaskServiceClient, get_task, request);
    print(out, session.output, &found, "task", COLUMNS)
}

/// Shows a bar until the task has ended. The bar hides itself where nobody sees it.
async fn follow(session: &Session, task_id: &str) -> Result<()> {
    let request: WatchTasksRequest = input::message(json!({"filter": {"taskIds": [task_id]}}))?;
    let mut changes = open!(session, TaskQueue, TaskServiceClient, watch_tasks, request);
    let bar = ProgressBar::new(100);
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos:>3}%  {msg}")?);
    while let Some(change) = changes.message().await? {
        let Some(task) = change.task else { continue };
        let state = task
            .state()
            .as_str_name()
            .trim_start_matches("TASK_STATE_")
            .to_lowercase();
        if let Some(progress) = &task.progress {
            // Whole per cents are enough for a bar; the contract keeps it within 0 to 100.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            bar.set_position(progress.percent.clamp(0.0, 100.0) as u64);
        }
        bar.set_message(state);
        let ended = matches!(
            task.state(),
            TaskState::Completed | TaskState::Failed | TaskState::Cancelled | TaskState::Timeout
        );
        if ended {
            break;
        }
    }
    bar.finish_and_clear();
    Ok(())
}
