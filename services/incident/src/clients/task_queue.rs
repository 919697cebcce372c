//! task-queue: what a failing task was.

use chrono::SecondsFormat;
use reeve_contracts::task::v1::task_service_client::TaskServiceClient;
use reeve_contracts::task::v1::{Attempt, GetTaskRequest, Task};
use reeve_ids::TenantId;
use reeve_runtime::Peer;
use reeve_status::Fault;
use serde_json::{Value as Json, json};

use crate::domain::evidence::cut;

/// Characters of an error's text that evidence keeps.
const LONGEST_TEXT: usize = 4_096;
/// Deliveries that evidence keeps.
const MOST_ATTEMPTS: usize = 20;

/// The client of task-queue.
#[derive(Debug, Clone)]
pub struct TaskQueue {
    peer: Peer,
}

impl TaskQueue {
    /// A client over a peer.
    pub fn new(peer: Peer) -> Self {
        Self { peer }
    }

    /// A task as evidence keeps it: who tried it and how that ended, without parameters and result,
    /// which may hold what does not belong in an incident.
    ///
    /// # Errors
    /// What task-queue answered; UNAVAILABLE when it cannot be reached.
    pub async fn get_task(
        &self,
        tenant: TenantId,
        traceparent: &str,
        task_id: &str,
    ) -> Result<Json, Fault> {
        let answer = self
            .peer
            .call(|| {
                let message = GetTaskRequest {
                    task_id: task_id.to_owned(),
                };
                let request = self.peer.request_in(tenant, Some(traceparent), message);
                let mut client = TaskServiceClient::new(self.peer.channel());
                async move { client.get_task(request).await }
            })
            .await?;
        answer
            .task
            .map(|task| snapshot(&task))
            .ok_or_else(Fault::internal)
    }
}

fn snapshot(task: &Task) -> Json {
    let spec = task.spec.clone().unwrap_or_default();
    let error = task.error.clone().unwrap_or_default();
    let skipped = task.attempts.len().saturating_sub(MOST_ATTEMPTS);
    json!({
        "id": task.id,
        "type": spec.r#type,
        "queue": spec.queue,
        "title": cut(&spec.title, 200),
        "project_id": spec.project_id,
        "state": task.state().as_str_name(),
        "dead": task.dead,
        "attempt": task.attempt,
        "failure_count": task.failure_count,
        "lost_lease_count": task.lost_lease_count,
        "assigned_agent_id": task.assigned_agent_id,
        "error": {"code": error.code, "message": cut(&error.message, LONGEST_TEXT)},
        "traceparent": task.traceparent,
        "create_time": time(task.create_time.as_ref()),
        "end_time": time(task.end_time.as_ref()),
        "attempts": task.attempts[skipped..].iter().map(attempt).collect::<Vec<_>>(),
    })
}

fn attempt(attempt: &Attempt) -> Json {
    let error = attempt.error.clone().unwrap_or_default();
    json!({
        "attempt": attempt.attempt,
        "agent_id": attempt.agent_id,
        "outcome": attempt.outcome().as_str_name(),
        "error": {"code": error.code, "message": cut(&error.message, LONGEST_TEXT)},
        "assign_time": time(attempt.assign_time.as_ref()),
        "end_time": time(attempt.end_time.as_ref()),
    })
}

fn time(timestamp: Option<&prost_types::Timestamp>) -> Option<String> {
    let time = reeve_wellknown::datetime(timestamp?)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Micros, true))
}
