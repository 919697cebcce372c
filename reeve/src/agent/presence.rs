//! The agent's life in agent-registry.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use reeve_contracts::agent::v1::agent_service_client::AgentServiceClient;
use reeve_contracts::agent::v1::{
    AgentState, Capability, Heartbeat, HeartbeatRequest, RegisterAgentRequest,
    TransitionAgentRequest, Workload,
};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::AgentRunArgs;
use crate::client::session::{Service, Session, answer};

/// A registered agent. Clones share it.
#[derive(Clone)]
pub struct Presence {
    session: Session,
    channel: Channel,
    agent_id: String,
    epoch: i64,
    interval: Duration,
    active: Arc<AtomicI32>,
}

impl Presence {
    /// Registers, and reports ready at once, so that work may come.
    pub async fn register(session: &Session, args: &AgentRunArgs) -> Result<Self> {
        let channel = session.channel(Service::AgentRegistry)?;
        let default = || format!("{}-{}", bare(&args.capabilities[0]), std::process::id());
        let request = RegisterAgentRequest {
            name: args.name.clone().unwrap_or_else(default),
            r#type: args.agent_type.clone(),
            model_id: args.model.clone(),
            capabilities: args
                .capabilities
                .iter()
                .map(|text| capability(text))
                .collect(),
            max_concurrent_tasks: args.concurrency,
            ..RegisterAgentRequest::default()
        };
        let mut client = AgentServiceClient::new(channel.clone());
        let registered = answer(client.register_agent(session.request(request)).await)
            .context("cannot register the agent")?;
        let interval = registered.heartbeat_interval_duration.as_ref();
        let presence = Self {
            session: session.clone(),
            channel,
            agent_id: registered
                .agent
                .context("the registry answered without an agent")?
                .id,
            epoch: registered.epoch,
            interval: interval
                .and_then(reeve_wellknown::std_duration)
                .unwrap_or(Duration::from_secs(5)),
            active: Arc::default(),
        };
        presence
            .heartbeat()
            .await
            .context("the first heartbeat was refused")?;
        Ok(presence)
    }

    /// The agent's id.
    pub fn agent_id(&self) -> &str {
        &self.agent_id
    }

    /// Tells the registry how busy the agent is, with the next heartbeat.
    pub fn busy_with(&self, tasks: usize) {
        self.active
            .store(i32::try_from(tasks).unwrap_or(i32::MAX), Ordering::Relaxed);
    }

    /// Sends heartbeats until `stop`.
    pub async fn beat(self, stop: CancellationToken) {
        let mut interval = self.interval;
        while stop
            .run_until_cancelled(tokio::time::sleep(interval))
            .await
            .is_some()
        {
            match self.heartbeat().await {
                Ok(next) => interval = next,
                Err(error) => {
                    tracing::warn!(%error, "a heartbeat failed; trying again");
                    interval = Duration::from_secs(1);
                }
            }
        }
    }

    async fn heartbeat(&self) -> Result<Duration> {
        let heartbeat = Heartbeat {
            agent_id: self.agent_id.clone(),
            epoch: self.epoch,
            workload: Some(Workload {
                active_task_count: self.active.load(Ordering::Relaxed),
                ..Workload::default()
            }),
            ..Heartbeat::default()
        };
        let request = HeartbeatRequest {
            heartbeat: Some(heartbeat),
        };
        let mut client = AgentServiceClient::new(self.channel.clone());
        let reply = answer(client.heartbeat(self.session.request(request)).await)?.reply;
        let next = reply.and_then(|reply| reply.next_heartbeat_duration);
        Ok(next
            .as_ref()
            .and_then(reeve_wellknown::std_duration)
            .unwrap_or(self.interval))
    }

    /// Leaves the fleet: STOPPING, then OFFLINE. When the registry is away the lease lapses, which
    /// ends in the same place later.
    pub async fn leave(&self) {
        for state in [AgentState::Stopping, AgentState::Offline] {
            let request = TransitionAgentRequest {
                agent_id: self.agent_id.clone(),
                state: state.into(),
                reason: "the agent's process ends".to_owned(),
                etag: String::new(),
                epoch: self.epoch,
            };
            let mut client = AgentServiceClient::new(self.channel.clone());
            if let Err(error) = answer(client.transition_agent(self.session.request(request)).await)
            {
                tracing::debug!(%error, "could not say goodbye");
                return;
            }
        }
    }
}

fn bare(capability: &str) -> &str {
    capability
        .split_once('@')
        .map_or(capability, |(name, _)| name)
}

fn capability(text: &str) -> Capability {
    let (name, version) = text.split_once('@').unwrap_or((text, "1.0.0"));
    Capability {
        name: name.to_owned(),
        version: version.to_owned(),
        attributes: None,
    }
}
