//! `reeve.task.v1.TaskService`.

use std::time::Duration;

use futures::stream::BoxStream;
use reeve_auth::Caller;
use reeve_contracts::task::v1 as proto;
use reeve_contracts::task::v1::task_service_server::TaskService;
use reeve_ids::TaskId;
use reeve_postgres::page;
use reeve_runtime::answer;
use reeve_status::{Fault, Reason, Violations};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{parse, parse_bulk, parse_delegation, parse_spec};
use super::{render, render_bulk, render_delegation, waiting};
use crate::domain::{Catalogue, Delegation, Task, Waits};
use crate::operations::{self, Change, Verb, Watch};
use crate::{Error, Queue};

/// Changes that a watch may be ahead of its reader.
const WATCH_AHEAD: usize = 256;
/// Tasks with bodies that one page may hold.
const FULL_PAGE: i64 = 100;

type Told = Result<proto::WatchTasksResponse, Status>;

/// Serves clients.
#[derive(Debug, Clone)]
pub struct TaskApi {
    queue: Queue,
}

impl TaskApi {
    /// The full name of the gRPC service.
    pub const NAME: &'static str = "reeve.task.v1.TaskService";

    /// The RPCs over the service.
    pub fn new(queue: Queue) -> Self {
        Self { queue }
    }

    fn asked<'a>(&self, caller: &Caller, types: &'a Catalogue) -> parse_spec::Asked<'a> {
        parse_spec::Asked {
            types,
            now: self.queue.shared.clock.now(),
            by_service: caller.principal.kind == reeve_auth::PrincipalKind::Service,
        }
    }

    /// A task with everything, and with what it waits for, which depends on the agents there are.
    pub(super) async fn render(&self, task: Task) -> proto::Task {
        let why = operations::waits_for(&self.queue, &task).await;
        render::whole_task(task, why)
    }

    async fn watch(self, watch: Watch, out: mpsc::Sender<Told>) {
        let fault = tokio::select! {
            fault = self.tell(watch, &out) => fault,
            () = self.queue.shared.drain.cancelled() => Fault::from(Error::Draining),
            () = out.closed() => return,
        };
        // A reader that was too slow finds it behind what it has not read.
        let _ = out.send(Err(fault.into())).await;
    }

    /// Tells of changes; why that ends.
    async fn tell(&self, mut watch: Watch, out: &mpsc::Sender<Told>) -> Fault {
        let patience = self.queue.shared.config.watch_patience;
        loop {
            let changes = match watch.next().await {
                Ok(changes) => changes,
                Err(fault) => return fault,
            };
            for change in changes {
                let response = self.change(change).await;
                if out.send_timeout(Ok(response), patience).await.is_err() {
                    self.queue.shared.metrics.slow_watchers.inc();
                    return slow();
                }
            }
        }
    }

    async fn change(&self, change: Change) -> proto::WatchTasksResponse {
        let task = match change.task {
            Some(task) => {
                let why = operations::waits_for(&self.queue, &task).await;
                Some(render::task(task, why))
            }
            None => None,
        };
        proto::WatchTasksResponse {
            cursor: change
                .cursor
                .map(|cursor| cursor.to_string())
                .unwrap_or_default(),
            task,
            event_type: change.event_type,
            snapshot: change.snapshot,
        }
    }
}

fn slow() -> Fault {
    let message = "the reader is too slow; watch again with the last cursor";
    Fault::unavailable(Reason::SlowConsumer, message, Duration::from_secs(1))
}

fn task_id(text: &str) -> Result<TaskId, Fault> {
    let mut v = Violations::new();
    let id = parse::required(&mut v, "task_id", text);
    parse::finish(v, id)
}

#[tonic::async_trait]
impl TaskService for TaskApi {
    type WatchTasksStream = BoxStream<'static, Result<proto::WatchTasksResponse, Status>>;

    async fn create_task(
        &self,
        request: Request<proto::CreateTaskRequest>,
    ) -> Result<Response<proto::CreateTaskResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let types = self.queue.shared.catalogues.of(caller.tenant()).await?;
        let creation = parse_spec::create(request.into_inner(), self.asked(&caller, &types))?;
        let task = operations::create(&self.queue, &caller, creation).await?;
        let now = self.queue.shared.clock.now();
        let why = task.waiting(None).map(|waiting| waiting.reason(now).into());
        Ok(Response::new(proto::CreateTaskResponse {
            task: Some(render::task(task, why)),
        }))
    }

    async fn batch_create_tasks(
        &self,
        request: Request<proto::BatchCreateTasksRequest>,
    ) -> Result<Response<proto::BatchCreateTasksResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let types = self.queue.shared.catalogues.of(caller.tenant()).await?;
        let asked = self.asked(&caller, &types);
        let creations = parse_spec::create_batch(request.into_inner(), asked)?;
        let ids = operations::create_batch(&self.queue, &caller, creations).await?;
        let task_ids = ids.iter().map(ToString::to_string).collect();
        Ok(Response::new(proto::BatchCreateTasksResponse { task_ids }))
    }

    async fn get_task(
        &self,
        request: Request<proto::GetTaskRequest>,
    ) -> Result<Response<proto::GetTaskResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let id = task_id(&request.get_ref().task_id)?;
        let task = operations::get(&self.queue, caller.tenant(), id).await?;
        Ok(Response::new(proto::GetTaskResponse {
            task: Some(self.render(task).await),
        }))
    }

    async fn list_tasks(
        &self,
        request: Request<proto::ListTasksRequest>,
    ) -> Result<Response<proto::ListTasksResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let mut v = Violations::new();
        let filter = parse::filter(&mut v, request.filter);
        let full = parse::full(&mut v, request.view);
        v.check(
            request.page_size >= 0,
            "page_size",
            "must be from 0 to 1000",
        );
        v.finish()?;
        let size = page::size(request.page_size)?.min(if full { FULL_PAGE } else { i64::MAX });
        let bound = (&filter, full);
        let after = page::decode::<TaskId>(&request.page_token, &bound)?;
        let (queue, tenant) = (&self.queue, caller.tenant());
        let found = operations::list(queue, tenant, &filter, after, full, size + 1).await?;
        let reasons = found.iter().map(|task| operations::waits_for(queue, task));
        let reasons = futures::future::join_all(reasons).await;
        let found = found.into_iter().zip(reasons).collect();
        let render = |(task, why): &(Task, Option<Waits>)| render::task(task.clone(), why.clone());
        let (tasks, next) = answer::page(found, size, render, |(task, _)| task.id);
        let next_page_token = next
            .map(|key| page::encode(&key, &bound))
            .unwrap_or_default();
        Ok(Response::new(proto::ListTasksResponse {
            tasks,
            next_page_token,
        }))
    }

    async fn watch_tasks(
        &self,
        request: Request<proto::WatchTasksRequest>,
    ) -> Result<Response<Self::WatchTasksStream>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let mut v = Violations::new();
        let filter = parse::filter(&mut v, request.filter);
        let full = parse::full(&mut v, request.view);
        let cursor = request
            .cursor
            .parse::<i64>()
            .ok()
            .filter(|cursor| *cursor >= 0);
        let legal = request.cursor.is_empty() || cursor.is_some();
        v.check(legal, "cursor", "must be a cursor of this stream, or empty");
        v.finish()?;
        let watch = Watch::begin(&self.queue, caller.tenant(), filter, full, cursor).await?;
        let (out, responses) = mpsc::channel(WATCH_AHEAD);
        reeve_runtime::spawn("watch tasks", self.clone().watch(watch, out));
        Ok(Response::new(Box::pin(ReceiverStream::new(responses))))
    }

    async fn cancel_task(
        &self,
        request: Request<proto::CancelTaskRequest>,
    ) -> Result<Response<proto::CancelTaskResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let mut v = Violations::new();
        let id = parse::required(&mut v, "task_id", &request.task_id);
        parse::text(&mut v, "reason", &request.reason, 512);
        let etag = parse::etag(&mut v, &request.etag);
        let id = parse::finish(v, id)?;
        let task = operations::cancel(&self.queue, &caller, id, &request.reason, etag).await?;
        Ok(Response::new(proto::CancelTaskResponse {
            task: Some(self.render(task).await),
        }))
    }

    async fn retry_task(
        &self,
        request: Request<proto::RetryTaskRequest>,
    ) -> Result<Response<proto::RetryTaskResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let mut v = Violations::new();
        let id = parse::required(&mut v, "task_id", &request.task_id);
        let etag = parse::etag(&mut v, &request.etag);
        let id = parse::finish(v, id)?;
        let task = operations::retry(&self.queue, &caller, id, etag).await?;
        Ok(Response::new(proto::RetryTaskResponse {
            task: Some(self.render(task).await),
        }))
    }

    async fn bulk_cancel_tasks(
        &self,
        request: Request<proto::BulkCancelTasksRequest>,
    ) -> Result<Response<proto::BulkCancelTasksResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let (filter, scope) = (request.filter, request.scope);
        let ask = parse_bulk::bulk(Verb::Cancel, filter, request.reason, scope)?;
        let tally = operations::bulk(&self.queue, &caller, Verb::Cancel, &ask).await?;
        Ok(Response::new(proto::BulkCancelTasksResponse {
            matched_count: tally.matched,
            cancelled_count: tally.changed,
            requested_count: tally.asked,
            skipped: render_bulk::skipped(&tally),
            continuation: render_bulk::continuation(Verb::Cancel, &tally, &ask),
        }))
    }

    async fn redrive_tasks(
        &self,
        request: Request<proto::RedriveTasksRequest>,
    ) -> Result<Response<proto::RedriveTasksResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let (filter, scope) = (request.filter, request.scope);
        let ask = parse_bulk::bulk(Verb::Redrive, filter, String::new(), scope)?;
        let tally = operations::bulk(&self.queue, &caller, Verb::Redrive, &ask).await?;
        Ok(Response::new(proto::RedriveTasksResponse {
            matched_count: tally.matched,
            redriven_count: tally.changed,
            skipped: render_bulk::skipped(&tally),
            continuation: render_bulk::continuation(Verb::Redrive, &tally, &ask),
        }))
    }

    async fn discard_task(
        &self,
        request: Request<proto::DiscardTaskRequest>,
    ) -> Result<Response<proto::DiscardTaskResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let mut v = Violations::new();
        let id = parse::required(&mut v, "task_id", &request.task_id);
        parse::text(&mut v, "reason", &request.reason, 512);
        let etag = parse::etag(&mut v, &request.etag);
        let id = parse::finish(v, id)?;
        let task = operations::discard(&self.queue, &caller, id, &request.reason, etag).await?;
        Ok(Response::new(proto::DiscardTaskResponse {
            task: Some(self.render(task).await),
        }))
    }

    async fn discard_tasks(
        &self,
        request: Request<proto::DiscardTasksRequest>,
    ) -> Result<Response<proto::DiscardTasksResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let (filter, scope) = (request.filter, request.scope);
        let ask = parse_bulk::bulk(Verb::Discard, filter, request.reason, scope)?;
        let tally = operations::bulk(&self.queue, &caller, Verb::Discard, &ask).await?;
        Ok(Response::new(proto::DiscardTasksResponse {
            matched_count: tally.matched,
            discarded_count: tally.changed,
            skipped: render_bulk::skipped(&tally),
            continuation: render_bulk::continuation(Verb::Discard, &tally, &ask),
        }))
    }

    async fn reassign_task(
        &self,
        request: Request<proto::ReassignTaskRequest>,
    ) -> Result<Response<proto::ReassignTaskResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let ask = parse_delegation::reassign(request.into_inner())?;
        let made = operations::delegate(&self.queue, &caller, &ask).await?;
        Ok(Response::new(proto::ReassignTaskResponse {
            delegation: Some(render_delegation::delegation(made)),
        }))
    }

    async fn wait_tasks(
        &self,
        request: Request<proto::WaitTasksRequest>,
    ) -> Result<Response<proto::WaitTasksResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let ask = waiting::tasks(request.get_ref(), caller.tenant())?;
        let found = waiting::found(operations::wait(&self.queue, &ask).await?);
        Ok(Response::new(proto::WaitTasksResponse {
            satisfied: found.satisfied,
            ended_tasks: found.ended_tasks,
            open_task_ids: found.open_task_ids,
            left_out_task_ids: found.left_out_task_ids,
        }))
    }

    async fn list_delegations(
        &self,
        request: Request<proto::ListDelegationsRequest>,
    ) -> Result<Response<proto::ListDelegationsResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let mut v = Violations::new();
        let filter = parse_delegation::filter(&mut v, request.filter);
        v.check(
            request.page_size >= 0,
            "page_size",
            "must be from 0 to 1000",
        );
        v.finish()?;
        let size = page::size(request.page_size)?;
        let after = page::decode(&request.page_token, &filter)?;
        let (queue, tenant) = (&self.queue, caller.tenant());
        let found = operations::list_delegations(queue, tenant, &filter, after, size + 1).await?;
        let render = |one: &Delegation| render_delegation::delegation(one.clone());
        let (delegations, next) = answer::page(found, size, render, |one| (one.id, one.position));
        let next_page_token = next
            .map(|key| page::encode(&key, &filter))
            .unwrap_or_default();
        Ok(Response::new(proto::ListDelegationsResponse {
            delegations,
            next_page_token,
        }))
    }
}
