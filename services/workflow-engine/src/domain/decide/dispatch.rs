//! Beginning a step: its condition, its input, and the work by type.

use std::borrow::Cow;
use std::collections::BTreeSet;

use reeve_ids::{ApprovalId, Uuid};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{Transition, span};
use crate::domain::canonical::{canonical, digest, hex};
use crate::domain::definition::{RetrySafety, StepType};
use crate::domain::event::TimerKind;
use crate::domain::expression::{References, unfit};
use crate::domain::failure::{Failure, FailureClass};
use crate::domain::history::EntryKind;
use crate::domain::state::StepState;
use crate::domain::template::Template;
use crate::domain::writes::{ApprovalWrite, Command, NewApproval, TaskOrder, TimerKey};

/// Largest input, output or artifact of a step, and output of an execution, as JSON.
pub(super) const VALUE_LIMIT: usize = 256 * 1_024;
/// Longest title of an approval in characters; the rest is cut off.
const TITLE_LIMIT: usize = 200;
/// Longest description of an approval in characters; the rest is cut off.
const DESCRIPTION_LIMIT: usize = 4_000;

impl Transition<'_> {
    /// Begins a step whose dependencies allow it.
    pub(super) fn begin(&mut self, index: usize) {
        if let Some(when) = &self.plan.programs[index].when {
            match when.holds(&self.variables(when.references()), &self.supply.budget()) {
                Ok(true) => {}
                Ok(false) => return self.skip(index, "its condition is false".into()),
                Err(why) => return self.fail_expression(index, "when", &why),
            }
        }
        match self.plan.steps()[index].kind {
            StepType::Task => self.dispatch(index),
            StepType::Approval => self.ask(index),
            StepType::Transform => self.transform(index),
            // Validation lets none of these through.
            StepType::Wait | StepType::Workflow => {
                let failure = Failure::new(FailureClass::Engine, "this type cannot be executed");
                self.fail_finally(index, failure);
            }
        }
    }

    /// Orders the next attempt's task.
    pub(super) fn dispatch(&mut self, index: usize) {
        let input = match self.render(&self.plan.programs[index].input, VALUE_LIMIT) {
            Ok(input) => input,
            Err(why) => return self.fail_expression(index, "input", &why),
        };
        if let Some(failure) = self.unapproved(index, &input) {
            return self.fail_finally(index, failure);
        }
        let now = self.at.now;
        let step = &mut self.run.steps[index];
        step.attempt += 1;
        step.agent_id.clear();
        step.retry_time = None;
        step.start_time.get_or_insert(now);
        let attempt = step.attempt;
        self.become_step(index, StepState::Dispatched);
        if let Some(timeout) = self.plan.steps()[index].timeout_ms {
            let key = TimerKey {
                step: Some(index),
                kind: TimerKind::StepTimeout,
            };
            self.set(key, attempt, now + span(timeout));
        }
        let order = Box::new(self.order(index, input));
        let action = order.action.clone();
        self.writes.commands.push(Command::CreateTask {
            step: index,
            attempt,
            order,
        });
        self.note(index, EntryKind::StepStarted, json!({"action": action}));
    }

    fn order(&self, index: usize, parameters: Value) -> TaskOrder {
        let step = &self.plan.steps()[index];
        let queue = step
            .config
            .get("queue")
            .and_then(Value::as_str)
            .unwrap_or_default();
        // task-queue takes a budget only with an amount to hold.
        let budget = self.run.budget_id.filter(|_| step.budget_amount.is_some());
        let title = if step.name.is_empty() {
            &step.id
        } else {
            &step.name
        };
        TaskOrder {
            action: step.action.clone(),
            capability: step.needed_capability().to_owned(),
            title: title.clone(),
            description: step.description.clone(),
            queue: queue.to_owned(),
            parameters,
            priority: self.run.priority,
            project_id: self
                .run
                .project_id
                .map(|id| id.to_string())
                .unwrap_or_default(),
            budget_id: budget.map(|id| id.to_string()).unwrap_or_default(),
            budget_amount: step.budget_amount.clone().filter(|_| budget.is_some()),
            labels: self.run.labels.clone(),
            redeliver: step.retry_safety != RetrySafety::Never,
            traceparent: self.run.traceparent.clone(),
        }
    }

    /// Why a step's artifact is not the one that was approved; nothing when it is, or when the step
    /// needs no approval.
    fn unapproved(&self, index: usize, input: &Value) -> Option<Failure> {
        let approval = self.plan.graph.approval[index]?;
        let approval_id = &self.plan.steps()[approval].id;
        let Some(approved) = &self.run.steps[approval].approved_digest else {
            let state = self.run.steps[approval].state.as_str();
            let message = format!("{approval_id} is {state} and approved nothing");
            return Some(Failure::new(FailureClass::DigestMismatch, message));
        };
        let name = self.plan.steps()[index].artifact_input();
        let actual = hex(&digest(input.get(name).unwrap_or(&Value::Null)));
        if actual == *approved {
            return None;
        }
        let message = format!(
            "input {name} has digest {actual}; {approval_id} approved {approved}: not dispatched"
        );
        Some(Failure::new(FailureClass::DigestMismatch, message))
    }

    /// Asks for a decision about the artifact as it is now.
    fn ask(&mut self, index: usize) {
        let programs = &self.plan.programs[index];
        let rendered = [&programs.subject, &programs.title, &programs.description]
            .map(|template| self.render(template, VALUE_LIMIT));
        let (subject, title, description) = match rendered {
            [Ok(subject), Ok(title), Ok(description)] => (subject, title, description),
            [Err(why), ..] | [_, Err(why), _] | [.., Err(why)] => {
                return self.fail_expression(index, "config", &why);
            }
        };
        let step = &self.plan.steps()[index];
        let now = self.at.now;
        let timeout = step.timeout_ms.map_or(self.at.approval_timeout, span);
        let approval = NewApproval {
            id: self.approval_id(index),
            step: index,
            title: text_or(&title, &step.name, TITLE_LIMIT),
            description: text_or(&description, &step.description, DESCRIPTION_LIMIT),
            digest: hex(&digest(&subject)),
            subject,
            producers: self.producers(index),
            allow_agents: step.flag("allow_agents"),
            forbid_initiator: step.flag("forbid_initiator"),
            expire_time: now + timeout,
        };
        let run = &mut self.run.steps[index];
        run.attempt = 1;
        run.start_time = Some(now);
        run.approval_id = Some(approval.id);
        self.become_step(index, StepState::WaitingApproval);
        let key = TimerKey {
            step: Some(index),
            kind: TimerKind::StepTimeout,
        };
        self.set(key, 1, approval.expire_time);
        let data = json!({
            "approval_id": approval.id.to_string(),
            "digest": approval.digest,
            "title": approval.title,
            "producers": approval.producers,
            "expire_time": approval.expire_time,
        });
        self.note(index, EntryKind::ApprovalRequested, data);
        self.writes
            .approvals
            .push(ApprovalWrite::Open(Box::new(approval)));
    }

    /// A UUIDv7 that is the same for the same step of the same execution: deciding twice asks once.
    fn approval_id(&self, index: usize) -> ApprovalId {
        let mut hasher = Sha256::new();
        hasher.update(self.run.id.uuid().as_bytes());
        hasher.update(self.plan.steps()[index].id.as_bytes());
        let hash = hasher.finalize();
        let mut random = [0; 10];
        random.copy_from_slice(&hash[..10]);
        let millis = u64::try_from(self.at.now.timestamp_millis()).unwrap_or(0);
        let builder = uuid::Builder::from_unix_timestamp_millis(millis, &random);
        ApprovalId::from_uuid(Uuid::from_bytes(builder.into_uuid().into_bytes()))
    }

    /// Whose work goes into a step's artifact or output, besides that of the agent that completes
    /// it.
    pub(super) fn producers(&self, index: usize) -> Vec<String> {
        let sources = &self.plan.programs[index].sources;
        let makers = sources.steps.iter();
        let makers = makers.flat_map(|step| self.run.steps[*step].produced_by.iter());
        let initiator = Some(&self.run.initiated_by).filter(|_| sources.given);
        let all: BTreeSet<_> = makers.chain(initiator).cloned().collect();
        all.into_iter().collect()
    }

    fn transform(&mut self, index: usize) {
        let now = self.at.now;
        let step = &mut self.run.steps[index];
        step.attempt = 1;
        step.start_time = Some(now);
        match self.outputs(index, None) {
            Ok(output) => {
                self.run.steps[index].produced_by = self.producers(index);
                self.complete(index, output);
            }
            Err(failure) => self.fail_finally(index, failure),
        }
    }

    /// A step's output: the result as it is, or what its expressions make of it.
    pub(super) fn outputs(&self, index: usize, result: Option<Value>) -> Result<Value, Failure> {
        let programs = &self.plan.programs[index].outputs;
        if programs.is_empty() {
            return Ok(result.unwrap_or_else(|| json!({})));
        }
        let mut references = References::default();
        programs
            .iter()
            .for_each(|(_, program)| references.extend(program.references()));
        let mut variables = self.variables(&references);
        if let Some(result) = result {
            variables.values.insert("result", Cow::Owned(result));
        }
        let budget = self.supply.budget();
        let mut outputs = Map::new();
        for (name, program) in programs {
            let value = program.evaluate(&variables, &budget).map_err(|why| {
                Failure::new(FailureClass::Expression, format!("outputs.{name}: {why}"))
            })?;
            outputs.insert(name.clone(), value);
        }
        Ok(Value::Object(outputs))
    }

    /// A template's value, which is kept and sent on and so must stay below a limit as JSON.
    pub(super) fn render(&self, template: &Template, limit: usize) -> Result<Value, String> {
        let variables = self.variables(&template.references());
        let value = template.render(&variables, &self.supply.budget())?;
        let size = canonical(&value).len();
        if size > limit {
            return Err(format!("is {size} bytes as JSON; at most {limit}"));
        }
        unfit(&value).map_or(Ok(value), |why| Err(why.to_owned()))
    }

    fn fail_expression(&mut self, index: usize, field: &str, why: &str) {
        let failure = Failure::new(FailureClass::Expression, format!("{field}: {why}"));
        self.fail_finally(index, failure);
    }
}

fn text_or(rendered: &Value, default: &str, limit: usize) -> String {
    let text = match rendered {
        Value::Null => default.to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(limit) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}
