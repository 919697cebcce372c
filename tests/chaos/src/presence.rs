//! An agent's life in agent-registry, as a careful agent leads it: it registers anew whenever it was
//! given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use reeve_bench::Session;
use reeve_contracts::agent::v1::agent_service_client::AgentServiceClient;
use reeve_contracts::agent::v1::{Capability, Heartbeat, HeartbeatRequest, RegisterAgentRequest};
use tokio::sync::watch;

use crate::plan::CAPABILITY;

/// An agent that is known.
pub struct Presence {
    session: Session,
    name: String,
    /// Id and epoch.
    process: watch::Sender<Option<(String, i64)>>,
    silent: AtomicBool,
}

impl Presence {
    /// Registers and goes on to live; returns when the registry knows it.
    pub async fn new(session: &Session, number: usize) -> Result<Arc<Self>> {
        let presence = Arc::new(Self {
            session: session.clone(),
            name: format!("chaos-{number}"),
            process: watch::channel(None).0,
            silent: AtomicBool::new(false),
        });
        presence.register().await?;
        let beating = Arc::clone(&presence);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(2)).await;
                if !beating.silent.load(Ordering::Relaxed) && beating.beat().await.is_err() {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        });
        Ok(presence)
    }

    /// Its id.
    pub fn id(&self) -> String {
        let process = self.process.borrow();
        process
            .as_ref()
            .map(|(id, _)| id.clone())
            .unwrap_or_default()
    }

    /// Says nothing for a while.
    pub async fn fall_silent(&self, time: Duration) {
        self.silent.store(true, Ordering::Relaxed);
        tokio::time::sleep(time).await;
        self.silent.store(false, Ordering::Relaxed);
    }

    /// Registers again, until it works.
    pub async fn register(&self) -> Result<()> {
        loop {
            if let Ok(()) = self.try_register().await {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    async fn try_register(&self) -> Result<()> {
        let request = RegisterAgentRequest {
            name: self.name.clone(),
            r#type: "code".to_owned(),
            capabilities: vec![Capability {
                name: CAPABILITY.to_owned(),
                version: "1.0.0".to_owned(),
                attributes: None,
            }],
            max_concurrent_tasks: 256,
            ..RegisterAgentRequest::default()
        };
        let mut request = self.session.request(request);
        request.set_timeout(Duration::from_secs(5));
        let mut client = AgentServiceClient::new(self.session.lasting_registry());
        let registered = client.register_agent(request).await?.into_inner();
        let id = registered.agent.map(|agent| agent.id).unwrap_or_default();
        self.process.send_replace(Some((id, registered.epoch)));
        self.beat().await
    }

    async fn beat(&self) -> Result<()> {
        let process = self.process.borrow().clone();
        let Some((agent_id, epoch)) = process else {
            return Ok(());
        };
        let heartbeat = Heartbeat {
            agent_id,
            epoch,
            ..Heartbeat::default()
        };
        let mut request = self.session.request(HeartbeatRequest {
            heartbeat: Some(heartbeat),
        });
        request.set_timeout(Duration::from_secs(5));
        let mut client = AgentServiceClient::new(self.session.lasting_registry());
        client.heartbeat(request).await?;
        Ok(())
    }
}
