//! What belongs to an incident.

use reeve_contracts::incident::v1 as proto;
use reeve_contracts::r#type::v1::Money;

use super::super::words::OnWire;
use super::{maybe, object, span, time};
use crate::domain::evidence::{Evidence, FailedAttempt, Trouble, trace_id};
use crate::domain::parts::{Action, Communication, Impact, Reply, Resolution, ResolutionStep};

/// An impact.
pub fn impact(impact: &Impact) -> proto::IncidentImpact {
    let money = |(amount, currency_code): (String, String)| Money {
        amount,
        currency_code,
    };
    proto::IncidentImpact {
        id: impact.id.to_string(),
        r#type: impact.kind.number(),
        severity: impact.severity.number(),
        description: impact.description.clone(),
        affected_component: impact.affected_component.clone(),
        affected_user_count: impact.affected_user_count,
        business_impact: impact.business_impact.clone().map(money),
        duration: span(impact.duration()),
        start_time: time(impact.start_time),
        end_time: maybe(impact.end_time),
        metrics: object(&impact.metrics),
    }
}

/// An action.
pub fn action(action: &Action) -> proto::IncidentAction {
    proto::IncidentAction {
        id: action.id.to_string(),
        r#type: action.kind.number(),
        description: action.description.clone(),
        state: action.state.number(),
        owner: action.owner.clone(),
        task_id: action.task_id.clone(),
        outcome: action.outcome.clone(),
        automated: action.automated,
        due_time: maybe(action.due_time),
        create_time: time(action.create_time),
        finish_time: maybe(action.finish_time),
        created_by: action.created_by.clone(),
    }
}

/// A communication.
pub fn communication(said: &Communication) -> proto::IncidentCommunication {
    proto::IncidentCommunication {
        id: said.id.to_string(),
        r#type: said.kind.number(),
        subject: said.subject.clone(),
        message: said.message.clone(),
        recipients: said.recipients.clone(),
        channel: said.channel.number(),
        status: said.status.number(),
        sent_by_agent_id: said.sent_by_agent_id.clone(),
        create_time: time(said.create_time),
        send_time: maybe(said.send_time),
        responses: said.replies.iter().map(reply).collect(),
        automated: said.automated,
        created_by: said.created_by.clone(),
    }
}

fn reply(reply: &Reply) -> proto::CommunicationResponse {
    proto::CommunicationResponse {
        responder: reply.responder.clone(),
        message: reply.message.clone(),
        create_time: time(reply.create_time),
    }
}

/// A resolution.
pub fn resolution(resolution: &Resolution) -> proto::IncidentResolution {
    let step = |step: &ResolutionStep| proto::ResolutionAction {
        description: step.description.clone(),
        performed_by: step.performed_by.clone(),
        perform_time: maybe(step.perform_time),
    };
    proto::IncidentResolution {
        id: resolution.id.to_string(),
        r#type: resolution.kind.number(),
        summary: resolution.summary.clone(),
        detailed_description: resolution.detailed_description.clone(),
        root_cause: resolution.root_cause.clone(),
        contributing_factors: resolution.contributing_factors.clone(),
        actions: resolution.steps.iter().map(step).collect(),
        permanent: resolution.permanent,
        temporary_workaround: resolution.temporary_workaround.clone(),
        resolve_time: time(resolution.resolve_time),
        resolved_by_agent_id: resolution.resolved_by_agent_id.clone(),
        resolved_by: resolution.resolved_by.clone(),
        verification_steps: resolution.verification_steps.clone(),
        verified: resolution.verified,
        verify_time: maybe(resolution.verify_time),
        verified_by_agent_id: resolution.verified_by_agent_id.clone(),
        verified_by: resolution.verified_by.clone(),
    }
}

/// Evidence.
pub fn evidence(evidence: &Evidence) -> proto::IncidentEvidence {
    let trouble = Trouble::of(&evidence.fact);
    let traceparent = evidence.traceparent();
    proto::IncidentEvidence {
        id: evidence.id.to_string(),
        event_id: evidence.fact.id.to_string(),
        event_type: evidence.fact.kind.clone(),
        event_source: evidence.fact.source.clone(),
        occur_time: time(evidence.fact.occur_time),
        resource_type: evidence.fact.resource_type.clone(),
        resource_id: evidence.fact.resource_id.clone(),
        data: object(&evidence.fact.data),
        task_id: evidence.task_id(),
        error_class: trouble.class(),
        execution_id: trouble.execution_id,
        agent_id: trouble.agent_id,
        error_code: trouble.error_code,
        error_message: trouble.error_message,
        trace_id: trace_id(&traceparent).to_owned(),
        traceparent,
        attempts: evidence.attempts.iter().map(attempt).collect(),
        task: evidence
            .task
            .clone()
            .and_then(reeve_wellknown::struct_from_json),
        state: evidence.state.number(),
        incomplete_reason: evidence.incomplete_reason.clone(),
        create_time: time(evidence.create_time),
        collect_time: maybe(evidence.collect_time),
    }
}

fn attempt(attempt: &FailedAttempt) -> proto::FailedAttempt {
    proto::FailedAttempt {
        attempt: attempt.attempt,
        task_id: attempt.task_id.clone(),
        agent_id: attempt.agent_id.clone(),
        error_code: attempt.error_code.clone(),
        error_message: attempt.error_message.clone(),
        fail_time: time(attempt.fail_time),
        event_id: attempt.event_id.to_string(),
    }
}
