//! A scripted task-queue: it keeps the tasks that it is asked for, and tells of them what a test says.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};

use futures::Stream;
use reeve_contracts::event::v1::event_feed_service_server::{
    EventFeedService, EventFeedServiceServer,
};
use reeve_contracts::event::v1::{Actor, ActorKind, Event, ReadEventsRequest, ReadEventsResponse};
use reeve_contracts::task::v1::task_service_server::{TaskService, TaskServiceServer};
use reeve_contracts::task::v1::{self as wire, Task};
use reeve_ids::{TaskId, TenantId};
use serde_json::{Value, json};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::harness::AGENT;

/// What it does when it is asked for a task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mood {
    #[default]
    Takes,
    /// Nothing is written.
    Away,
    /// The task is there, but nobody hears of it.
    LosesAnswers,
    Refuses,
}

#[derive(Debug, Default)]
struct State {
    mood: Mood,
    /// By request_id.
    tasks: BTreeMap<String, Task>,
    asked: usize,
    cancelled: Vec<String>,
    events: Vec<Event>,
}

/// The script, which the server and the test share.
#[derive(Debug, Clone, Default)]
pub struct Queue {
    state: Arc<Mutex<State>>,
    address: Option<std::net::SocketAddr>,
}

impl Queue {
    /// Serves it on a free port.
    pub async fn serve(&mut self) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port");
        self.address = Some(listener.local_addr().expect("an address"));
        let server = tonic::transport::Server::builder()
            .add_service(TaskServiceServer::new(self.clone()))
            .add_service(EventFeedServiceServer::new(self.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        reeve_runtime::spawn("scripted task-queue", server);
    }

    /// Where it is, when it is served.
    pub fn url(&self) -> Option<String> {
        self.address.map(|address| format!("http://{address}"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics within")
    }

    pub fn set(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// How often it was asked for a task.
    pub fn asked(&self) -> usize {
        self.state().asked
    }

    /// The tasks that it has, by "step/attempt".
    pub fn tasks(&self) -> BTreeMap<String, Task> {
        let tasks = self.state().tasks.values().cloned().collect::<Vec<_>>();
        let named = tasks.into_iter().map(|task| {
            let origin = task.spec.as_ref().and_then(|spec| spec.origin.clone());
            let origin = origin.expect("tasks of the engine have an origin");
            (format!("{}/{}", origin.step_path, origin.attempt), task)
        });
        named.collect()
    }

    pub fn cancelled(&self) -> Vec<String> {
        self.state().cancelled.clone()
    }

    /// Ends a task well, and tells of it.
    pub fn complete(&self, tenant: TenantId, task: &Task, result: Value) {
        let mut done = task.clone();
        done.result = reeve_wellknown::struct_from_json(result);
        for kept in self
            .state()
            .tasks
            .values_mut()
            .filter(|kept| kept.id == task.id)
        {
            kept.clone_from(&done);
        }
        self.tell(
            tenant,
            &done,
            "task.completed",
            json!({"agent_id": "agent-1"}),
        );
    }

    /// Tells of a task.
    pub fn tell(&self, tenant: TenantId, task: &Task, kind: &str, mut data: Value) {
        let origin = task.spec.as_ref().and_then(|spec| spec.origin.clone());
        let origin = origin.expect("an origin");
        data["origin"] = json!({
            "kind": origin.kind, "resource_id": origin.resource_id,
            "step_path": origin.step_path, "attempt": origin.attempt,
        });
        let mut state = self.state();
        let sequence = i64::try_from(state.events.len()).expect("few") + 1;
        state.events.push(Event {
            id: format!("event-{sequence}"),
            sequence,
            tenant_id: tenant.to_string(),
            r#type: kind.to_owned(),
            resource_type: "task".to_owned(),
            resource_id: task.id.clone(),
            actor: Some(Actor {
                kind: ActorKind::Agent.into(),
                subject: AGENT.into(),
                display_name: "agent".into(),
            }),
            data: reeve_wellknown::struct_from_json(data),
            ..Event::default()
        });
    }
}

fn unscripted<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("the script has no such thing"))
}

#[tonic::async_trait]
impl TaskService for Queue {
    async fn create_task(
        &self,
        request: Request<wire::CreateTaskRequest>,
    ) -> Result<Response<wire::CreateTaskResponse>, Status> {
        let request = request.into_inner();
        let mut state = self.state();
        state.asked += 1;
        let mood = state.mood;
        match mood {
            Mood::Away => return Err(Status::unavailable("away")),
            Mood::Refuses => return Err(Status::invalid_argument("no such queue")),
            Mood::Takes | Mood::LosesAnswers => {}
        }
        let made = || Task {
            id: TaskId::new().to_string(),
            spec: request.spec.clone(),
            ..Task::default()
        };
        let task = state.tasks.entry(request.request_id).or_insert_with(made);
        let task = Some(task.clone());
        if mood == Mood::LosesAnswers {
            return Err(Status::deadline_exceeded("too late"));
        }
        Ok(Response::new(wire::CreateTaskResponse { task }))
    }

    async fn batch_create_tasks(
        &self,
        _: Request<wire::BatchCreateTasksRequest>,
    ) -> Result<Response<wire::BatchCreateTasksResponse>, Status> {
        unscripted()
    }

    async fn get_task(
        &self,
        request: Request<wire::GetTaskRequest>,
    ) -> Result<Response<wire::GetTaskResponse>, Status> {
        let id = request.into_inner().task_id;
        let state = self.state();
        let task = state.tasks.values().find(|task| task.id == id).cloned();
        match task {
            Some(task) => Ok(Response::new(wire::GetTaskResponse { task: Some(task) })),
            None => Err(Status::not_found("no task")),
        }
    }

    async fn list_tasks(
        &self,
        request: Request<wire::ListTasksRequest>,
    ) -> Result<Response<wire::ListTasksResponse>, Status> {
        let filter = request.into_inner().filter.unwrap_or_default();
        let state = self.state();
        if state.mood == Mood::Away {
            return Err(Status::unavailable("away"));
        }
        let of = |task: &&Task| {
            let origin = task.spec.as_ref().and_then(|spec| spec.origin.as_ref());
            origin.is_some_and(|it| it.resource_id == filter.origin_resource_id)
        };
        let tasks = state.tasks.values().filter(of).cloned().collect();
        Ok(Response::new(wire::ListTasksResponse {
            tasks,
            ..Default::default()
        }))
    }

    type WatchTasksStream =
        Pin<Box<dyn Stream<Item = Result<wire::WatchTasksResponse, Status>> + Send>>;

    async fn watch_tasks(
        &self,
        _: Request<wire::WatchTasksRequest>,
    ) -> Result<Response<Self::WatchTasksStream>, Status> {
        unscripted()
    }

    async fn cancel_task(
        &self,
        request: Request<wire::CancelTaskRequest>,
    ) -> Result<Response<wire::CancelTaskResponse>, Status> {
        let mut state = self.state();
        if state.mood == Mood::Away {
            return Err(Status::unavailable("away"));
        }
        state.cancelled.push(request.into_inner().task_id);
        Ok(Response::new(wire::CancelTaskResponse::default()))
    }

    async fn retry_task(
        &self,
        _: Request<wire::RetryTaskRequest>,
    ) -> Result<Response<wire::RetryTaskResponse>, Status> {
        unscripted()
    }

    async fn bulk_cancel_tasks(
        &self,
        _: Request<wire::BulkCancelTasksRequest>,
    ) -> Result<Response<wire::BulkCancelTasksResponse>, Status> {
        unscripted()
    }

    async fn redrive_tasks(
        &self,
        _: Request<wire::RedriveTasksRequest>,
    ) -> Result<Response<wire::RedriveTasksResponse>, Status> {
        unscripted()
    }

    async fn discard_task(
        &self,
        _: Request<wire::DiscardTaskRequest>,
    ) -> Result<Response<wire::DiscardTaskResponse>, Status> {
        unscripted()
    }

    async fn discard_tasks(
        &self,
        _: Request<wire::DiscardTasksRequest>,
    ) -> Result<Response<wire::DiscardTasksResponse>, Status> {
        unscripted()
    }

    async fn reassign_task(
        &self,
        _: Request<wire::ReassignTaskRequest>,
    ) -> Result<Response<wire::ReassignTaskResponse>, Status> {
        unscripted()
    }

    async fn wait_tasks(
        &self,
        _: Request<wire::WaitTasksRequest>,
    ) -> Result<Response<wire::WaitTasksResponse>, Status> {
        unscripted()
    }

    async fn list_delegations(
        &self,
        _: Request<wire::ListDelegationsRequest>,
    ) -> Result<Response<wire::ListDelegationsResponse>, Status> {
        unscripted()
    }
}

#[tonic::async_trait]
impl EventFeedService for Queue {
    async fn read_events(
        &self,
        request: Request<ReadEventsRequest>,
    ) -> Result<Response<ReadEventsResponse>, Status> {
        let after = request.into_inner().after_sequence;
        let state = self.state();
        let events = state.events.iter().filter(|event| event.sequence > after);
        Ok(Response::new(ReadEventsResponse {
            events: events.cloned().collect(),
            last_sequence: i64::try_from(state.events.len()).expect("few"),
        }))
    }
}
