//! Calls to the Reeve under test, and agents to work for it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use reeve_auth::ServiceTokens;
use reeve_contracts::agent::v1::agent_service_client::AgentServiceClient;
use reeve_contracts::agent::v1::{Capability, Heartbeat, HeartbeatRequest, RegisterAgentRequest};
use reeve_contracts::identity::v1::CreateTenantRequest;
use reeve_contracts::identity::v1::identity_service_client::IdentityServiceClient;
use reeve_contracts::task::v1::{CreateTaskRequest, TaskSpec};
use reeve_ids::TenantId;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};

use crate::platform::Platform;

/// The credential and the addresses.
#[derive(Clone)]
pub struct Session {
    bearer: MetadataValue<Ascii>,
    registry: String,
    queue: String,
    incident: String,
    lazy: Lazy,
}

/// Connections that are made when they are used, and anew when they break.
#[derive(Clone)]
struct Lazy {
    registry: Channel,
    queue: Channel,
    incident: Channel,
}

impl Session {
    /// As the administrator of a platform.
    pub fn open(platform: &Platform) -> Result<Self> {
        let registry = platform.variable("REEVE_AGENT_REGISTRY")?;
        let queue = platform.variable("REEVE_TASK_QUEUE")?;
        let incident = platform.variable("REEVE_INCIDENT")?;
        Ok(Self {
            bearer: format!("Bearer {}", platform.variable("REEVE_API_KEY")?).parse()?,
            lazy: Lazy::to(&registry, &queue, &incident)?,
            registry,
            queue,
            incident,
        })
    }

    /// The same as the administrator of a new tenant. Its operator makes it, with a service's token.
    pub async fn of_new_tenant(&self, platform: &Platform, name: &str) -> Result<Self> {
        let secret = platform.queue_variable("REEVE_AUTH__SERVICE_TOKEN_SECRET")?;
        let nobody = TenantId::from_uuid(uuid::Uuid::nil());
        let token = ServiceTokens::new(secret.as_str()).mint("operator", nobody);
        let mut request = tonic::Request::new(CreateTenantRequest {
            name: name.to_owned(),
            ..CreateTenantRequest::default()
        });
        let bearer = format!("Bearer {token}").parse()?;
        request.metadata_mut().insert("authorization", bearer);
        let mut client = IdentityServiceClient::new(self.lasting_registry());
        let created = client.create_tenant(request).await?.into_inner();
        Ok(Self {
            bearer: format!("Bearer {}", created.secret).parse()?,
            ..self.anew()?
        })
    }

    /// The same over connections of its own.
    pub fn anew(&self) -> Result<Self> {
        Ok(Self {
            lazy: Lazy::to(&self.registry, &self.queue, &self.incident)?,
            ..self.clone()
        })
    }

    /// A connection to task-queue.
    pub async fn queue(&self) -> Result<Channel> {
        connect(&self.queue).await
    }

    /// A connection to task-queue that outlives what is at its other end.
    pub fn lasting_queue(&self) -> Channel {
        self.lazy.queue.clone()
    }

    /// The same to agent-registry.
    pub fn lasting_registry(&self) -> Channel {
        self.lazy.registry.clone()
    }

    /// The same to incident.
    pub fn lasting_incident(&self) -> Channel {
        self.lazy.incident.clone()
    }

    /// A request with the credential.
    pub fn request<M>(&self, message: M) -> tonic::Request<M> {
        let mut request = tonic::Request::new(message);
        request
            .metadata_mut()
            .insert("authorization", self.bearer.clone());
        request
    }

    /// Registers an agent for a capability and keeps it alive for as long as the process lives.
    pub async fn agent(&self, capability: &str) -> Result<String> {
        let mut client = AgentServiceClient::new(connect(&self.registry).await?);
        let request = RegisterAgentRequest {
            name: format!("bench-{}", uuid::Uuid::now_v7()),
            r#type: "code".to_owned(),
            capabilities: vec![Capability {
                name: capability.to_owned(),
                version: "1.0.0".to_owned(),
                attributes: None,
            }],
            max_concurrent_tasks: 256,
            ..RegisterAgentRequest::default()
        };
        let registered = client
            .register_agent(self.request(request))
            .await?
            .into_inner();
        let agent_id = registered.agent.context("no agent came back")?.id;
        let heartbeat = Heartbeat {
            agent_id: agent_id.clone(),
            epoch: registered.epoch,
            ..Heartbeat::default()
        };
        let beat = HeartbeatRequest {
            heartbeat: Some(heartbeat),
        };
        client.heartbeat(self.request(beat.clone())).await?;
        let session = self.clone();
        // Supervision is the service's matter; this program ends with its last figure.
        #[expect(clippy::disallowed_methods)]
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(3)).await;
                // A missed beat shows as a lapsed agent, and the round then fails by its own means.
                let _ = client.heartbeat(session.request(beat.clone())).await;
            }
        });
        Ok(agent_id)
    }
}

async fn connect(address: &str) -> Result<Channel> {
    Ok(endpoint(address)?.connect().await?)
}

impl Lazy {
    fn to(registry: &str, queue: &str, incident: &str) -> Result<Self> {
        Ok(Self {
            registry: endpoint(registry)?.connect_lazy(),
            queue: endpoint(queue)?.connect_lazy(),
            incident: endpoint(incident)?.connect_lazy(),
        })
    }
}

fn endpoint(address: &str) -> Result<Endpoint> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true))
}

/// A task that a capability does, with a payload of about a hundred bytes.
pub fn task(capability: &str) -> CreateTaskRequest {
    let payload = prost_types::Value {
        kind: Some(prost_types::value::Kind::StringValue("x".repeat(90))),
    };
    let parameters = prost_types::Struct {
        fields: [("payload".to_owned(), payload)].into(),
    };
    let spec = TaskSpec {
        r#type: capability.to_owned(),
        parameters: Some(parameters),
        ..TaskSpec::default()
    };
    CreateTaskRequest {
        spec: Some(spec),
        ..CreateTaskRequest::default()
    }
}
