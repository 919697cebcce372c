//! Definitions on the wire.

use prost_types::{Duration, Struct};
use reeve_contracts::r#type::v1::Money;
use reeve_contracts::workflow::v1 as wire;
use serde_json::{Map, Value};

use crate::domain::canonical::hex;
use crate::domain::definition::{
    RetryPolicy, RetrySafety, Step, StepType, TriggerRule, WorkflowType,
};
use crate::domain::validate::Defect;
use crate::storage::rows::Published;

/// A version.
pub fn workflow(published: Published) -> wire::Workflow {
    let Published { definition, .. } = published;
    wire::Workflow {
        id: published.id.to_string(),
        name: definition.name,
        r#type: workflow_type(definition.kind).into(),
        version: published.version,
        digest: hex(&published.digest),
        description: definition.description,
        agents: fields(definition.agents),
        steps: definition.steps.into_iter().map(step).collect(),
        config: fields(definition.config),
        tags: definition.tags,
        input_schema: definition
            .input_schema
            .and_then(reeve_wellknown::struct_from_json),
        output: fields(definition.output),
        timeout: definition.timeout_ms.map(duration),
        fail_fast: definition.fail_fast,
        active: published.is_latest,
        created_by: published.created_by,
        create_time: Some(reeve_wellknown::timestamp(published.first_time)),
        update_time: Some(reeve_wellknown::timestamp(published.create_time)),
    }
}

/// What is wrong with a definition.
pub fn fault(defect: Defect) -> wire::DefinitionFault {
    let Defect {
        field,
        step_id,
        description,
    } = defect;
    wire::DefinitionFault {
        field,
        step_id,
        description,
    }
}

/// A step's type.
pub fn step_type(kind: StepType) -> wire::StepType {
    match kind {
        StepType::Task => wire::StepType::Task,
        StepType::Approval => wire::StepType::Approval,
        StepType::Transform => wire::StepType::Transform,
        StepType::Wait => wire::StepType::Wait,
        StepType::Workflow => wire::StepType::Workflow,
    }
}

fn workflow_type(kind: WorkflowType) -> wire::WorkflowType {
    match kind {
        WorkflowType::Sequential => wire::WorkflowType::Sequential,
        WorkflowType::Parallel => wire::WorkflowType::Parallel,
        WorkflowType::Conditional => wire::WorkflowType::Conditional,
        WorkflowType::Collaborative => wire::WorkflowType::Collaborative,
        WorkflowType::ErrorHandling => wire::WorkflowType::ErrorHandling,
        WorkflowType::Loop => wire::WorkflowType::Loop,
        WorkflowType::MapReduce => wire::WorkflowType::MapReduce,
    }
}

fn step(step: Step) -> wire::WorkflowStep {
    let trigger_rule = match step.trigger_rule {
        TriggerRule::AllSucceeded => wire::TriggerRule::AllSucceeded,
        TriggerRule::AllEnded => wire::TriggerRule::AllEnded,
        TriggerRule::AnySucceeded => wire::TriggerRule::AnySucceeded,
    };
    let retry_safety = match step.retry_safety {
        RetrySafety::Idempotent => wire::RetrySafety::Idempotent,
        RetrySafety::VerifyFirst => wire::RetrySafety::VerifyFirst,
        RetrySafety::Never => wire::RetrySafety::Never,
    };
    wire::WorkflowStep {
        id: step.id,
        name: step.name,
        description: step.description,
        r#type: step_type(step.kind).into(),
        action: step.action,
        agent_id: step.agent_id,
        capability: step.capability,
        input: fields(step.input),
        config: fields(step.config),
        timeout: step.timeout_ms.map(duration),
        retries: i32::try_from(step.retries).unwrap_or(i32::MAX),
        retry_policy: step.retry_policy.map(retry_policy),
        continue_on_error: step.continue_on_error,
        dependencies: step.dependencies,
        trigger_rule: trigger_rule.into(),
        on_failure: step.on_failure,
        when: step.when,
        outputs: step.outputs.into_iter().collect(),
        requires_approval: step.requires_approval,
        approved_input: step.approved_input,
        budget_amount: step.budget_amount.map(|money| Money {
            amount: money.amount,
            currency_code: money.currency_code,
        }),
        retry_safety: retry_safety.into(),
    }
}

fn retry_policy(policy: RetryPolicy) -> wire::RetryPolicy {
    wire::RetryPolicy {
        initial_delay: Some(duration(policy.initial_delay_ms)),
        multiplier: policy.multiplier,
        max_delay: Some(duration(policy.max_delay_ms)),
        jitter: Some(policy.jitter),
        retry_on: policy.retry_on,
        never_on: policy.never_on,
    }
}

fn fields(members: Map<String, Value>) -> Option<Struct> {
    (!members.is_empty()).then(|| reeve_wellknown::struct_from_map(members))
}

fn duration(ms: u64) -> Duration {
    let seconds = i64::try_from(ms / 1_000).unwrap_or(i64::MAX);
    let nanos = i32::try_from(ms % 1_000).unwrap_or(0) * 1_000_000;
    Duration { seconds, nanos }
}
