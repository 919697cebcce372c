//! Who waits for whom.

use std::collections::HashMap;

use super::Defects;
use crate::domain::definition::{Definition, StepType, WorkflowType};

/// The order of steps, by index.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// Each step's dependencies: declared, and the sequence's.
    pub dependencies: Vec<Vec<usize>>,
    /// Each step's fallback.
    pub fallback: Vec<Option<usize>>,
    /// The steps whose fallback each step is.
    pub guards: Vec<Vec<usize>>,
    /// Each step's required approval.
    pub approval: Vec<Option<usize>>,
    /// All steps, each after those that it waits for; empty when they wait in a circle.
    pub order: Vec<usize>,
    /// What each step comes after, directly or not.
    ancestors: Vec<Vec<bool>>,
}

impl Graph {
    /// Builds it, and records what is wrong.
    pub fn build(definition: &Definition, defects: &mut Defects) -> Self {
        let steps = &definition.steps;
        let names = definition.steps.iter().enumerate();
        // The first of a name wins; that it is not unique is recorded elsewhere.
        let names: HashMap<&str, usize> = names
            .rev()
            .map(|(index, step)| (step.id.as_str(), index))
            .collect();
        let mut graph = Self {
            dependencies: vec![Vec::new(); steps.len()],
            fallback: vec![None; steps.len()],
            guards: vec![Vec::new(); steps.len()],
            approval: vec![None; steps.len()],
            ..Self::default()
        };
        graph.resolve_fallbacks(definition, &names, defects);
        graph.resolve_dependencies(definition, &names, defects);
        graph.resolve_approvals(definition, &names, defects);
        graph.sort(definition, defects);
        graph.check_approvals(definition, defects);
        graph
    }

    /// Whether `step` comes after `other`, directly or not.
    pub fn is_after(&self, step: usize, other: usize) -> bool {
        // In a circle, which is recorded, everything comes after everything.
        self.order.is_empty() || self.ancestors[step][other]
    }

    fn resolve_fallbacks(
        &mut self,
        definition: &Definition,
        names: &HashMap<&str, usize>,
        defects: &mut Defects,
    ) {
        for (index, step) in definition.steps.iter().enumerate() {
            if step.on_failure.is_empty() {
                continue;
            }
            match names.get(step.on_failure.as_str()) {
                None => unknown(index, "on_failure", &step.on_failure, definition, defects),
                Some(own) if *own == index => {
                    defects.step(
                        index,
                        step,
                        "on_failure",
                        "a step cannot be its own fallback",
                    );
                }
                Some(fallback) => {
                    self.fallback[index] = Some(*fallback);
                    self.guards[*fallback].push(index);
                }
            }
        }
    }

    fn resolve_dependencies(
        &mut self,
        definition: &Definition,
        names: &HashMap<&str, usize>,
        defects: &mut Defects,
    ) {
        let mut previous = None;
        for (index, step) in definition.steps.iter().enumerate() {
            for (place, name) in step.dependencies.iter().enumerate() {
                let field = format!("dependencies[{place}]");
                match names.get(name.as_str()) {
                    None => unknown(index, &field, name, definition, defects),
                    Some(other) if self.guards[index].contains(other) => {
                        let right = format!(
                            "{name} has this step as its fallback, which waits for it anyway; remove it"
                        );
                        defects.step(index, step, field, right);
                    }
                    Some(other) if self.dependencies[index].contains(other) => {
                        defects.step(index, step, field, format!("names {name} again"));
                    }
                    Some(other) => self.dependencies[index].push(*other),
                }
            }
            let in_chain =
                definition.kind == WorkflowType::Sequential && self.guards[index].is_empty();
            if in_chain
                && let Some(previous) = previous.replace(index)
                && !self.dependencies[index].contains(&previous)
            {
                self.dependencies[index].push(previous);
            }
        }
    }

    fn resolve_approvals(
        &mut self,
        definition: &Definition,
        names: &HashMap<&str, usize>,
        defects: &mut Defects,
    ) {
        for (index, step) in definition.steps.iter().enumerate() {
            if step.requires_approval.is_empty() {
                continue;
            }
            match names.get(step.requires_approval.as_str()) {
                None => {
                    let name = &step.requires_approval;
                    unknown(index, "requires_approval", name, definition, defects);
                }
                Some(other) if definition.steps[*other].kind != StepType::Approval => {
                    let right = "must name an APPROVAL step";
                    defects.step(index, step, "requires_approval", right);
                }
                Some(other) => self.approval[index] = Some(*other),
            }
        }
    }

    fn check_approvals(&self, definition: &Definition, defects: &mut Defects) {
        for (index, step) in definition.steps.iter().enumerate() {
            if self.approval[index].is_some_and(|approval| !self.is_after(index, approval)) {
                let right = "must be a step that this one comes after: add it to the dependencies";
                defects.step(index, step, "requires_approval", right);
            }
        }
    }

    /// Whom a step waits for: its dependencies with their fallbacks, and the steps it guards.
    /// A dependency is open as long as a fallback of it may excuse it, so a step that is such a
    /// fallback itself waits for itself, which is a circle.
    fn waits_for(&self, step: usize) -> Vec<usize> {
        let mut waits = self.guards[step].clone();
        for dependency in &self.dependencies[step] {
            // A fallback may have one of its own, and fallbacks of fallbacks may form a circle.
            let mut chain = Vec::new();
            let mut next = Some(*dependency);
            while let Some(current) = next.filter(|current| !chain.contains(current)) {
                chain.push(current);
                next = self.fallback[current];
            }
            waits.extend(chain);
        }
        waits.sort_unstable();
        waits.dedup();
        waits
    }

    fn sort(&mut self, definition: &Definition, defects: &mut Defects) {
        let count = definition.steps.len();
        let waits: Vec<_> = (0..count).map(|step| self.waits_for(step)).collect();
        let mut left: Vec<_> = waits.iter().map(Vec::len).collect();
        let mut followers = vec![Vec::new(); count];
        for (step, waits) in waits.iter().enumerate() {
            waits.iter().for_each(|other| followers[*other].push(step));
        }
        let mut order: Vec<_> = (0..count).filter(|step| left[*step] == 0).collect();
        let mut next = 0;
        while let Some(step) = order.get(next).copied() {
            next += 1;
            for follower in &followers[step] {
                left[*follower] -= 1;
                if left[*follower] == 0 {
                    order.push(*follower);
                }
            }
        }
        if order.len() < count {
            report_circle(definition, &waits, &left, defects);
            return;
        }
        self.ancestors = vec![vec![false; count]; count];
        for step in &order {
            for other in &waits[*step] {
                let inherited = self.ancestors[*other].clone();
                let own = &mut self.ancestors[*step];
                own[*other] = true;
                own.iter_mut()
                    .zip(inherited)
                    .for_each(|(own, inherited)| *own |= inherited);
            }
        }
        self.order = order;
    }
}

/// Names one circle among the steps that never get ready.
fn report_circle(
    definition: &Definition,
    waits: &[Vec<usize>],
    left: &[usize],
    defects: &mut Defects,
) {
    let Some(mut step) = left.iter().position(|left| *left > 0) else {
        return;
    };
    let mut path = Vec::new();
    while !path.contains(&step) {
        path.push(step);
        match waits[step].iter().find(|other| left[**other] > 0) {
            Some(other) => step = *other,
            None => return,
        }
    }
    let start = path.iter().position(|other| *other == step).unwrap_or(0);
    let circle = path[start..].iter().chain([&step]);
    let circle: Vec<_> = circle
        .map(|step| definition.steps[*step].id.as_str())
        .collect();
    let text = format!("steps wait for each other: {}", circle.join(" -> "));
    defects.step(step, &definition.steps[step], "dependencies", text);
}

fn unknown(index: usize, field: &str, name: &str, definition: &Definition, defects: &mut Defects) {
    let step = &definition.steps[index];
    defects.step(
        index,
        step,
        field,
        format!("there is no step called {name:?}"),
    );
}
