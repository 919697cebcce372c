//! `reeve agent`.

use std::io::Write;
use std::ops::ControlFlow;

use anyhow::Result;
use clap::Subcommand;
use reeve_contracts::agent::v1::agent_service_client::AgentServiceClient;
use reeve_contracts::agent::v1::{
    DrainAgentRequest, GetAgentRequest, WatchAgentsRequest, WatchAgentsResponse,
};
use serde_json::json;

use super::{Page, call, follow};
use crate::agent::{AgentRunArgs, Halt};
use crate::client::input;
use crate::client::output::{Column, Format, Rows, print};
use crate::client::session::Session;
use crate::up::Stop;

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("NAME", "name"),
    ("TYPE", "type"),
    ("STATE", "state"),
    ("AVAILABILITY", "availability"),
    ("CAPABILITIES", "capabilities"),
    ("LAST HEARTBEAT", "lastHeartbeatTime"),
];

/// What agents can be asked.
#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// Make a program an agent: it gets each task as JSON on stdin and prints the result as JSON.
    #[command(after_help = crate::agent::CONTRACT)]
    Run(AgentRunArgs),
    /// List agents, oldest first.
    List {
        /// Only those that offer this capability.
        #[arg(long, default_value = "")]
        capability: String,
        #[command(flatten)]
        page: Page,
    },
    /// Show one agent.
    Get {
        /// The agent's id.
        agent_id: String,
    },
    /// Show agents as they change.
    Watch {
        /// Continues after a cursor.
        #[arg(long, default_value = "")]
        cursor: String,
    },
    /// Let an agent finish what it has and take nothing new.
    Drain {
        /// The agent's id.
        agent_id: String,
        /// Why.
        #[arg(long, default_value = "drained from the command line")]
        reason: String,
    },
    /// Let an agent that was drained, or set aside for maintenance, take tasks again.
    Activate {
        /// The agent's id.
        agent_id: String,
        /// Why.
        #[arg(long, default_value = "activated from the command line")]
        reason: String,
    },
    /// Delete an agent that is OFFLINE.
    Delete {
        /// The agent's id.
        agent_id: String,
    },
}

/// Does what was asked.
pub async fn run(session: &Session, verb: Verb, out: &mut impl Write) -> Result<()> {
    let format = session.output;
    match verb {
        Verb::Run(args) => run_agent(session, &args).await,
        Verb::List { capability, page } => {
            let request = input::message(json!({
                "filter": {"capability": capability},
                "pageSize": page.page_size, "pageToken": page.page_token,
            }))?;
            let found = call!(
                session,
                AgentRegistry,
                AgentServiceClient,
                list_agents,
                request
            );
            print(out, format, &found, "agents", COLUMNS)
        }
        Verb::Get { agent_id } => {
            let request = GetAgentRequest { agent_id };
            let found = call!(
                session,
                AgentRegistry,
                AgentServiceClient,
                get_agent,
                request
            );
            print(out, format, &found, "agent", COLUMNS)
        }
        Verb::Watch { cursor } => {
            let mut rows = Rows::new(format, COLUMNS);
            let request = |cursor| WatchAgentsRequest {
                cursor,
                ..WatchAgentsRequest::default()
            };
            let hear = |change: WatchAgentsResponse, cursor: &mut String| {
                rows.print(out, &change, "agent")?;
                *cursor = change.cursor;
                Ok(ControlFlow::<()>::Continue(()))
            };
            follow!(
                session,
                AgentRegistry,
                AgentServiceClient,
                watch_agents,
                cursor,
                request,
                hear
            );
            Ok(())
        }
        Verb::Drain { agent_id, reason } => {
            let request = DrainAgentRequest {
                agent_id,
                reason,
                ..DrainAgentRequest::default()
            };
            let drained = call!(
                session,
                AgentRegistry,
                AgentServiceClient,
                drain_agent,
                request
            );
            print(out, format, &drained, "agent", COLUMNS)
        }
        Verb::Activate { agent_id, reason } => {
            let request = input::message(json!({
                "agentId": agent_id, "state": "AGENT_STATE_ACTIVE", "reason": reason,
            }))?;
            let activated = call!(
                session,
                AgentRegistry,
                AgentServiceClient,
                transition_agent,
                request
            );
            print(out, format, &activated, "agent", COLUMNS)
        }
        Verb::Delete { agent_id } => {
            let request = input::message(json!({"agentId": agent_id}))?;
            let deleted = call!(
                session,
                AgentRegistry,
                AgentServiceClient,
                delete_agent,
                request
            );
            if format == Format::Json {
                return print(out, format, &deleted, "", &[]);
            }
            Ok(writeln!(out, "deleted")?)
        }
    }
}

async fn run_agent(session: &Session, args: &AgentRunArgs) -> Result<()> {
    let logs = reeve_runtime::config::LogConfig {
        format: reeve_runtime::config::LogFormat::Text,
        filter: std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned()),
    };
    let _telemetry = reeve_runtime::telemetry::init(&logs, "agent")?;
    let halt = Halt::default();
    let asked = halt.clone();
    let mut signals = Stop::listen()?;
    drop(reeve_runtime::spawn("signals", async move {
        loop {
            signals.wait().await;
            asked.ask();
        }
    }));
    crate::agent::run(session, args, halt).await
}
