//! What an expression's tree reads, and what in it is refused.

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue};

use super::functions::NAMES;
use super::{COMPREHENSION_LIMIT, References, TREE_LIMIT, TYPES};

/// Members of `execution` that whoever started it gave.
const GIVEN: &[&str] = &["context", "labels"];

/// Collects what an expression reads, and finds what is refused.
#[derive(Default)]
pub(super) struct Walk {
    /// What is read.
    pub(super) references: References,
    bound: Vec<String>,
    /// Levels of the tree above the node.
    level: usize,
    /// The first thing wrong.
    pub(super) fault: Option<String>,
}

impl Walk {
    fn fail(&mut self, fault: String) {
        self.fault.get_or_insert(fault);
    }

    /// Walks a tree within so many comprehensions.
    pub(super) fn visit(&mut self, node: &IdedExpr, depth: usize) {
        self.level += 1;
        if self.level > TREE_LIMIT {
            self.fail(format!("is nested deeper than {TREE_LIMIT} levels"));
        } else {
            self.visit_node(node, depth);
        }
        self.level -= 1;
    }

    fn visit_node(&mut self, node: &IdedExpr, depth: usize) {
        match &node.expr {
            Expr::Literal(LiteralValue::Bytes(_)) => self.fail("bytes are not supported".into()),
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => self.identifier(name),
            Expr::Select(select) => match &select.operand.expr {
                Expr::Ident(name) if name == "steps" && !self.is_bound(name) => {
                    self.references.variables.insert("steps".into());
                    self.references.steps.insert(select.field.clone());
                }
                Expr::Ident(name) if name == "execution" && !self.is_bound(name) => {
                    self.references.variables.insert("execution".into());
                    self.references.given |= GIVEN.contains(&select.field.as_str());
                }
                _ => self.visit(&select.operand, depth),
            },
            Expr::Call(call) => {
                self.function(&call.func_name);
                for part in call.target.as_deref().into_iter().chain(&call.args) {
                    self.visit(part, depth);
                }
            }
            Expr::List(list) => list
                .elements
                .iter()
                .for_each(|item| self.visit(item, depth)),
            Expr::Map(map) => self.entries(map.entries.iter().map(|entry| &entry.expr), depth),
            Expr::Struct(_) => self.fail("message literals are not supported".into()),
            Expr::Comprehension(comprehension) => {
                self.visit(&comprehension.iter_range, depth);
                let inner = depth + 1;
                if inner > COMPREHENSION_LIMIT {
                    let limit = COMPREHENSION_LIMIT;
                    self.fail(format!("nests comprehensions deeper than {limit} levels"));
                    return;
                }
                let bound = self.bound.len();
                self.bound.push(comprehension.iter_var.clone());
                self.bound.extend(comprehension.iter_var2.clone());
                self.bound.push(comprehension.accu_var.clone());
                for part in [
                    &comprehension.accu_init,
                    &comprehension.loop_cond,
                    &comprehension.loop_step,
                    &comprehension.result,
                ] {
                    self.visit(part, inner);
                }
                self.bound.truncate(bound);
            }
        }
    }

    fn entries<'a>(&mut self, entries: impl Iterator<Item = &'a EntryExpr>, depth: usize) {
        for entry in entries {
            match entry {
                EntryExpr::MapEntry(entry) => {
                    self.visit(&entry.key, depth);
                    self.visit(&entry.value, depth);
                }
                EntryExpr::StructField(field) => self.visit(&field.value, depth),
            }
        }
    }

    fn is_bound(&self, name: &str) -> bool {
        self.bound.iter().any(|bound| bound == name)
    }

    fn identifier(&mut self, name: &str) {
        if name == "steps" && !self.is_bound(name) {
            self.fail("`steps` must be followed by the id of a step, as in steps.lint".into());
        } else if !self.is_bound(name) && !name.starts_with('@') && !TYPES.contains(&name) {
            self.references.variables.insert(name.to_owned());
            self.references.given |= name == "input" || name == "execution";
        }
    }

    fn function(&mut self, name: &str) {
        let is_operator = !name.starts_with(|first: char| first.is_ascii_alphabetic());
        if !is_operator && !NAMES.contains(&name) {
            self.fail(format!("calls `{name}`, which is not a function here"));
        }
    }
}
