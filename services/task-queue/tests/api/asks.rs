//! What most tests ask for.

use reeve_contracts::task::v1::{self as proto, Lease, TaskSpec};
use reeve_ids::AgentId;

/// A spec with nothing but a type.
pub fn spec(kind: &str) -> TaskSpec {
    TaskSpec {
        r#type: kind.to_owned(),
        ..Default::default()
    }
}

/// A spec that is retried at once.
pub fn hasty(kind: &str, max_attempts: i32) -> TaskSpec {
    let retry_policy = proto::RetryPolicy {
        max_attempts,
        initial_backoff_duration: Some(prost_types::Duration::default()),
        ..Default::default()
    };
    TaskSpec {
        retry_policy: Some(retry_policy),
        ..spec(kind)
    }
}

pub fn lease_of(agent: AgentId, count: i32) -> proto::LeaseTasksRequest {
    proto::LeaseTasksRequest {
        agent_id: agent.to_string(),
        max_tasks: count,
        wait_duration: Some(seconds(20)),
        ..Default::default()
    }
}

pub fn failure(token: &str, code: &str, retryable: bool) -> proto::FailTaskRequest {
    let error = proto::TaskError {
        code: code.to_owned(),
        message: "it broke".to_owned(),
        details: None,
    };
    proto::FailTaskRequest {
        lease_token: token.to_owned(),
        error: Some(error),
        retryable,
        ..Default::default()
    }
}

pub fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

pub fn id_of(lease: &Lease) -> &str {
    &lease.task.as_ref().expect("a lease has its task").id
}
