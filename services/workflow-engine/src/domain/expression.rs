//! CEL expressions. The grammar is the crate's; evaluation is our own, because it must be bounded in
//! time and memory whatever an expression builds from whatever data.

mod arithmetic;
mod budget;
mod evaluate;
mod functions;
mod value;
mod walk;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use cel::Env;
use cel::common::ast::IdedExpr;
use serde_json::Value;

pub use budget::{Budget, Supply};
use evaluate::Evaluation;
use walk::Walk;

/// Longest source in bytes.
pub const SOURCE_LIMIT: usize = 4_096;
/// How deep comprehensions may be nested.
pub const COMPREHENSION_LIMIT: usize = 2;
/// How deep lists and objects may be nested in a value that is kept. Clients of gRPC read messages of
/// 100 levels, and an object takes three of them.
pub const DEPTH_LIMIT: usize = 30;
/// How deep the tree of an expression may be.
const TREE_LIMIT: usize = 100;
/// The parser recurses over every bracket and operator before it counts them, and overflowing a stack
/// ends the process. This holds the costliest source of SOURCE_LIMIT bytes four times over; pages
/// that are not touched cost nothing.
const PARSER_STACK: usize = 512 << 20;
/// Types that can be named.
const TYPES: &[&str] = &["bool", "double", "int", "string", "type", "uint"];

static ENVIRONMENT: LazyLock<Env> = LazyLock::new(|| Env::stdlib().with_optional_support(false));

/// Values by name.
pub type Members<'a> = BTreeMap<&'a str, Cow<'a, Value>>;

/// What an expression sees.
#[derive(Debug, Clone, Default)]
pub struct Variables<'a> {
    /// Its variables by name, except `steps`.
    pub values: Members<'a>,
    /// What `steps.<id>` has, by id.
    pub steps: BTreeMap<&'a str, Members<'a>>,
}

/// A compiled expression.
#[derive(Debug)]
pub struct Expression {
    tree: IdedExpr,
    references: References,
}

/// What an expression reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// Its variables: `input`, `steps`, …
    pub variables: BTreeSet<String>,
    /// The steps, as in `steps.<id>`.
    pub steps: BTreeSet<String>,
    /// Whether it reads what whoever started the execution gave: its input, context or labels.
    pub given: bool,
}

impl References {
    /// Adds what another expression reads.
    pub fn extend(&mut self, other: &Self) {
        self.variables.extend(other.variables.iter().cloned());
        self.steps.extend(other.steps.iter().cloned());
        self.given |= other.given;
    }
}

impl Expression {
    /// Compiles and checks an expression.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn compile(source: &str) -> Result<Self, String> {
        if source.trim().is_empty() {
            return Err("must not be empty".into());
        }
        if source.len() > SOURCE_LIMIT {
            return Err(format!(
                "is {} bytes long; at most {SOURCE_LIMIT} are allowed",
                source.len()
            ));
        }
        with_stack(PARSER_STACK, || Self::parse(source))
    }

    fn parse(source: &str) -> Result<Self, String> {
        let tree = ENVIRONMENT
            .parser()
            .parse(source)
            .map_err(|errors| format!("is not CEL: {}", first_line(&errors.to_string())))?;
        let mut walk = Walk::default();
        walk.visit(&tree, 0);
        match walk.fault {
            Some(fault) => Err(fault),
            None => Ok(Self {
                references: walk.references,
                tree,
            }),
        }
    }

    /// What it reads.
    pub fn references(&self) -> &References {
        &self.references
    }

    /// Its value.
    ///
    /// # Errors
    /// Why it has none, for people. An error never counts as false.
    pub fn evaluate(&self, variables: &Variables<'_>, budget: &Budget) -> Result<Value, String> {
        let value = Evaluation::new(variables, budget).value(&self.tree);
        value
            .and_then(|value| value.to_json(budget))
            .map_err(budget::Stop::text)
    }

    /// Its value, which must be true or false.
    ///
    /// # Errors
    /// Why it has none, or that it is something else.
    pub fn holds(&self, variables: &Variables<'_>, budget: &Budget) -> Result<bool, String> {
        match self.evaluate(variables, budget)? {
            Value::Bool(holds) => Ok(holds),
            other => Err(format!("must be true or false and is {}", kind(&other))),
        }
    }
}

/// What a value is, for messages that must not quote it.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn first_line(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    line.char_indices()
        .nth(300)
        .map_or(line, |(end, _)| &line[..end])
}

/// Why a value cannot be kept: it is nested too deep, or holds what PostgreSQL cannot store.
pub fn unfit(value: &Value) -> Option<&'static str> {
    unfit_at(value, 0)
}

fn unfit_at(value: &Value, depth: usize) -> Option<&'static str> {
    const NUL: &str = "must not hold NUL characters";
    match value {
        Value::String(text) => text.contains('\0').then_some(NUL),
        Value::Array(_) | Value::Object(_) if depth >= DEPTH_LIMIT => {
            Some("must not be nested deeper than 30 levels")
        }
        Value::Array(items) => items.iter().find_map(|item| unfit_at(item, depth + 1)),
        Value::Object(members) => members.iter().find_map(|(key, member)| {
            let nul = key.contains('\0').then_some(NUL);
            nul.or_else(|| unfit_at(member, depth + 1))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// Runs the parser on a stack that is large enough. A panic is an error.
fn with_stack<T: Send>(
    bytes: usize,
    work: impl FnOnce() -> Result<T, String> + Send,
) -> Result<T, String> {
    let failed = || "the expression could not be read".to_owned();
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("expression".into())
            .stack_size(bytes);
        let running = thread.spawn_scoped(scope, work).map_err(|_| failed())?;
        running.join().map_err(|_| failed())?
    })
}

#[cfg(test)]
mod tests;
