//! Tasks that go from one agent to another.

mod chain;
mod drain;
mod handing_over;
mod list;
mod offers;
pub mod refused;
mod storm;
mod stream;

use reeve_contracts::task::v1::{self as proto, DelegationType, Lease, TaskDelegation};
use reeve_ids::AgentId;
use tonic::Status;

use crate::harness::*;

pub fn to_agent(token: &str, agent: AgentId) -> proto::DelegateTaskRequest {
    proto::DelegateTaskRequest {
        lease_token: token.to_owned(),
        r#type: DelegationType::Manual.into(),
        to_agent_id: agent.to_string(),
        reason: "knows it better".to_owned(),
        ..Default::default()
    }
}

pub fn to_anyone(token: &str, kind: DelegationType) -> proto::DelegateTaskRequest {
    proto::DelegateTaskRequest {
        lease_token: token.to_owned(),
        r#type: kind.into(),
        ..Default::default()
    }
}

pub fn reassignment(task: &str, agent: AgentId) -> proto::ReassignTaskRequest {
    proto::ReassignTaskRequest {
        task_id: task.to_owned(),
        r#type: DelegationType::Manual.into(),
        to_agent_id: agent.to_string(),
        ..Default::default()
    }
}

impl World {
    pub async fn delegate(
        &self,
        request: proto::DelegateTaskRequest,
    ) -> Result<TaskDelegation, Status> {
        let answer = self.work().delegate_task(self.ask(request)).await?;
        Ok(answer.into_inner().delegation.expect("the answer holds it"))
    }

    pub async fn reassign(
        &self,
        request: proto::ReassignTaskRequest,
    ) -> Result<TaskDelegation, Status> {
        let answer = self.tasks().reassign_task(self.ask(request)).await?;
        Ok(answer.into_inner().delegation.expect("the answer holds it"))
    }

    pub async fn delegations(
        &self,
        request: proto::ListDelegationsRequest,
    ) -> Result<proto::ListDelegationsResponse, Status> {
        let answer = self.tasks().list_delegations(self.ask(request)).await?;
        Ok(answer.into_inner())
    }

    /// The whole chain of a task.
    pub async fn chain_of(&self, task: &str) -> Vec<TaskDelegation> {
        let filter = proto::DelegationFilter {
            task_id: task.to_owned(),
            ..Default::default()
        };
        let request = proto::ListDelegationsRequest {
            filter: Some(filter),
            ..Default::default()
        };
        self.delegations(request)
            .await
            .expect("a chain")
            .delegations
    }

    /// Hands a task on and lets the other agent fetch it.
    pub async fn pass(&self, lease: &Lease, to: AgentId) -> Lease {
        self.delegate(to_agent(&lease.lease_token, to))
            .await
            .expect("it is handed on");
        self.lease_one(to).await
    }
}
