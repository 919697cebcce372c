//! A valid definition, compiled: what [`decide`](super::decide) works from.

use std::collections::BTreeSet;

use reeve_schema::{Mismatch, Schema};

use super::definition::{Definition, Step};
use super::run::Run;
use super::template::Template;
use super::validate::graph::Graph;
use super::validate::programs::{Compiler, Programs};
use super::validate::{Defect, Defects, bounds};

/// A definition that can be executed.
#[derive(Debug)]
pub struct Plan {
    /// What was published.
    pub definition: Definition,
    /// Who waits for whom.
    pub graph: Graph,
    /// Each step's expressions.
    pub programs: Vec<Programs>,
    /// The execution's output.
    pub output: Template,
    /// What inputs must match.
    pub schema: Option<Schema>,
}

impl Plan {
    /// Checks and compiles a definition.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the definition's order.
    pub fn compile(definition: Definition) -> Result<Self, Vec<Defect>> {
        let mut defects = Defects::default();
        bounds::check(&definition, &mut defects);
        // Beyond the bounds, looking closer would cost more than it tells.
        if bounds::is_too_large(&definition, &mut defects) {
            return Err(defects.in_order(&definition));
        }
        Self::build(definition, defects, Schema::compile_within_limits)
    }

    /// Compiles a definition that was published. Bounds that were narrowed since do not apply to it:
    /// its executions are under way.
    ///
    /// # Errors
    /// Why it cannot be executed any more.
    pub fn of_published(definition: Definition) -> Result<Self, Vec<Defect>> {
        Self::build(definition, Defects::default(), Schema::compile)
    }

    /// A definition that cannot be executed any more: only the names of its steps.
    pub fn names_of(definition: Definition) -> Self {
        Self {
            definition,
            graph: Graph::default(),
            programs: Vec::new(),
            output: Template::Literal(serde_json::Value::Null),
            schema: None,
        }
    }

    fn build(
        definition: Definition,
        mut defects: Defects,
        compile: impl Fn(&serde_json::Value) -> Result<Schema, Vec<Mismatch>>,
    ) -> Result<Self, Vec<Defect>> {
        let graph = Graph::build(&definition, &mut defects);
        let mut compiler = Compiler::new(&definition, &graph, &mut defects);
        let programs = (0..definition.steps.len())
            .map(|index| compiler.step(index))
            .collect();
        let output = compiler.output();
        let schema = definition
            .input_schema
            .as_ref()
            .map(compile)
            .and_then(|compiled| {
                let note = |faults: Vec<Mismatch>| {
                    for fault in faults {
                        let what = format!("{} {}", fault.pointer, fault.description);
                        defects.workflow("input_schema", what.trim_start());
                    }
                };
                compiled.map_err(note).ok()
            });
        if defects.0.is_empty() {
            Ok(Self {
                definition,
                graph,
                programs,
                output,
                schema,
            })
        } else {
            Err(defects.in_order(&definition))
        }
    }

    /// The steps.
    pub fn steps(&self) -> &[Step] {
        &self.definition.steps
    }

    /// A step's place by its id.
    pub fn index_of(&self, step_id: &str) -> Option<usize> {
        self.definition
            .steps
            .iter()
            .position(|step| step.id == step_id)
    }

    /// The steps whose outputs a transition of a run may read, by index: those that steps which have
    /// not ended read, and the output.
    pub fn needed_by(&self, run: &Run) -> Vec<usize> {
        let open = run.steps.iter().zip(&self.programs);
        let open = open.filter(|(step, _)| !step.state.is_final());
        let mut needed: Vec<_> = open
            .flat_map(|(_, programs)| programs.reads.clone())
            .collect();
        if !run.state.is_final() {
            needed.extend(self.read_by(&self.output.references().steps));
        }
        needed.sort_unstable();
        needed.dedup();
        needed
    }

    /// The steps that any of the given expressions reads, by index.
    pub fn read_by(&self, names: &BTreeSet<String>) -> Vec<usize> {
        names
            .iter()
            .filter_map(|name| self.index_of(name))
            .collect()
    }
}
