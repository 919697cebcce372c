//! A definition from the wire. What the domain cannot express, such as an unknown enum number, is
//! found here; everything else by the domain's validation. Both are reported together.

use prost_types::{Duration, Struct};
use reeve_contracts::workflow::v1 as wire;
use serde_json::{Map, Value};

use crate::domain::definition::{
    Amount, Definition, RetryPolicy, RetrySafety, Step, StepType, TriggerRule, WorkflowType,
};
use crate::domain::validate::{Defect, Defects};

/// The definition, and what is wrong with it so far.
pub fn definition(workflow: wire::Workflow) -> (Definition, Vec<Defect>) {
    let mut defects = Defects::default();
    let kind = match workflow.r#type() {
        wire::WorkflowType::Unspecified => {
            defects.workflow("type", "is required, as one of the known types");
            WorkflowType::Parallel
        }
        wire::WorkflowType::Sequential => WorkflowType::Sequential,
        wire::WorkflowType::Parallel => WorkflowType::Parallel,
        wire::WorkflowType::Conditional => WorkflowType::Conditional,
        wire::WorkflowType::Collaborative => WorkflowType::Collaborative,
        wire::WorkflowType::ErrorHandling => WorkflowType::ErrorHandling,
        wire::WorkflowType::Loop => WorkflowType::Loop,
        wire::WorkflowType::MapReduce => WorkflowType::MapReduce,
    };
    let timeout_ms = workflow.timeout.and_then(|timeout| {
        let ms = milliseconds(&timeout);
        if ms.is_none() {
            defects.workflow("timeout", "must be from 1 s to 365 days");
        }
        ms
    });
    let steps = workflow.steps.into_iter().enumerate();
    let steps = steps
        .map(|(index, step)| self::step(index, step, &mut defects))
        .collect();
    let definition = Definition {
        name: workflow.name,
        kind,
        description: workflow.description,
        agents: members(workflow.agents),
        steps,
        config: members(workflow.config),
        tags: workflow.tags,
        input_schema: workflow.input_schema.map(reeve_wellknown::json_from_struct),
        output: members(workflow.output),
        timeout_ms,
        fail_fast: workflow.fail_fast,
    };
    (definition, defects.0)
}

fn step(index: usize, wire: wire::WorkflowStep, defects: &mut Defects) -> Step {
    let mut at = At {
        index,
        step: Step::new(wire.id.clone(), StepType::Task),
        defects,
    };
    let kind = at.kind(&wire);
    let trigger_rule = at.trigger_rule(&wire);
    let retry_safety = at.retry_safety(&wire);
    let timeout_ms = at.span("timeout", wire.timeout);
    let retries = at.count("retries", wire.retries);
    let retry_policy = wire.retry_policy.map(|policy| at.retry_policy(policy));
    Step {
        name: if wire.name.is_empty() {
            wire.id.clone()
        } else {
            wire.name
        },
        id: wire.id,
        description: wire.description,
        kind,
        action: wire.action,
        agent_id: wire.agent_id,
        capability: wire.capability,
        input: members(wire.input),
        config: members(wire.config),
        timeout_ms,
        retries,
        retry_policy,
        continue_on_error: wire.continue_on_error,
        dependencies: wire.dependencies,
        trigger_rule,
        on_failure: wire.on_failure,
        when: wire.when,
        outputs: wire.outputs.into_iter().collect(),
        requires_approval: wire.requires_approval,
        approved_input: wire.approved_input,
        budget_amount: wire.budget_amount.map(|money| Amount {
            amount: money.amount,
            currency_code: money.currency_code,
        }),
        retry_safety,
    }
}

/// Where a defect is recorded.
struct At<'a> {
    index: usize,
    step: Step,
    defects: &'a mut Defects,
}

impl At<'_> {
    fn add(&mut self, field: &str, description: &str) {
        self.defects
            .step(self.index, &self.step, field, description);
    }

    fn kind(&mut self, wire: &wire::WorkflowStep) -> StepType {
        match wire.r#type() {
            wire::StepType::Unspecified => {
                self.add("type", "is required, as one of the known types");
                // Kept out of the domain's checks by type as far as can be: it asks for least.
                StepType::Task
            }
            wire::StepType::Task => StepType::Task,
            wire::StepType::Approval => StepType::Approval,
            wire::StepType::Transform => StepType::Transform,
            wire::StepType::Wait => StepType::Wait,
            wire::StepType::Workflow => StepType::Workflow,
        }
    }

    fn trigger_rule(&mut self, wire: &wire::WorkflowStep) -> TriggerRule {
        match wire.trigger_rule() {
            wire::TriggerRule::Unspecified if wire.trigger_rule != 0 => {
                self.add("trigger_rule", "is not a known rule");
                TriggerRule::AllSucceeded
            }
            wire::TriggerRule::Unspecified | wire::TriggerRule::AllSucceeded => {
                TriggerRule::AllSucceeded
            }
            wire::TriggerRule::AllEnded => TriggerRule::AllEnded,
            wire::TriggerRule::AnySucceeded => TriggerRule::AnySucceeded,
        }
    }

    fn retry_safety(&mut self, wire: &wire::WorkflowStep) -> RetrySafety {
        match wire.retry_safety() {
            wire::RetrySafety::Unspecified if wire.retry_safety != 0 => {
                self.add("retry_safety", "is not a known value");
                RetrySafety::Idempotent
            }
            wire::RetrySafety::Unspecified | wire::RetrySafety::Idempotent => {
                RetrySafety::Idempotent
            }
            wire::RetrySafety::VerifyFirst => RetrySafety::VerifyFirst,
            wire::RetrySafety::Never => RetrySafety::Never,
        }
    }

    fn span(&mut self, field: &str, duration: Option<Duration>) -> Option<u64> {
        let duration = duration?;
        let ms = milliseconds(&duration);
        if ms.is_none() {
            self.add(field, "must be a duration that is not negative");
        }
        ms
    }

    fn count(&mut self, field: &str, number: i32) -> u32 {
        u32::try_from(number).unwrap_or_else(|_| {
            self.add(field, "must be from 0 to 20");
            0
        })
    }

    fn retry_policy(&mut self, wire: wire::RetryPolicy) -> RetryPolicy {
        let default = RetryPolicy::default();
        let initial = self.span("retry_policy.initial_delay", wire.initial_delay);
        let initial_delay_ms = initial.unwrap_or(default.initial_delay_ms);
        let longest = self.span("retry_policy.max_delay", wire.max_delay);
        RetryPolicy {
            initial_delay_ms,
            multiplier: if wire.multiplier == 0.0 {
                default.multiplier
            } else {
                wire.multiplier
            },
            // A longer first delay than the default bound moves the bound.
            max_delay_ms: longest.unwrap_or(default.max_delay_ms.max(initial_delay_ms)),
            jitter: wire.jitter.unwrap_or(default.jitter),
            retry_on: wire.retry_on,
            never_on: wire.never_on,
        }
    }
}

fn members(fields: Option<Struct>) -> Map<String, Value> {
    match fields.map(reeve_wellknown::json_from_struct) {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

fn milliseconds(duration: &Duration) -> Option<u64> {
    u64::try_from(reeve_wellknown::std_duration(duration)?.as_millis()).ok()
}
