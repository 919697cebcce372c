//! Every expression of a definition, compiled, with the names in it looked up.

use serde_json::Value;

use super::Defects;
use super::graph::Graph;
use crate::domain::definition::{Definition, Step, StepType};
use crate::domain::expression::{Expression, References, Supply, Variables};
use crate::domain::template::Template;

/// What something is made from.
#[derive(Debug, Default)]
pub struct Sources {
    /// Steps whose output goes into it, by index.
    pub steps: Vec<usize>,
    /// Whether what the execution was started with goes into it as it is.
    pub given: bool,
}

/// What a step computes.
#[derive(Debug)]
pub struct Programs {
    /// Its condition.
    pub when: Option<Expression>,
    /// Its input.
    pub input: Template,
    /// Its outputs by name.
    pub outputs: Vec<(String, Expression)>,
    /// APPROVAL: the artifact.
    pub subject: Template,
    /// What its output or artifact is made from, besides the work of an agent.
    pub sources: Sources,
    /// The steps that any of its expressions reads, by index.
    pub reads: Vec<usize>,
    /// APPROVAL: one line for people.
    pub title: Template,
    /// APPROVAL: more for people.
    pub description: Template,
}

/// Compiles one definition's expressions.
pub struct Compiler<'a> {
    definition: &'a Definition,
    graph: &'a Graph,
    defects: &'a mut Defects,
}

impl<'a> Compiler<'a> {
    /// A compiler that records what is wrong.
    pub fn new(definition: &'a Definition, graph: &'a Graph, defects: &'a mut Defects) -> Self {
        Self {
            definition,
            graph,
            defects,
        }
    }

    /// One step's expressions.
    pub fn step(&mut self, index: usize) -> Programs {
        let step = &self.definition.steps[index];
        let subject = self.config(index, step, "subject");
        let when = self.condition(index, step);
        let input = self.input(index, step);
        let outputs = self.outputs(index, step);
        let mut made_of = subject.references();
        for (_, program) in &outputs {
            made_of.extend(program.references());
        }
        // An agent works on the input, so it is not handed on as it is, but its makers are known.
        let given = made_of.given;
        made_of.extend(&input.references());
        let title = self.config(index, step, "title");
        let description = self.config(index, step, "description");
        let mut all = made_of.clone();
        for read in [title.references(), description.references()] {
            all.extend(&read);
        }
        if let Some(when) = &when {
            all.extend(when.references());
        }
        Programs {
            reads: self.indexes(&all),
            when,
            input,
            outputs,
            subject,
            sources: Sources {
                steps: self.indexes(&made_of),
                given,
            },
            title,
            description,
        }
    }

    /// The execution's output, which may read every step.
    pub fn output(&mut self) -> Template {
        let mut faults = Vec::new();
        let template = Template::compile_map(&self.definition.output, &mut faults);
        for fault in faults {
            self.defects
                .workflow(format!("output{}", fault.path), fault.description);
        }
        let references = template.references();
        for name in references
            .steps
            .iter()
            .filter(|name| find(self.definition, name).is_none())
        {
            self.defects
                .workflow("output", format!("there is no step called {name:?}"));
        }
        for name in foreign(&references, &["input", "steps", "execution"]) {
            self.defects.workflow("output", unknown_name(name));
        }
        template
    }

    fn condition(&mut self, index: usize, step: &Step) -> Option<Expression> {
        if step.when.trim().is_empty() {
            return None;
        }
        let expression = self.expression(index, step, "when", &step.when)?;
        self.names(index, step, "when", expression.references(), &[]);
        let constant = expression.references().variables.is_empty();
        let budget = Supply::new().budget();
        if constant && expression.holds(&Variables::default(), &budget) == Ok(false) {
            let wrong = "is always false: the step would never run";
            self.defects.step(index, step, "when", wrong);
        }
        Some(expression)
    }

    fn input(&mut self, index: usize, step: &Step) -> Template {
        let mut faults = Vec::new();
        let template = Template::compile_map(&step.input, &mut faults);
        for fault in faults {
            self.defects.step(
                index,
                step,
                format!("input{}", fault.path),
                fault.description,
            );
        }
        self.names(index, step, "input", &template.references(), &[]);
        template
    }

    fn config(&mut self, index: usize, step: &Step, key: &str) -> Template {
        if step.kind != StepType::Approval {
            return Template::Literal(Value::Null);
        }
        let value = step.config.get(key).cloned().unwrap_or(Value::Null);
        let mut faults = Vec::new();
        let template = Template::compile(&value, &mut faults);
        for fault in faults {
            let field = format!("config.{key}{}", fault.path);
            self.defects.step(index, step, field, fault.description);
        }
        let references = template.references();
        let field = format!("config.{key}");
        if key == "subject" && !value.is_null() && references.variables.is_empty() {
            let right = "must read the artifact from a step or the input, as \"${{ expression }}\"";
            self.defects.step(index, step, &field, right);
        }
        self.names(index, step, &field, &references, &[]);
        template
    }

    fn outputs(&mut self, index: usize, step: &Step) -> Vec<(String, Expression)> {
        let mut outputs = Vec::new();
        for (name, source) in &step.outputs {
            let field = format!("outputs.{name}");
            if name.is_empty() || name.len() > 63 {
                self.defects
                    .step(index, step, &field, "its name must be 1 to 63 characters");
            }
            let Some(expression) = self.expression(index, step, &field, source) else {
                continue;
            };
            let own: &[&str] = if step.kind == StepType::Task {
                &["result"]
            } else {
                &[]
            };
            self.names(index, step, &field, expression.references(), own);
            outputs.push((name.clone(), expression));
        }
        outputs
    }

    fn expression(
        &mut self,
        index: usize,
        step: &Step,
        field: &str,
        source: &str,
    ) -> Option<Expression> {
        match Expression::compile(source) {
            Ok(expression) => Some(expression),
            Err(description) => {
                self.defects.step(index, step, field, description);
                None
            }
        }
    }

    /// Looks up the names that an expression reads.
    fn names(
        &mut self,
        index: usize,
        step: &Step,
        field: &str,
        references: &References,
        own: &[&str],
    ) {
        for name in foreign(references, &["input", "steps", "execution"]) {
            if !own.contains(&name) {
                self.defects.step(index, step, field, unknown_name(name));
            }
        }
        for name in &references.steps {
            match find(self.definition, name) {
                None => {
                    let text = format!("there is no step called {name:?}");
                    self.defects.step(index, step, field, text);
                }
                Some(other) if !self.graph.is_after(index, other) => {
                    let text = format!(
                        "reads step {name}, which it does not come after: add it to the dependencies"
                    );
                    self.defects.step(index, step, field, text);
                }
                Some(_) => {}
            }
        }
    }

    fn indexes(&self, references: &References) -> Vec<usize> {
        references
            .steps
            .iter()
            .filter_map(|name| find(self.definition, name))
            .collect()
    }
}

fn find(definition: &Definition, name: &str) -> Option<usize> {
    definition.steps.iter().position(|step| step.id == name)
}

fn foreign<'a>(references: &'a References, known: &[&str]) -> Vec<&'a str> {
    let names = references.variables.iter().map(String::as_str);
    names.filter(|name| !known.contains(name)).collect()
}

fn unknown_name(name: &str) -> String {
    format!("reads {name:?}, which is not known here; known: input, steps, execution")
}
