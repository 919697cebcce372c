//! `reeve task`.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use reeve_contracts::task::v1::task_service_client::TaskServiceClient;
use reeve_contracts::task::v1::{
    CancelTaskRequest, CreateTaskRequest, DiscardTaskRequest, GetTaskRequest, PendingReason,
    RetryTaskRequest, Task, TaskState, WatchTasksRequest, WatchTasksResponse,
};
use serde_json::json;

use super::chosen_tasks::{self, Chosen, OneOrChosen};
use super::delegations::{self, Delegate, Delegations, Wait};
use super::gates;
use super::wanted::Wanted;
use super::{Page, bar, call, follow, persist};
use crate::client::exit::EndedBadly;
use crate::client::input;
use crate::client::output::{Column, Format, Rows, print, print_json, short};
use crate::client::session::Session;
use crate::client::text::visible;

/// What a table shows of tasks.
pub const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("TYPE", "spec.type"),
    ("TITLE", "spec.title"),
    ("STATE", "state"),
    ("WAITS FOR", "pendingReason"),
    ("ATTEMPT", "attempt"),
    ("AGENT", "assignedAgentId"),
    ("ERROR", "error.message"),
];

/// What it means to run a task twice.
pub const EFFECT: &str = "reeve.task.v1.TaskEffect";

/// What tasks can be asked.
#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// Create a task.
    Create {
        /// A file of protobuf JSON (CreateTaskRequest), or - for stdin, in place of the options below.
        #[arg(short, long, conflicts_with_all = ["task_type", "title", "capability", "parameters", "concurrency_keys", "fairness_key", "effect", "Wanted", "request_id"])]
        file: Option<PathBuf>,
        /// Its type, for example "lint".
        #[arg(long = "type", required_unless_present = "file")]
        task_type: Option<String>,
        /// Title for people.
        #[arg(long, default_value = "")]
        title: String,
        /// What an agent must offer; by default the type.
        #[arg(long, default_value = "")]
        capability: String,
        /// Parameters as a JSON object.
        #[arg(long, default_value = "{}")]
        parameters: String,
        /// What it needs to itself, for example cluster/prod; may be repeated.
        #[arg(long = "concurrency-key")]
        concurrency_keys: Vec<String>,
        /// Whose turn it takes among the tasks of its queue, for example a team.
        #[arg(long)]
        fairness_key: Option<String>,
        /// What it means to run it twice: read-only, idempotent or effectful; by default that of the
        /// type.
        #[arg(long)]
        effect: Option<String>,
        #[command(flatten)]
        wanted: Box<Wanted>,
        /// Repeating a creation with the same id yields the first task.
        #[arg(long, default_value = "")]
        request_id: String,
        /// Wait until the task has ended, showing its progress; exit status 3 unless it is COMPLETED.
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
    /// Cancel a task, or all that the options choose; who runs one is told.
    Cancel(Box<OneOrChosen>),
    /// Try a failed task once more.
    Retry {
        /// The task's id.
        task_id: String,
    },
    /// Try all dead letters once more that the options choose.
    Redrive(Box<Chosen>),
    /// List what waits for people to answer, oldest first.
    Gates(gates::Chosen),
    /// Answer what a task waits for.
    Answer(Box<gates::Answer>),
    /// Take a dead letter, or all that the options choose, off the list of dead letters for good.
    Discard(Box<OneOrChosen>),
    /// Take a task from the agent that holds it and hand it to another.
    Delegate(Box<Delegate>),
    /// Show through whose hands a task went, or all delegations, newest first.
    Delegations(Box<Delegations>),
    /// Wait until tasks are over, and show those that are.
    Wait(Wait),
}

/// Does what was asked.
pub async fn run(session: &Session, verb: Verb, out: &mut impl Write) -> Result<()> {
    let format = session.output;
    match verb {
        Verb::Create {
            file,
            task_type,
            title,
            capability,
            parameters,
            concurrency_keys,
            fairness_key,
            effect,
            wanted,
            request_id,
            wait,
        } => {
            let mut request: CreateTaskRequest = if let Some(file) = file {
                input::file(&file)?
            } else {
                let parameters = input::json("--parameters", &parameters)?;
                let mut spec = json!({
                    "type": task_type, "title": title, "capability": capability,
                    "parameters": parameters, "concurrencyKeys": concurrency_keys,
                    "fairness": fairness_key.map(|key| json!({"key": key})),
                });
                if let Some(effect) = effect {
                    spec["effect"] = json!(input::value_of(EFFECT, &effect)?);
                }
                wanted.put_into(&mut spec)?;
                input::message(json!({"spec": spec, "requestId": request_id}))?
            };
            if request.request_id.is_empty() {
                request.request_id = uuid::Uuid::now_v7().to_string();
            }
            let created = persist!(session, TaskQueue, TaskServiceClient, create_task, request);
            match created.task.as_ref().filter(|_| wait) {
                Some(task) => wait_for(session, task.id.clone(), out).await,
                None => print(out, format, &created, "task", COLUMNS),
            }
        }
        Verb::List { states, page } => {
            let states = input::values_of("reeve.task.v1.TaskState", &states)?;
            let request = input::message(json!({
                "filter": {"states": states},
                "pageSize": page.page_size, "pageToken": page.page_token,
            }))?;
            let found = call!(session, TaskQueue, TaskServiceClient, list_tasks, request);
            print(out, format, &found, "tasks", COLUMNS)
        }
        Verb::Get { task_id } => show(session, task_id, out).await.map(drop),
        Verb::Watch { cursor } => {
            let mut rows = Rows::new(format, COLUMNS);
            let request = |cursor| WatchTasksRequest {
                cursor,
                ..WatchTasksRequest::default()
            };
            let hear = |change: WatchTasksResponse, cursor: &mut String| {
                rows.print(out, &change, "task")?;
                *cursor = change.cursor;
                Ok(ControlFlow::<()>::Continue(()))
            };
            follow!(
                session,
                TaskQueue,
                TaskServiceClient,
                watch_tasks,
                cursor,
                request,
                hear
            );
            Ok(())
        }
        Verb::Cancel(asked) => {
            let Some(task_id) = asked.one()? else {
                return chosen_tasks::cancel(session, &asked, out).await;
            };
            let reason = asked.reason;
            let request = CancelTaskRequest {
                task_id,
                reason,
                ..CancelTaskRequest::default()
            };
            let cancelled = call!(session, TaskQueue, TaskServiceClient, cancel_task, request);
            print(out, format, &cancelled, "task", COLUMNS)
        }
        Verb::Retry { task_id } => {
            let request = RetryTaskRequest {
                task_id,
                ..RetryTaskRequest::default()
            };
            let retried = call!(session, TaskQueue, TaskServiceClient, retry_task, request);
            print(out, format, &retried, "task", COLUMNS)
        }
        Verb::Gates(chosen) => gates::list(session, chosen, out).await,
        Verb::Answer(answer) => gates::answer(session, *answer, COLUMNS, out).await,
        Verb::Redrive(chosen) => chosen_tasks::redrive(session, &chosen, out).await,
        Verb::Discard(asked) => {
            let Some(task_id) = asked.one()? else {
                return chosen_tasks::discard(session, &asked, out).await;
            };
            let reason = asked.reason;
            let request = DiscardTaskRequest {
                task_id,
                reason,
                ..DiscardTaskRequest::default()
            };
            let discarded = call!(session, TaskQueue, TaskServiceClient, discard_task, request);
            print(out, format, &discarded, "task", COLUMNS)
        }
        Verb::Delegate(asked) => delegations::delegate(session, *asked, out).await,
        Verb::Delegations(asked) => delegations::list(session, *asked, out).await,
        Verb::Wait(asked) => delegations::wait(session, asked, out).await,
    }
}

async fn show(session: &Session, task_id: String, out: &mut impl Write) -> Result<Task> {
    let request = GetTaskRequest { task_id };
    let found = persist!(session, TaskQueue, TaskServiceClient, get_task, request);
    print(out, session.output, &found, "task", COLUMNS)?;
    let mut task = found.task.unwrap_or_default();
    gates::show(session, task.gate.take(), out)?;
    if session.output == Format::Table {
        print_lack(out, &task)?;
    }
    if let Some(result) = task.result.take()
        && session.output == Format::Table
    {
        print_json(out, &reeve_wellknown::json_from_struct(result))?;
    }
    Ok(task)
}

/// Says why no agent may be given a task that waits for one.
fn print_lack(out: &mut impl Write, task: &Task) -> Result<()> {
    let Some(why) = &task.ineligibility else {
        return Ok(());
    };
    let counts = why.counts.iter().map(|count| {
        let term = short(count.term().as_str_name());
        format!("{} at {term}", count.agents)
    });
    let counts: Vec<_> = counts.collect();
    let counts = if counts.is_empty() {
        String::new()
    } else {
        format!(" (agents: {})", counts.join(", "))
    };
    let term = short(why.term().as_str_name());
    let sentence = visible(&why.sentence);
    Ok(writeln!(out, "{term}: {sentence}{counts}")?)
}

/// Follows a task to its end and shows it; an error unless it is COMPLETED.
async fn wait_for(session: &Session, task_id: String, out: &mut impl Write) -> Result<()> {
    follow_to_end(session, &task_id).await?;
    let task = show(session, task_id, out).await?;
    if task.state() == TaskState::Completed {
        return Ok(());
    }
    let state = short(task.state().as_str_name());
    let why = match task.error {
        Some(error) => format!(": {} ({})", visible(&error.message), visible(&error.code)),
        None => String::new(),
    };
    Err(EndedBadly(format!("the task ended as {state}{why}")).into())
}

async fn follow_to_end(session: &Session, task_id: &str) -> Result<()> {
    let first: WatchTasksRequest = input::message(json!({"filter": {"taskIds": [task_id]}}))?;
    let bar = bar()?;
    let request = |cursor| WatchTasksRequest {
        cursor,
        ..first.clone()
    };
    let hear = |change: WatchTasksResponse, cursor: &mut String| {
        *cursor = change.cursor;
        let Some(task) = change.task else {
            return Ok(ControlFlow::Continue(()));
        };
        if let Some(progress) = &task.progress {
            // Whole per cents are enough for a bar; the contract keeps it within 0 to 100.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            bar.set_position(progress.percent.clamp(0.0, 100.0) as u64);
        }
        bar.set_message(match task.pending_reason() {
            PendingReason::Unspecified => short(task.state().as_str_name()).to_owned(),
            reason => {
                let why = task.ineligibility.as_ref();
                let why = why.map(|why| format!(", {}", visible(&why.sentence)));
                let reason = short(reason.as_str_name());
                format!("PENDING: {reason}{}", why.unwrap_or_default())
            }
        });
        let ended = matches!(
            task.state(),
            TaskState::Completed | TaskState::Failed | TaskState::Cancelled | TaskState::Timeout
        );
        Ok(if ended {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    };
    follow!(
        session,
        TaskQueue,
        TaskServiceClient,
        watch_tasks,
        String::new(),
        request,
        hear
    );
    bar.finish_and_clear();
    Ok(())
}
