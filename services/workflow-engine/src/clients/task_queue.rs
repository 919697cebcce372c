//! task-queue: creating, cancelling and reading tasks.

use prost_types::Struct;
use reeve_contracts::task::v1::task_service_client::TaskServiceClient;
use reeve_contracts::task::v1::{
    CancelTaskRequest, CreateTaskRequest, GetTaskRequest, ListTasksRequest, RetryPolicy, Task,
    TaskEffect, TaskFilter, TaskOrigin, TaskPriority, TaskSpec,
};
use reeve_contracts::r#type::v1::Money;
use reeve_ids::{ExecutionId, TaskId, TenantId};
use reeve_runtime::Peer;
use reeve_status::Fault;
use tonic::transport::Channel;

use crate::domain::state::Priority;
use crate::domain::writes::TaskOrder;

/// `origin.kind` of the engine's tasks.
pub const ORIGIN: &str = "workflow";
/// Lost leases after which a task that must not be redelivered fails; task-queue's own default where
/// it may.
const NO_REDELIVERY: i32 = 1;

/// task-queue, as the engine sees it. Every call is safe to repeat.
#[derive(Debug, Clone)]
pub struct TaskQueue {
    peer: Peer,
}

/// Which attempt a task is for.
#[derive(Debug, Clone, Copy)]
pub struct AttemptKey<'a> {
    /// The tenant.
    pub tenant: TenantId,
    /// The execution.
    pub execution: ExecutionId,
    /// The step.
    pub step_id: &'a str,
    /// The attempt.
    pub attempt: i32,
}

impl TaskQueue {
    /// task-queue at a peer.
    pub fn new(peer: Peer) -> Self {
        Self { peer }
    }

    fn client(&self) -> TaskServiceClient<Channel> {
        let limit = reeve_runtime::MAX_MESSAGE_BYTES;
        TaskServiceClient::new(self.peer.channel())
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit)
    }

    /// Creates an attempt's task, or finds the one that an earlier call created.
    ///
    /// # Errors
    /// What task-queue answered.
    pub async fn create(&self, key: AttemptKey<'_>, order: TaskOrder) -> Result<TaskId, Fault> {
        let traceparent = order.traceparent.clone();
        let request = CreateTaskRequest {
            spec: Some(spec(key, order)),
            request_id: format!("{}/{}/{}", key.execution, key.step_id, key.attempt),
            ..CreateTaskRequest::default()
        };
        let response = self
            .peer
            .call(|| {
                let message = request.clone();
                let request = self
                    .peer
                    .request_in(key.tenant, Some(&traceparent), message);
                let mut client = self.client();
                async move { client.create_task(request).await }
            })
            .await?;
        let id = response.task.map(|task| task.id).unwrap_or_default();
        id.parse().map_err(|_| Fault::internal())
    }

    /// Cancels a task.
    ///
    /// # Errors
    /// What task-queue answered.
    pub async fn cancel(&self, tenant: TenantId, task: TaskId, reason: &str) -> Result<(), Fault> {
        let message = CancelTaskRequest {
            task_id: task.to_string(),
            reason: clip(reason),
            etag: String::new(),
        };
        self.peer
            .call(|| {
                let request = self.peer.request(tenant, message.clone());
                let mut client = self.client();
                async move { client.cancel_task(request).await }
            })
            .await
            .map(drop)
    }

    /// The task that an earlier call created for an attempt, if it was taken.
    ///
    /// # Errors
    /// What task-queue answered.
    pub async fn find(&self, key: AttemptKey<'_>) -> Result<Option<TaskId>, Fault> {
        let mut message = ListTasksRequest {
            filter: Some(TaskFilter {
                origin_kind: ORIGIN.to_owned(),
                origin_resource_id: key.execution.to_string(),
                ..TaskFilter::default()
            }),
            page_size: 1_000,
            ..ListTasksRequest::default()
        };
        loop {
            let answer = self
                .peer
                .call(|| {
                    let request = self.peer.request(key.tenant, message.clone());
                    let mut client = self.client();
                    async move { client.list_tasks(request).await }
                })
                .await?;
            let found = answer.tasks.iter().find(|task| is_of(task, key));
            if let Some(task) = found {
                return task.id.parse().map(Some).map_err(|_| Fault::internal());
            }
            if answer.next_page_token.is_empty() {
                return Ok(None);
            }
            message.page_token = answer.next_page_token;
        }
    }

    /// Reads a task with its result.
    ///
    /// # Errors
    /// What task-queue answered.
    pub async fn get(&self, tenant: TenantId, task: &str) -> Result<Task, Fault> {
        let message = GetTaskRequest {
            task_id: task.to_owned(),
        };
        let response = self
            .peer
            .call(|| {
                let request = self.peer.request(tenant, message.clone());
                let mut client = self.client();
                async move { client.get_task(request).await }
            })
            .await?;
        response.task.ok_or_else(Fault::internal)
    }
}

fn is_of(task: &Task, key: AttemptKey<'_>) -> bool {
    let origin = task.spec.as_ref().and_then(|spec| spec.origin.as_ref());
    origin.is_some_and(|it| it.step_path == key.step_id && it.attempt == key.attempt)
}

/// The reason's first 512 characters, which is what task-queue takes.
fn clip(reason: &str) -> String {
    reason.chars().take(512).collect()
}

fn spec(key: AttemptKey<'_>, order: TaskOrder) -> TaskSpec {
    let priority = match order.priority {
        Priority::Low => TaskPriority::Low,
        Priority::Normal => TaskPriority::Normal,
        Priority::High => TaskPriority::High,
        Priority::Critical => TaskPriority::Critical,
    };
    let parameters: Option<Struct> = reeve_wellknown::struct_from_json(order.parameters);
    TaskSpec {
        r#type: order.action,
        title: order.title,
        description: order.description,
        queue: order.queue,
        capability: order.capability,
        priority: priority.into(),
        parameters,
        project_id: order.project_id,
        origin: Some(TaskOrigin {
            kind: ORIGIN.to_owned(),
            resource_id: key.execution.to_string(),
            step_path: key.step_id.to_owned(),
            attempt: key.attempt,
        }),
        labels: order.labels.into_iter().collect(),
        // Failures are retried by the engine, so task-queue must not.
        retry_policy: Some(RetryPolicy {
            max_attempts: 1,
            max_lost_leases: if order.redeliver { 0 } else { NO_REDELIVERY },
            ..RetryPolicy::default()
        }),
        // Whether a step may be repeated is for its definition to say, whatever its type is: an
        // attempt of which nobody knows what it did ends, and the engine looks at retry_safety.
        effect: TaskEffect::Idempotent.into(),
        budget_id: order.budget_id,
        budget_amount: order.budget_amount.map(|money| Money {
            amount: money.amount,
            currency_code: money.currency_code,
        }),
        ..TaskSpec::default()
    }
}
