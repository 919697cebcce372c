//! `reeve agent run`: any program becomes an agent.
//!
//! For each task the program is started once: the task as JSON on stdin, the result as one JSON
//! object on stdout, progress as lines on stderr ("40% building" or any text), success as exit
//! status 0. A failing program may say why with `{"error": {"code", "message", "retryable"}}` on
//! stdout, and one that ends with status 75 waits for people (`question`). What a language model used
//! is reported under `"usage"` beside `"result"`. What the
//! program leaves running in its process group ends with it, and with the agent.
//!
//! - `presence`: the agent in agent-registry; `work`: its stream to task-queue; `held`: the leases;
//! - `exec`: one task; `program`: its processes; `lines`, `report`, `bounds`: what it says;
//! - `halt`: how the agent ends.

mod bounds;
mod exec;
mod halt;
mod held;
mod lines;
mod presence;
mod program;
mod question;
mod report;
mod work;

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use reeve_status::Reason;
use tokio_util::sync::CancellationToken;

use crate::client::session::Session;

pub use halt::Halt;

/// What a program and its agent owe each other, for `reeve agent run --help`.
pub const CONTRACT: &str = r#"The command is run with sh, once for each task:
  stdin   the task: {"id", "type", "title", "description", "parameters", "labels", "project_id",
          "attempt", "checkpoint", "traceparent", "answers"}
  stdout  at the end, one JSON object: the result, or {"result": {..}, "usage": [..]}, or
          {"error": {"code", "message", "retryable"}} beside an exit status above 0; "retryable" is
          true by default, and false where the task is EFFECTFUL
  stderr  lines for people; "40% building" also moves the progress
  usage   [{"provider", "model", "input_tokens", "cached_input_tokens", "output_tokens",
          "quantities": {"unit": "1.5"}}]
With exit status 75 the task waits for people, without the program, which is started again with what
it left as "checkpoint" and with their answers:
  stdout  {"suspend": {"prompt", "kind": "INPUT" or "APPROVAL", "answer_schema", "content_digest",
          "expire_seconds", "expiry": "FAIL" or "PROCEED"}, "checkpoint": {..}, "usage": [..]}; of
          "suspend" only "prompt" is required
  answers [{"kind", "state", "prompt", "attempt", "input", "decision", "comment"}], oldest first;
          "decision" is APPROVE, or after an attempt that was lost RUN_AGAIN
A result may have 1 MiB. Cancelled, the program and all it started get SIGTERM, and SIGKILL two
seconds later. What it leaves running is killed when it has ended.

Ctrl-C or SIGTERM lets running tasks finish, for 25 seconds; a second one gives them back at once."#;

/// How long running tasks may take to finish once the agent stops.
const FINISH: Duration = Duration::from_secs(25);
/// Pauses between streams: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').ok_or("must be key=value")?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

/// Options of `reeve agent run`.
#[derive(Debug, Clone, Args)]
pub struct AgentRunArgs {
    /// Name, unique in the tenant; by default the capability and something random. A process that
    /// registers a name takes it over from the one that had it.
    #[arg(long)]
    pub name: Option<String>,
    /// What the agent can do, as name or name@version; may be repeated.
    #[arg(long = "capability", required = true)]
    pub capabilities: Vec<String>,
    /// Attribute of each of its capabilities that tasks may ask for, as key=value; may be repeated.
    #[arg(long = "attribute", value_name = "KEY=VALUE", value_parser = pair)]
    pub attributes: Vec<(String, String)>,
    /// Label of the agent, as key=value; may be repeated.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = pair)]
    pub labels: Vec<(String, String)>,
    /// Shell command that does one task.
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub exec: String,
    /// Tasks at the same time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=256))]
    pub concurrency: i32,
    /// Queues to take tasks from.
    #[arg(long = "queue", default_value = "default")]
    pub queues: Vec<String>,
    /// Kind of agent: planning, optimizer, code, quality, git or any other word.
    #[arg(long = "type", default_value = "code")]
    pub agent_type: String,
    /// Model that the agent uses, for the registry.
    #[arg(long, default_value = "")]
    pub model: String,
}

/// Serves tasks until it is asked to stop, then finishes what runs and leaves the fleet in order.
pub async fn run(session: &Session, args: &AgentRunArgs, halt: Halt) -> Result<()> {
    let lifeline = program::Lifeline::new().context("cannot start the watchdog")?;
    let presence = presence::Presence::register(session, args, &halt).await?;
    tracing::info!(agent_id = presence.agent_id(), "registered");
    let over = CancellationToken::new();
    let beats = presence.clone().beat(over.clone(), halt.clone());
    let beats = reeve_runtime::spawn("heartbeats", beats);
    let patience = reeve_runtime::spawn("patience", lose_patience(halt.clone()));
    let worker = work::Worker::new(
        session.clone(),
        presence.clone(),
        args.clone(),
        lifeline,
        halt.clone(),
    );
    serve(worker, &halt).await;
    patience.abort();
    over.cancel();
    let _ = beats.await;
    presence.leave().await
}

async fn lose_patience(halt: Halt) {
    halt.stop.cancelled().await;
    tokio::time::sleep(FINISH).await;
    halt.now.cancel();
}

/// Holds a work stream open, and opens another when it ends, until the agent is done.
async fn serve(mut worker: work::Worker, halt: &Halt) {
    let mut pause = PAUSES.0;
    loop {
        let ended = worker.session().await;
        let Some(fault) = ended.fault else { break };
        if fault.reason() == Reason::AgentNotActive
            && let Err(status) = worker.by_calls().await
        {
            tracing::warn!(%status, "cannot report");
        }
        if halt.now.is_cancelled() || (halt.stop.is_cancelled() && worker.is_idle()) {
            break;
        }
        if ended.was_useful {
            pause = PAUSES.0;
        }
        match fault.reason() {
            Reason::AgentNotActive => tracing::info!("the registry wants no tasks taken for now"),
            Reason::StreamExpired | Reason::Draining => tracing::debug!(%fault, "the next stream"),
            _ => tracing::warn!(%fault, "the work stream ended; trying again"),
        }
        rest(pause, halt).await;
        pause = (pause * 2).min(PAUSES.1);
    }
    if !worker.is_idle() {
        worker.abandon().await;
    }
}

/// Waits, but not through a change of what is wanted.
async fn rest(pause: Duration, halt: &Halt) {
    let changed = async {
        if halt.stop.is_cancelled() {
            halt.now.cancelled().await;
        } else {
            halt.stop.cancelled().await;
        }
    };
    let _ = tokio::time::timeout(pause, changed).await;
}
