//! A running incident service with its peers, and the calls that most tests make.

use std::sync::Arc;

use reeve_auth::ServiceTokens;
use reeve_contracts::audit::v1::audit_service_client::AuditServiceClient;
use reeve_contracts::event::v1::event_service_client::EventServiceClient;
use reeve_contracts::incident::v1::incident_service_client::IncidentServiceClient;
use reeve_contracts::incident::v1::rule_service_client::RuleServiceClient;
use reeve_contracts::incident::v1::{self as proto, Incident as Message, IncidentStatus};
use reeve_ids::TenantId;
use reeve_incident::{Config, DEFAULTS, Incident};
use reeve_runtime::config::{PeersConfig, Sources, load};
use reeve_runtime::{Deps, Metrics, Peers};
use reeve_status::{Code, Fault, Reason};
use reeve_testkit::{
    Running, SERVICE_SECRET, StaticAuthenticator, TestDatabase, authorize, deps, eventually, serve,
};
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::peer::Peer;

const NOBODY: &str = "http://127.0.0.1:1";

/// The service with a tenant of its own.
pub struct World {
    pub database: TestDatabase,
    pub tenant: TenantId,
    pub admin: String,
    pub authenticator: Arc<StaticAuthenticator>,
    pub task_queue: Peer,
    pub agent_registry: Peer,
    deps: Deps,
    running: Option<Running>,
    settings: Vec<(&'static str, String)>,
}

impl World {
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With some keys of the configuration set.
    pub async fn with(settings: &[(&'static str, &str)]) -> Self {
        let schema = Incident::schema();
        let database = TestDatabase::new(&[&schema]).await;
        let mut deps = deps(Incident::NAME, &schema, &database).await;
        let task_queue = Peer::start("task-queue", &deps).await;
        let agent_registry = Peer::start("agent-registry", &deps).await;
        let peers = PeersConfig {
            agent_registry: agent_registry.url(),
            task_queue: task_queue.url(),
            workflow_engine: NOBODY.to_owned(),
            finance: NOBODY.to_owned(),
            incident: NOBODY.to_owned(),
        };
        let tokens = ServiceTokens::new(SERVICE_SECRET);
        deps.peers = Peers::new(&peers, Incident::NAME, &tokens).expect("the addresses are URLs");
        let (authenticator, tenant) = (StaticAuthenticator::new(), TenantId::new());
        let admin = authenticator.admin(tenant);
        let settings = settings
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()))
            .collect();
        let mut world = Self {
            database,
            tenant,
            admin,
            authenticator,
            task_queue,
            agent_registry,
            deps,
            running: None,
            settings,
        };
        world.run().await;
        world
    }

    /// Serves; after `stop`, the same service once more.
    pub async fn run(&mut self) {
        self.deps.drain = Default::default();
        self.deps.metrics = Metrics::new(Incident::NAME);
        let authenticator = self.authenticator.clone();
        let service = Incident::build_with(self.config(), self.deps.clone(), authenticator).await;
        let service = service.expect("the test's configuration is right");
        self.running = Some(serve(service, &self.deps).await);
    }

    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    fn config(&self) -> Config {
        let mut sources = Sources::none()
            .set("database.url", self.database.url(&Incident::schema()))
            .set("auth.service_token_secret", SERVICE_SECRET)
            .set("evidence.patience", "100ms")
            .set("evidence.retry_period", "50ms")
            .set("response.sweep_period", "50ms")
            .set("stream.bookmark_period", "200ms");
        for (key, value) in &self.settings {
            sources = sources.set(*key, value);
        }
        load(DEFAULTS, &sources).expect("the test's configuration is right")
    }

    fn channel(&self) -> Channel {
        self.running.as_ref().expect("the service runs").channel()
    }

    pub fn incidents(&self) -> IncidentServiceClient<Channel> {
        IncidentServiceClient::new(self.channel())
    }

    pub fn rules(&self) -> RuleServiceClient<Channel> {
        RuleServiceClient::new(self.channel())
    }

    pub fn events(&self) -> EventServiceClient<Channel> {
        EventServiceClient::new(self.channel())
    }

    pub fn audit(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.channel())
    }

    /// A message from the tenant's administrator.
    pub fn ask<T>(&self, message: T) -> tonic::Request<T> {
        authorize(&self.admin, message)
    }

    pub async fn create(&self) -> Message {
        let answer = self.incidents().create_incident(self.ask(report())).await;
        answer
            .expect("it is created")
            .into_inner()
            .incident
            .expect("the answer holds it")
    }

    pub async fn get(&self, id: &str) -> Message {
        let request = self.ask(proto::GetIncidentRequest {
            incident_id: id.to_owned(),
        });
        let answer = self
            .incidents()
            .get_incident(request)
            .await
            .expect("it is there");
        answer.into_inner().incident.expect("the answer holds it")
    }

    pub async fn list(&self) -> Vec<Message> {
        let request = self.ask(proto::ListIncidentsRequest::default());
        let answer = self
            .incidents()
            .list_incidents(request)
            .await
            .expect("the list answers");
        answer.into_inner().incidents
    }

    /// Waits until there are so many incidents, and gives the newest, whole.
    pub async fn opened(&self, count: usize) -> Message {
        let listed = eventually(|| async {
            let listed = self.list().await;
            if listed.len() == count {
                Ok(listed)
            } else {
                Err(format!("{} incidents", listed.len()))
            }
        })
        .await;
        self.get(&listed[0].id).await
    }

    /// Waits until an incident is as it should be.
    pub async fn becomes(&self, id: &str, right: impl Fn(&Message) -> bool) -> Message {
        eventually(|| async {
            let incident = self.get(id).await;
            if right(&incident) {
                Ok(incident)
            } else {
                Err(format!("{incident:#?}"))
            }
        })
        .await
    }

    pub async fn acknowledge(&self, id: &str) -> Result<Message, Status> {
        let message = proto::AcknowledgeIncidentRequest {
            incident_id: id.to_owned(),
            ..Default::default()
        };
        let answer = self
            .incidents()
            .acknowledge_incident(self.ask(message))
            .await?;
        Ok(answer.into_inner().incident.expect("the answer holds it"))
    }

    pub async fn investigate(&self, id: &str) -> Result<Message, Status> {
        let message = proto::StartInvestigationRequest {
            incident_id: id.to_owned(),
            ..Default::default()
        };
        let answer = self
            .incidents()
            .start_investigation(self.ask(message))
            .await?;
        Ok(answer.into_inner().incident.expect("the answer holds it"))
    }

    pub async fn resolve(&self, id: &str) -> Result<Message, Status> {
        let message = proto::ResolveIncidentRequest {
            incident_id: id.to_owned(),
            resolution: Some(resolution()),
            etag: String::new(),
        };
        let answer = self.incidents().resolve_incident(self.ask(message)).await?;
        Ok(answer.into_inner().incident.expect("the answer holds it"))
    }

    pub async fn verify(&self, id: &str) -> Result<Message, Status> {
        let message = proto::VerifyResolutionRequest {
            incident_id: id.to_owned(),
            verification_steps: vec!["ran it again".to_owned()],
            ..Default::default()
        };
        let answer = self
            .incidents()
            .verify_resolution(self.ask(message))
            .await?;
        Ok(answer.into_inner().incident.expect("the answer holds it"))
    }

    pub async fn close(
        &self,
        id: &str,
        reason: proto::IncidentCloseReason,
        duplicate_of: &str,
    ) -> Result<Message, Status> {
        let message = proto::CloseIncidentRequest {
            incident_id: id.to_owned(),
            reason: reason.into(),
            duplicate_of_incident_id: duplicate_of.to_owned(),
            ..Default::default()
        };
        let answer = self.incidents().close_incident(self.ask(message)).await?;
        Ok(answer.into_inner().incident.expect("the answer holds it"))
    }

    /// A dead task of some type, whose error has some text.
    pub fn fail_task(&self, task: &str, kind: &str, message: &str) {
        self.task_queue.emit(
            self.tenant,
            "task.failed",
            ("task", task),
            serde_json::json!({
                "type": kind, "agent_id": AGENT, "attempt": 3, "dead": true, "retry": false,
                "error_code": "EXIT", "error_message": message, "project_id": "p-1",
            }),
        );
    }
}

pub const AGENT: &str = "0190f3c4-8d6e-7a55-b3a0-4f6d1c2e9b7a";

pub fn report() -> proto::CreateIncidentRequest {
    proto::CreateIncidentRequest {
        title: "The site is slow".to_owned(),
        description: "Since noon.".to_owned(),
        severity: proto::IncidentSeverity::High.into(),
        priority: proto::IncidentPriority::P2.into(),
        category: proto::IncidentCategory::Performance.into(),
        ..Default::default()
    }
}

pub fn resolution() -> proto::IncidentResolution {
    proto::IncidentResolution {
        r#type: proto::ResolutionType::Fix.into(),
        summary: "Gave it more memory".to_owned(),
        root_cause: "The limit was too low".to_owned(),
        contributing_factors: vec!["no alert on memory".to_owned()],
        permanent: true,
        ..Default::default()
    }
}

pub fn status(incident: &Message) -> IncidentStatus {
    incident.status()
}

/// The kinds of an incident's timeline, in order.
pub fn kinds(incident: &Message) -> Vec<proto::IncidentEventType> {
    let timeline = incident
        .timeline
        .as_ref()
        .expect("a whole incident has a timeline");
    assert!(timeline.intact, "the timeline's hashes fit");
    timeline
        .events
        .iter()
        .map(proto::IncidentEvent::r#type)
        .collect()
}

#[track_caller]
pub fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, reason: Reason) -> Fault {
    let status = answer.expect_err("it should be refused");
    let fault = Fault::from(&status);
    assert_eq!((fault.code(), fault.reason()), (code, reason), "{fault}");
    fault
}

/// The fields that a fault names, sorted.
#[track_caller]
pub fn wrong_fields<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> Vec<String> {
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    let mut fields: Vec<_> = fault.violations().iter().map(|v| v.field.clone()).collect();
    fields.sort_unstable();
    fields
}
