//! As far as it can go by itself: steps that are ready, then the end.

use serde_json::json;

use super::Transition;
use super::dispatch::VALUE_LIMIT;
use crate::domain::definition::TriggerRule;
use crate::domain::failure::{Failure, FailureClass};
use crate::domain::history::EntryKind;
use crate::domain::run::Outcome;
use crate::domain::state::{ExecutionState, StepState};

/// What a pending step should do now.
enum Readiness {
    Wait,
    Run,
    Skip(String),
}

impl Transition<'_> {
    /// Begins whatever is ready, in an order in which one pass is enough, and ends what is over.
    pub(super) fn advance(&mut self) {
        self.fail_fast();
        if self.is_advancing() {
            for place in 0..self.plan.graph.order.len() {
                let index = self.plan.graph.order[place];
                if self.run.steps[index].state == StepState::Pending {
                    match self.readiness(index) {
                        Readiness::Wait => {}
                        Readiness::Run => self.begin(index),
                        Readiness::Skip(why) => self.skip(index, why),
                    }
                }
            }
        }
        self.fail_fast();
        self.settle();
    }

    /// Stops everything at the first unexcused failure, where the definition says so.
    fn fail_fast(&mut self) {
        if !self.plan.definition.fail_fast || !self.is_advancing() {
            return;
        }
        if let Some(failure) = self.unexcused_failure() {
            self.stop(ExecutionState::Failed, Some(failure), "another step failed");
        }
    }

    fn readiness(&self, index: usize) -> Readiness {
        let guarded = &self.plan.graph.guards[index];
        let state = |other: &usize| self.run.steps[*other].state;
        if guarded.iter().any(|other| !state(other).is_final()) {
            return Readiness::Wait;
        }
        if !guarded.is_empty()
            && !guarded
                .iter()
                .any(|other| state(other) == StepState::Failed)
        {
            return Readiness::Skip("nothing failed that it is the fallback of".into());
        }
        let outcomes = self.plan.graph.dependencies[index]
            .iter()
            .map(|other| (*other, self.run.outcome(self.plan, *other)));
        let outcomes: Vec<_> = outcomes.collect();
        if outcomes
            .iter()
            .any(|(_, outcome)| *outcome == Outcome::Open)
        {
            return Readiness::Wait;
        }
        let succeeded = |(_, outcome): &&(usize, Outcome)| *outcome == Outcome::Success;
        match self.plan.steps()[index].trigger_rule {
            TriggerRule::AllEnded => Readiness::Run,
            TriggerRule::AnySucceeded if outcomes.is_empty() => Readiness::Run,
            TriggerRule::AnySucceeded => match outcomes.iter().find(succeeded) {
                Some(_) => Readiness::Run,
                None => Readiness::Skip("none of its dependencies succeeded".into()),
            },
            TriggerRule::AllSucceeded => match outcomes.iter().find(|it| !succeeded(it)) {
                None => Readiness::Run,
                Some((other, _)) => {
                    let id = &self.plan.steps()[*other].id;
                    let state = self.run.steps[*other].state.as_str();
                    Readiness::Skip(format!("{id} is {state}"))
                }
            },
        }
    }

    pub(super) fn skip(&mut self, index: usize, why: String) {
        self.become_step(index, StepState::Skipped);
        self.note(index, EntryKind::StepSkipped, json!({"reason": why}));
        self.run.steps[index].note = why;
    }

    /// Ends the execution when nothing of it is left to do.
    pub(super) fn settle(&mut self) {
        if self.run.state.is_final() {
            return;
        }
        if let Some(stopping) = self.run.stopping.clone() {
            if self.run.count(StepState::is_in_flight) == 0 {
                self.finish(stopping.target, stopping.error);
            }
        } else if self.run.state == ExecutionState::Running
            && self.run.steps.iter().all(|step| step.state.is_final())
        {
            match self.unexcused_failure() {
                Some(failure) => self.finish(ExecutionState::Failed, Some(failure)),
                None => self.complete_execution(),
            }
        }
    }

    /// The failure that the execution fails with: of those that nothing excuses, the earliest.
    fn unexcused_failure(&self) -> Option<Failure> {
        let failed = (0..self.run.steps.len()).filter(|index| {
            self.run.steps[*index].state == StepState::Failed
                && self.run.outcome(self.plan, *index) == Outcome::Failure
        });
        let first = failed.min_by_key(|index| self.run.steps[*index].end_time)?;
        let step_id = &self.plan.steps()[first].id;
        self.run.steps[first]
            .error
            .clone()
            .map(|error| error.of(step_id))
    }

    fn complete_execution(&mut self) {
        if self.plan.definition.output.is_empty() {
            self.finish(ExecutionState::Completed, None);
            return;
        }
        match self.render(&self.plan.output, VALUE_LIMIT) {
            Ok(output) => {
                self.run.output = Some(output);
                self.finish(ExecutionState::Completed, None);
            }
            Err(why) => {
                let message = format!("the workflow's output has no value: {why}");
                let failure = Failure::new(FailureClass::Expression, message);
                self.finish(ExecutionState::Failed, Some(failure));
            }
        }
    }
}
