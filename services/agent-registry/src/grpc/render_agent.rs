//! From agents to their contract.

use chrono::TimeDelta;
use reeve_contracts::agent::v1 as proto;
use reeve_ids::AgentId;
use reeve_postgres::page;
use reeve_status::{Code, Fault, Reason};
use reeve_wellknown::{duration, struct_from_json, timestamp};

use crate::domain::agent::Capability;
use crate::domain::availability::{self, Availability};
use crate::domain::heartbeat::Action;
use crate::domain::state::AgentState;
use crate::domain::workload::{HealthCheck, HealthStatus, Workload};
use crate::operations::View;
use crate::operations::heartbeat::Reply;
use crate::operations::watch::{Message, News};

pub fn agent(View { agent, status }: View) -> proto::Agent {
    let capacity = agent.spec.max_concurrent_tasks;
    let load = status.workload.map(|heard| heard.value);
    let checks = status.health_checks.map(|heard| heard.value);
    let availability = availability::derive(agent.state, load.as_ref(), capacity);
    let etag = agent.etag();
    proto::Agent {
        id: agent.id.to_string(),
        name: agent.name,
        r#type: agent.spec.kind,
        model_id: agent.spec.model_id,
        state: state(agent.state).into(),
        state_reason: agent.state_reason,
        availability: available(availability).into(),
        capabilities: agent
            .spec
            .capabilities
            .into_iter()
            .map(capability)
            .collect(),
        max_concurrent_tasks: capacity,
        labels: agent.spec.labels.into_iter().collect(),
        metadata: struct_from_json(agent.spec.metadata),
        epoch: agent.epoch,
        workload: load.map(workload),
        health_checks: checks.into_iter().flatten().map(health_check).collect(),
        registered_by: agent.registered_by,
        create_time: Some(timestamp(agent.create_time)),
        update_time: Some(timestamp(agent.update_time)),
        register_time: Some(timestamp(agent.register_time)),
        transition_time: Some(timestamp(agent.transition_time)),
        last_heartbeat_time: status.last_heartbeat_time.map(timestamp),
        etag,
    }
}

fn gone(id: AgentId) -> proto::Agent {
    proto::Agent {
        id: id.to_string(),
        ..proto::Agent::default()
    }
}

pub fn state(state: AgentState) -> proto::AgentState {
    match state {
        AgentState::Offline => proto::AgentState::Offline,
        AgentState::Starting => proto::AgentState::Starting,
        AgentState::Active => proto::AgentState::Active,
        AgentState::Draining => proto::AgentState::Draining,
        AgentState::Inactive => proto::AgentState::Inactive,
        AgentState::Maintenance => proto::AgentState::Maintenance,
        AgentState::Error => proto::AgentState::Error,
        AgentState::Stopping => proto::AgentState::Stopping,
    }
}

fn available(availability: Availability) -> proto::AgentAvailability {
    match availability {
        Availability::Available => proto::AgentAvailability::Available,
        Availability::Busy => proto::AgentAvailability::Busy,
        Availability::Idle => proto::AgentAvailability::Idle,
        Availability::Offline => proto::AgentAvailability::Offline,
    }
}

fn capability(capability: Capability) -> proto::Capability {
    proto::Capability {
        name: capability.name,
        version: capability.version,
        attributes: struct_from_json(capability.attributes),
    }
}

fn workload(load: Workload) -> proto::Workload {
    proto::Workload {
        cpu_utilization: load.cpu_utilization,
        memory_bytes: load.memory_bytes,
        active_task_count: load.active_task_count,
        queue_length: load.queue_length,
        success_rate: load.success_rate,
        error_rate: load.error_rate,
        average_processing_duration: load.average_processing.map(duration),
    }
}

fn health_check(check: HealthCheck) -> proto::HealthCheck {
    let status = match check.status {
        HealthStatus::Healthy => proto::HealthStatus::Healthy,
        HealthStatus::Degraded => proto::HealthStatus::Degraded,
        HealthStatus::Unhealthy => proto::HealthStatus::Unhealthy,
    };
    proto::HealthCheck {
        name: check.name,
        status: status.into(),
        message: check.message,
        check_time: Some(timestamp(check.check_time)),
    }
}

pub fn reply(
    agent_id: AgentId,
    reply: Reply,
    next_heartbeat: TimeDelta,
    lease: TimeDelta,
) -> proto::HeartbeatReply {
    proto::HeartbeatReply {
        agent_id: agent_id.to_string(),
        state: state(reply.state).into(),
        next_heartbeat_duration: Some(duration(next_heartbeat)),
        lease_duration: Some(duration(lease)),
        actions: reply
            .actions
            .into_iter()
            .map(|asked| action(asked).into())
            .collect(),
    }
}

fn action(asked: Action) -> proto::AgentAction {
    match asked {
        Action::Drain => proto::AgentAction::Drain,
        Action::ReportFullState => proto::AgentAction::ReportFullState,
        Action::Pause => proto::AgentAction::Pause,
        Action::Stop => proto::AgentAction::Stop,
    }
}

pub fn refusal(agent_id: String, fault: &Fault) -> proto::HeartbeatRefusal {
    // A stale process must end, and one that is wrong would be wrong again.
    let register = fault.code() == Code::NotFound || fault.reason() == Reason::AgentNotActive;
    let actions = register.then(|| proto::AgentAction::Register.into());
    proto::HeartbeatRefusal {
        agent_id,
        code: code_name(fault.code()).to_owned(),
        reason: fault.reason().as_str().to_owned(),
        message: fault.message().to_owned(),
        actions: actions.into_iter().collect(),
    }
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::Unavailable => "UNAVAILABLE",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::Cancelled => "CANCELLED",
        Code::Unauthenticated => "UNAUTHENTICATED",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
    }
}

pub fn watched(message: Message, binding: &str) -> proto::WatchAgentsResponse {
    let cursor = page::encode(&message.cursor, &binding);
    let (kind, agent, event) = match message.news {
        News::Current(view) => (proto::AgentChangeKind::Current, Some(agent(*view)), None),
        News::Changed(id, view, event) => {
            let shown = view.map_or_else(|| gone(id), |view| agent(*view));
            (
                proto::AgentChangeKind::Changed,
                Some(shown),
                Some((*event).clone()),
            )
        }
        News::Deleted(id, event) => (
            proto::AgentChangeKind::Deleted,
            Some(gone(id)),
            Some((*event).clone()),
        ),
        News::Bookmark => (proto::AgentChangeKind::Bookmark, None, None),
    };
    proto::WatchAgentsResponse {
        cursor,
        kind: kind.into(),
        agent,
        event,
    }
}
