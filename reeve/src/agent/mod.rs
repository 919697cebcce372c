//! `reeve agent run`: any program becomes an agent.
//!
//! For each task the program is started once: the task as JSON on stdin, the result as one JSON
//! object on stdout, progress as lines on stderr ("40% building" or any text), success as exit
//! status 0. A failing program may say why with `{"error": {"code", "message", "retryable"}}` on
//! stdout. What a language model used is reported under `"usage"` beside `"result"`.

mod exec;
mod presence;
mod report;
mod work;

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::client::session::Session;

/// Options of `reeve agent run`.
#[derive(Debug, Clone, Args)]
pub struct AgentRunArgs {
    /// Name, unique in the tenant; by default the capability and the process's id.
    #[arg(long)]
    pub name: Option<String>,
    /// What the agent can do, as name or name@version; may be repeated.
    #[arg(long = "capability", required = true)]
    pub capabilities: Vec<String>,
    /// Shell command that does one task.
    #[arg(long)]
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

/// Serves tasks until `stop`, then finishes what runs and leaves the fleet in order.
pub async fn run(session: &Session, args: &AgentRunArgs, stop: CancellationToken) -> Result<()> {
    let presence = presence::Presence::register(session, args).await?;
    tracing::info!(agent_id = presence.agent_id(), "registered");
    let beating = CancellationToken::new();
    let beats = reeve_runtime::spawn("heartbeats", presence.clone().beat(beating.clone()));
    let worked = serve(session, &presence, args, &stop).await;
    beating.cancel();
    let _ = beats.await;
    presence.leave().await;
    worked
}

/// Holds a work stream open, and opens another when it ends, until `stop`.
async fn serve(
    session: &Session,
    presence: &presence::Presence,
    args: &AgentRunArgs,
    stop: &CancellationToken,
) -> Result<()> {
    let mut worker = work::Worker::new(session.clone(), presence.clone(), args.clone());
    let mut pause = Duration::from_millis(100);
    while !stop.is_cancelled() {
        match worker.session(stop).await {
            Ok(()) => pause = Duration::from_millis(100),
            Err(error) => {
                tracing::warn!(%error, "the work stream ended; trying again");
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = stop.cancelled() => {}
                }
                pause = (pause * 2).min(Duration::from_secs(5));
            }
        }
    }
    worker.finish().await
}
