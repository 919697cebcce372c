//! Tasks that wait for people.

mod answers;
mod effects;
mod expiry;
mod list;
mod suspend;
mod waiting;

use reeve_contracts::task::v1::gate_answer::Answer as Said;
use reeve_contracts::task::v1::gate_service_client::GateServiceClient;
use reeve_contracts::task::v1::{self as proto, Gate, GateDecision, GateKind, Task};
use reeve_ids::AgentId;
use reeve_testkit::authorize;
use serde_json::{Value as Json, json};
use tonic::Status;
use tonic::transport::Channel;

use crate::harness::*;

impl World {
    pub fn gates(&self) -> GateServiceClient<Channel> {
        GateServiceClient::new(self.channel())
    }

    /// The credential of a person who is not the one that the agents work with.
    pub fn person(&self) -> String {
        self.authenticator.admin(self.tenant)
    }

    pub async fn suspend(
        &self,
        request: proto::SuspendTaskRequest,
    ) -> Result<proto::SuspendTaskResponse, Status> {
        let answer = self.work().suspend_task(self.ask(request)).await?;
        Ok(answer.into_inner())
    }

    pub async fn answer_as(
        &self,
        credential: &str,
        request: proto::AnswerGateRequest,
    ) -> Result<Task, Status> {
        let request = authorize(credential, request);
        let answer = self.gates().answer_gate(request).await?;
        Ok(answer.into_inner().task.expect("the answer holds it"))
    }

    pub async fn answer(&self, request: proto::AnswerGateRequest) -> Result<Task, Status> {
        self.answer_as(&self.person(), request).await
    }

    /// Creates a task, leases it, starts it and suspends it behind a gate; the task and its gate.
    pub async fn gated(
        &self,
        agent: AgentId,
        spec: proto::TaskSpec,
        gate: proto::GateSpec,
    ) -> (Task, Gate) {
        let created = self.create(spec).await;
        let lease = self.lease_one(agent).await;
        assert_eq!(id_of(&lease), created.id);
        let suspended = self.suspend(suspension(&lease.lease_token, gate)).await;
        suspended.expect("it is suspended");
        let task = self.get(&created.id).await;
        let gate = task.gate.clone().expect("it waits behind a gate");
        (task, gate)
    }
}

pub fn gate_of(kind: GateKind) -> proto::GateSpec {
    proto::GateSpec {
        kind: kind.into(),
        prompt: "which region?".to_owned(),
        ..Default::default()
    }
}

pub fn suspension(token: &str, gate: proto::GateSpec) -> proto::SuspendTaskRequest {
    proto::SuspendTaskRequest {
        lease_token: token.to_owned(),
        gate: Some(gate),
        ..Default::default()
    }
}

fn answer_with(gate: &Gate, said: Said) -> proto::AnswerGateRequest {
    proto::AnswerGateRequest {
        task_id: gate.task_id.clone(),
        gate_id: gate.id.clone(),
        answer: Some(proto::GateAnswer {
            answer: Some(said),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub fn input(gate: &Gate, input: Json) -> proto::AnswerGateRequest {
    let input = reeve_wellknown::struct_from_json(input).expect("an object");
    answer_with(gate, Said::Input(input))
}

pub fn decision(gate: &Gate, decision: GateDecision) -> proto::AnswerGateRequest {
    answer_with(gate, Said::Decision(decision.into()))
}

pub fn structure(json: Json) -> Option<prost_types::Struct> {
    reeve_wellknown::struct_from_json(json)
}

pub fn json_of(fields: &Option<prost_types::Struct>) -> Json {
    let json = fields.clone().map(reeve_wellknown::json_from_struct);
    json.unwrap_or(json!(null))
}
