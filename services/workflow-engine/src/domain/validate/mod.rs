//! Everything that is wrong with a definition, at once, each with its field and its step.

pub mod bounds;
pub mod graph;
pub mod programs;

#[cfg(test)]
mod tests;

use std::fmt::Display;

use super::definition::{Definition, Step};

/// One thing wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// Path of the field: `steps[2].when`.
    pub field: String,
    /// The step; empty for the workflow's own fields.
    pub step_id: String,
    /// What is wrong and what would be right.
    pub description: String,
}

/// Collects defects.
#[derive(Debug, Default)]
pub struct Defects(pub Vec<Defect>);

impl Defects {
    /// A defect of the workflow's own fields.
    pub fn workflow(&mut self, field: impl Display, description: impl Into<String>) {
        self.0.push(Defect {
            field: field.to_string(),
            step_id: String::new(),
            description: description.into(),
        });
    }

    /// A defect of a step's field.
    pub fn step(
        &mut self,
        index: usize,
        step: &Step,
        field: impl Display,
        description: impl Into<String>,
    ) {
        self.0.push(Defect {
            field: format!("steps[{index}].{field}"),
            step_id: step.id.clone(),
            description: description.into(),
        });
    }

    /// Sorts them as the definition is written: the workflow's own first, then by step.
    pub fn in_order(mut self, definition: &Definition) -> Vec<Defect> {
        let place = |defect: &Defect| {
            let index = defect
                .field
                .strip_prefix("steps[")
                .and_then(|rest| rest.split_once(']'));
            index
                .and_then(|(index, _)| index.parse::<usize>().ok())
                .map_or(0, |index| index.min(definition.steps.len()) + 1)
        };
        self.0.sort_by_key(place);
        self.0
    }
}
