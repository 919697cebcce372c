//! Three agents, each a process of its own with a credential that can only work.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use reeve_contracts::agent::v1::agent_service_client::AgentServiceClient;
use reeve_contracts::agent::v1::{AgentState, ListAgentsRequest};
use reeve_contracts::identity::v1::CreateApiKeyRequest;
use reeve_contracts::identity::v1::identity_service_client::IdentityServiceClient;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use super::stage::Stage;
use crate::client::session::{Service, answer};
use crate::lifeline;

const ROLES: [(&str, &str); 3] = [
    ("lint", "quality"),
    ("validate", "quality"),
    ("change", "code"),
];
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// The agents' processes; killed when this is dropped.
#[derive(Default)]
pub struct Fleet(Vec<Agent>);

struct Agent {
    child: Child,
    // The agent stops when this closes, however the demo ends. It is kept outside `child`, whose first
    // wait would close it.
    _lifeline: Option<ChildStdin>,
}

impl Fleet {
    /// Starts the three and waits until they are ready for work.
    pub async fn start<W: Write>(&mut self, stage: &mut Stage<'_, W>) -> Result<()> {
        let key = agent_key(stage).await?;
        let program = lifeline::program()?;
        for (role, kind) in ROLES {
            let log = std::fs::File::create(stage.folder.join(format!("agent-{role}.log")))?;
            let mut child = Command::new(&program)
                .args(["--until-stdin-closes", "agent", "run"])
                .args(["--capability", role, "--type", kind])
                .args(["--name", &format!("{role}-{}", stage.run)])
                .args(["--concurrency", "2"])
                .arg("--exec")
                .arg(format!(
                    "{} demo-agent",
                    quoted(&program.display().to_string())
                ))
                .env("REEVE_API_KEY", &key)
                .envs(stage.session.variables())
                .stdin(Stdio::piped())
                .stdout(log.try_clone()?)
                .stderr(log)
                .process_group(0)
                .kill_on_drop(true)
                .spawn()
                .with_context(|| format!("cannot start the agent {role}"))?;
            self.0.push(Agent {
                _lifeline: child.stdin.take(),
                child,
            });
        }
        for (role, _) in ROLES {
            wait_active(stage, &format!("{role}-{}", stage.run), role).await?;
        }
        stage.note(
            "agents",
            format!(
                "{} registered, ACTIVE, in their own processes",
                self.0.len()
            ),
        );
        stage.grpcurl(
            Service::AgentRegistry,
            "reeve.agent.v1.AgentService/ListAgents",
            &json!({}),
        );
        Ok(())
    }

    /// Asks the agents to leave, which they do in order.
    pub async fn stop(mut self) {
        for agent in &self.0 {
            let pid = agent
                .child
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .and_then(Pid::from_raw);
            if let Some(pid) = pid {
                let _ = kill_process(pid, Signal::TERM);
            }
        }
        for Agent { child, .. } in &mut self.0 {
            if timeout(STOP_PATIENCE, child.wait()).await.is_err() {
                let _ = child.kill().await;
            }
        }
    }
}

async fn agent_key<W: Write>(stage: &mut Stage<'_, W>) -> Result<String> {
    let mut identity = IdentityServiceClient::new(stage.session.channel(Service::AgentRegistry)?);
    let request: CreateApiKeyRequest = crate::client::input::message(json!({
        "name": format!("demo agents {}", stage.run),
        "kind": "PRINCIPAL_KIND_AGENT",
        "permissions": ["agents.*", "tasks.work"],
    }))?;
    let created = answer(
        identity
            .create_api_key(stage.session.request(request))
            .await,
    )?;
    stage.say("an API key of kind AGENT, which may work and nothing else")?;
    Ok(created.secret)
}

async fn wait_active<W: Write>(stage: &mut Stage<'_, W>, name: &str, role: &str) -> Result<()> {
    let session = stage.session.clone();
    let channel = session.channel(Service::AgentRegistry)?;
    let agent = stage
        .until(&format!("the agent {name}"), || {
            let mut client = AgentServiceClient::new(channel.clone());
            let request: Result<ListAgentsRequest> =
                crate::client::input::message(json!({"filter": {"names": [name]}}));
            let session = &session;
            async move {
                let agents = answer(client.list_agents(session.request(request?)).await)?.agents;
                Ok(agents
                    .into_iter()
                    .find(|agent| agent.state() == AgentState::Active))
            }
        })
        .await?;
    stage.say(format!("{role:<9} ACTIVE as {} ({})", agent.name, agent.id))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
