//! The agent's life in agent-registry.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reeve_contracts::agent::v1::agent_service_client::AgentServiceClient;
use reeve_contracts::agent::v1::{
    AgentAction, AgentState, Capability, Heartbeat, HeartbeatReply, HeartbeatRequest,
    RegisterAgentRequest, TransitionAgentRequest, Workload,
};
use reeve_status::{Fault, Reason};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::AgentRunArgs;
use super::halt::Halt;
use crate::client::session::{Service, Session};

/// How long to wait after a heartbeat that failed.
const AGAIN: Duration = Duration::from_secs(1);

/// A registered agent. Clones share it.
#[derive(Clone)]
pub struct Presence(Arc<Shared>);

struct Shared {
    session: Session,
    channel: Channel,
    registration: RegisterAgentRequest,
    process: Mutex<Process>,
    active: AtomicI32,
    superseded: AtomicBool,
}

/// Who this process is to the registry.
#[derive(Clone)]
struct Process {
    agent_id: String,
    epoch: i64,
    interval: Duration,
}

impl Presence {
    /// Registers, and reports ready at once, so that work may come.
    pub async fn register(session: &Session, args: &AgentRunArgs, halt: &Halt) -> Result<Self> {
        let channel = session.channel(Service::AgentRegistry)?;
        let registration = registration(args);
        let process = announce_patiently(session, &channel, &registration, halt)
            .await
            .context("cannot register the agent")?;
        let presence = Self(Arc::new(Shared {
            session: session.clone(),
            channel,
            registration,
            process: Mutex::new(process),
            active: AtomicI32::new(0),
            superseded: AtomicBool::new(false),
        }));
        presence
            .heartbeat()
            .await
            .context("the first heartbeat was refused")?;
        Ok(presence)
    }

    /// The agent's id.
    pub fn agent_id(&self) -> String {
        self.process().agent_id
    }

    fn process(&self) -> Process {
        self.0
            .process
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Tells the registry how busy the agent is, with the next heartbeat.
    pub fn busy_with(&self, tasks: usize) {
        self.0
            .active
            .store(i32::try_from(tasks).unwrap_or(i32::MAX), Ordering::Relaxed);
    }

    /// Sends heartbeats until `over`. Asks for a halt when the registry wants this process to end.
    pub async fn beat(self, over: CancellationToken, halt: Halt) {
        let mut interval = self.process().interval;
        while over
            .run_until_cancelled(tokio::time::sleep(interval))
            .await
            .is_some()
        {
            interval = match self.heartbeat().await {
                Ok(reply) => self.obey(&reply, &halt),
                Err(fault) => {
                    if self.is_refused(&fault, &halt).await {
                        return;
                    }
                    AGAIN
                }
            };
        }
    }

    /// Does what a reply asks for, and says when the next heartbeat is due.
    fn obey(&self, reply: &HeartbeatReply, halt: &Halt) -> Duration {
        if reply.actions().any(|action| action == AgentAction::Stop) && !halt.stop.is_cancelled() {
            tracing::warn!("the registry has set this agent to STOPPING; it ends");
            halt.stop.cancel();
        }
        let next = reply.next_heartbeat_duration.as_ref();
        next.and_then(reeve_wellknown::std_duration)
            .unwrap_or(self.process().interval)
    }

    /// Mends what a refused heartbeat tells of, if that is possible; true when this process is no
    /// longer the agent's.
    async fn is_refused(&self, fault: &Fault, halt: &Halt) -> bool {
        match fault.reason() {
            Reason::StaleEpoch => {
                // What runs is no longer this process's: the tasks went to the other one.
                self.0.superseded.store(true, Ordering::Relaxed);
                halt.stop.cancel();
                halt.now.cancel();
                return true;
            }
            // Given up meanwhile, or deleted. An agent that is leaving may stay so.
            Reason::AgentNotActive | Reason::ResourceNotFound if !halt.stop.is_cancelled() => {
                tracing::warn!(%fault, "the registry has given this agent up; registering again");
                if let Err(fault) = self.register_again().await {
                    tracing::warn!(%fault, "cannot register; trying again");
                }
            }
            _ => tracing::warn!(%fault, "a heartbeat failed; trying again"),
        }
        false
    }

    async fn register_again(&self) -> Result<(), Fault> {
        let shared = &self.0;
        let process = announce(&shared.session, &shared.channel, &shared.registration).await?;
        tracing::info!(agent_id = process.agent_id, "registered");
        *shared
            .process
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = process;
        self.heartbeat().await.map(drop)
    }

    async fn heartbeat(&self) -> Result<HeartbeatReply, Fault> {
        let process = self.process();
        let heartbeat = Heartbeat {
            agent_id: process.agent_id,
            epoch: process.epoch,
            workload: Some(Workload {
                active_task_count: self.0.active.load(Ordering::Relaxed),
                ..Workload::default()
            }),
            ..Heartbeat::default()
        };
        let request = self.0.session.request(HeartbeatRequest {
            heartbeat: Some(heartbeat),
        });
        let mut client = AgentServiceClient::new(self.0.channel.clone());
        let answer = client.heartbeat(request).await;
        let answer = answer.map_err(|status| Fault::from(&status))?.into_inner();
        Ok(answer.reply.unwrap_or_default())
    }

    /// Leaves the fleet: STOPPING, then OFFLINE. When the registry is away the lease lapses, which
    /// ends in the same place later. An agent that another process now is stays as it is.
    pub async fn leave(&self) -> Result<()> {
        // A last look, since another process of this name may have begun a moment ago.
        let mut said = self.heartbeat().await.map(drop);
        for state in [AgentState::Stopping, AgentState::Offline] {
            if said.as_ref().is_err_and(is_stale) || self.0.superseded.load(Ordering::Relaxed) {
                bail!(
                    "another process has registered as the agent {}, so this one has ended; give \
                     each process a --name of its own",
                    self.0.registration.name
                );
            }
            said = self.transition(state).await;
        }
        if let Err(fault) = said {
            tracing::debug!(%fault, "could not say goodbye");
        }
        Ok(())
    }

    async fn transition(&self, state: AgentState) -> Result<(), Fault> {
        let process = self.process();
        let request = TransitionAgentRequest {
            agent_id: process.agent_id,
            state: state.into(),
            reason: "the agent's process ends".to_owned(),
            // A successor of the same name stays as it is.
            epoch: process.epoch,
            ..TransitionAgentRequest::default()
        };
        let request = self.0.session.request(request);
        let mut client = AgentServiceClient::new(self.0.channel.clone());
        let answer = client.transition_agent(request).await;
        answer.map(drop).map_err(|status| Fault::from(&status))
    }
}

fn is_stale(fault: &Fault) -> bool {
    fault.reason() == Reason::StaleEpoch
}

fn registration(args: &AgentRunArgs) -> RegisterAgentRequest {
    // Process ids repeat from container to container.
    let unlikely = || uuid::Uuid::new_v4().simple().to_string();
    let default = || format!("{}-{}", bare(&args.capabilities[0]), &unlikely()[..8]);
    let capabilities = args.capabilities.iter();
    let capabilities = capabilities.map(|text| capability(text, &args.attributes));
    RegisterAgentRequest {
        name: args.name.clone().unwrap_or_else(default),
        r#type: args.agent_type.clone(),
        model_id: args.model.clone(),
        capabilities: capabilities.collect(),
        max_concurrent_tasks: args.concurrency,
        labels: args.labels.iter().cloned().collect(),
        ..RegisterAgentRequest::default()
    }
}

async fn announce(
    session: &Session,
    channel: &Channel,
    registration: &RegisterAgentRequest,
) -> Result<Process, Fault> {
    let mut client = AgentServiceClient::new(channel.clone());
    let request = session.request(registration.clone());
    let registered = client.register_agent(request).await;
    let registered = registered
        .map_err(|status| Fault::from(&status))?
        .into_inner();
    let interval = registered.heartbeat_interval_duration.as_ref();
    let interval = interval.and_then(reeve_wellknown::std_duration);
    Ok(Process {
        agent_id: registered.agent.unwrap_or_default().id,
        epoch: registered.epoch,
        interval: interval.unwrap_or(Duration::from_secs(5)),
    })
}

/// Until the registry is there: an agent may be started before it, or while it restarts.
async fn announce_patiently(
    session: &Session,
    channel: &Channel,
    registration: &RegisterAgentRequest,
    halt: &Halt,
) -> Result<Process, Fault> {
    loop {
        match announce(session, channel, registration).await {
            Err(fault) if fault.is_retryable() && !halt.stop.is_cancelled() => {
                tracing::warn!(%fault, "cannot register; trying again");
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => {}
                    () = halt.stop.cancelled() => return Err(fault),
                }
            }
            ended => return ended,
        }
    }
}

fn bare(capability: &str) -> &str {
    capability
        .split_once('@')
        .map_or(capability, |(name, _)| name)
}

fn capability(text: &str, attributes: &[(String, String)]) -> Capability {
    let (name, version) = text.split_once('@').unwrap_or((text, "1.0.0"));
    let attributes = attributes.iter();
    let attributes = attributes.map(|(key, value)| (key.clone(), value.clone().into()));
    let attributes = serde_json::Value::Object(attributes.collect());
    Capability {
        name: name.to_owned(),
        version: version.to_owned(),
        attributes: reeve_wellknown::struct_from_json(attributes),
    }
}
