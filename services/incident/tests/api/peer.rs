//! task-queue or agent-registry as this service sees them: a real server with their contracts,
//! whose answers a test decides.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use futures::stream::BoxStream;
use reeve_auth::ServiceTokens;
use reeve_contracts::event::v1::event_feed_service_server::{
    EventFeedService, EventFeedServiceServer,
};
use reeve_contracts::event::v1::{Actor, ActorKind, Event, ReadEventsRequest, ReadEventsResponse};
use reeve_contracts::task::v1::task_service_server::{TaskService, TaskServiceServer};
use reeve_contracts::task::v1::{self as task, Task};
use reeve_ids::{EventId, TenantId};
use reeve_runtime::{Deps, Metrics, ReadyProbe, Service};
use reeve_status::Fault;
use reeve_testkit::{Running, SERVICE_SECRET, StaticAuthenticator, serve};
use serde_json::Value as Json;
use tonic::{Request, Response, Status};

type Answer<T> = Result<Response<T>, Status>;

#[derive(Default)]
struct Known {
    events: Mutex<Vec<Event>>,
    tasks: Mutex<HashMap<String, Task>>,
}

#[derive(Clone)]
struct Stage(Arc<Known>);

/// A peer, served.
pub struct Peer {
    source: &'static str,
    known: Arc<Known>,
    running: Running,
}

impl Peer {
    pub async fn start(source: &'static str, deps: &Deps) -> Self {
        let known = Arc::new(Known::default());
        let stage = Stage(Arc::clone(&known));
        let service = Service {
            name: source,
            routes: tonic::service::Routes::default()
                .add_service(EventFeedServiceServer::new(stage.clone()))
                .add_service(TaskServiceServer::new(stage)),
            grpc_services: vec![
                "reeve.event.v1.EventFeedService",
                "reeve.task.v1.TaskService",
            ],
            loops: Vec::new(),
            authenticator: StaticAuthenticator::with_tokens(ServiceTokens::new(SERVICE_SECRET)),
            ready: ReadyProbe::always(),
        };
        let deps = Deps {
            metrics: Metrics::new(source),
            drain: Default::default(),
            ..deps.clone()
        };
        let running = serve(service, &deps).await;
        Self {
            source,
            known,
            running,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.running.address())
    }

    /// Adds an event to the peer's log.
    pub fn emit(&self, tenant: TenantId, kind: &str, resource: (&str, &str), data: Json) -> Event {
        self.emit_at(tenant, kind, resource, data, Utc::now())
    }

    /// Adds an event that occurred earlier.
    pub fn emit_ago(
        &self,
        tenant: TenantId,
        kind: &str,
        resource: (&str, &str),
        data: Json,
        ago: TimeDelta,
    ) -> Event {
        self.emit_at(tenant, kind, resource, data, Utc::now() - ago)
    }

    fn emit_at(
        &self,
        tenant: TenantId,
        kind: &str,
        (resource_type, resource_id): (&str, &str),
        data: Json,
        occur_time: DateTime<Utc>,
    ) -> Event {
        let mut events = self
            .known
            .events
            .lock()
            .expect("no test panics while it holds this");
        let event = Event {
            id: EventId::new().to_string(),
            source: self.source.to_owned(),
            sequence: i64::try_from(events.len()).expect("few events") + 1,
            tenant_id: tenant.to_string(),
            r#type: kind.to_owned(),
            resource_type: resource_type.to_owned(),
            resource_id: resource_id.to_owned(),
            occur_time: Some(reeve_wellknown::timestamp(occur_time)),
            actor: Some(Actor {
                kind: ActorKind::Agent.into(),
                subject: "key:agent".to_owned(),
                display_name: "an agent".to_owned(),
            }),
            request_id: "request-1".to_owned(),
            traceparent: TRACEPARENT.to_owned(),
            data: reeve_wellknown::struct_from_json(data),
        };
        events.push(event.clone());
        event
    }

    pub fn know(&self, task: Task) {
        let mut tasks = self
            .known
            .tasks
            .lock()
            .expect("no test panics while it holds this");
        tasks.insert(task.id.clone(), task);
    }
}

pub const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tonic::async_trait]
impl EventFeedService for Stage {
    async fn read_events(&self, request: Request<ReadEventsRequest>) -> Answer<ReadEventsResponse> {
        let after = request.into_inner().after_sequence;
        let events = self
            .0
            .events
            .lock()
            .expect("no test panics while it holds this");
        let later: Vec<_> = events
            .iter()
            .filter(|event| event.sequence > after)
            .cloned()
            .collect();
        let last_sequence = i64::try_from(events.len()).expect("few events");
        Ok(Response::new(ReadEventsResponse {
            events: later,
            last_sequence,
        }))
    }
}

#[tonic::async_trait]
impl TaskService for Stage {
    async fn get_task(
        &self,
        request: Request<task::GetTaskRequest>,
    ) -> Answer<task::GetTaskResponse> {
        let id = request.into_inner().task_id;
        let tasks = self
            .0
            .tasks
            .lock()
            .expect("no test panics while it holds this");
        let found = tasks
            .get(&id)
            .cloned()
            .ok_or_else(|| Fault::not_found("task", &id))?;
        Ok(Response::new(task::GetTaskResponse { task: Some(found) }))
    }

    async fn create_task(
        &self,
        _: Request<task::CreateTaskRequest>,
    ) -> Answer<task::CreateTaskResponse> {
        unreachable!("incident only reads tasks")
    }

    async fn batch_create_tasks(
        &self,
        _: Request<task::BatchCreateTasksRequest>,
    ) -> Answer<task::BatchCreateTasksResponse> {
        unreachable!("incident only reads tasks")
    }

    async fn list_tasks(
        &self,
        _: Request<task::ListTasksRequest>,
    ) -> Answer<task::ListTasksResponse> {
        unreachable!("incident only reads single tasks")
    }

    type WatchTasksStream = BoxStream<'static, Result<task::WatchTasksResponse, Status>>;

    async fn watch_tasks(
        &self,
        _: Request<task::WatchTasksRequest>,
    ) -> Answer<Self::WatchTasksStream> {
        unreachable!("incident only reads single tasks")
    }

    async fn cancel_task(
        &self,
        _: Request<task::CancelTaskRequest>,
    ) -> Answer<task::CancelTaskResponse> {
        unreachable!("incident only reads tasks")
    }

    async fn retry_task(
        &self,
        _: Request<task::RetryTaskRequest>,
    ) -> Answer<task::RetryTaskResponse> {
        unreachable!("incident only reads tasks")
    }

    async fn bulk_cancel_tasks(
        &self,
        _: Request<task::BulkCancelTasksRequest>,
    ) -> Answer<task::BulkCancelTasksResponse> {
        unreachable!("incident only reads tasks")
    }

    async fn redrive_tasks(
        &self,
        _: Request<task::RedriveTasksRequest>,
    ) -> Answer<task::RedriveTasksResponse> {
        unreachable!("incident only reads tasks")
    }

    async fn discard_task(
        &self,
        _: Request<task::DiscardTaskRequest>,
    ) -> Answer<task::DiscardTaskResponse> {
        unreachable!("incident only reads tasks")
    }

    async fn discard_tasks(
        &self,
        _: Request<task::DiscardTasksRequest>,
    ) -> Answer<task::DiscardTasksResponse> {
        unreachable!("incident only reads tasks")
    }

    async fn reassign_task(
        &self,
        _: Request<task::ReassignTaskRequest>,
    ) -> Answer<task::ReassignTaskResponse> {
        unreachable!("incident only reads tasks")
    }

    async fn wait_tasks(
        &self,
        _: Request<task::WaitTasksRequest>,
    ) -> Answer<task::WaitTasksResponse> {
        unreachable!("incident only reads tasks")
    }

    async fn list_delegations(
        &self,
        _: Request<task::ListDelegationsRequest>,
    ) -> Answer<task::ListDelegationsResponse> {
        unreachable!("incident only reads tasks")
    }
}
