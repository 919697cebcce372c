//! CEL expressions, with the guards that the crate leaves to its users: bounded source, bounded
//! nesting of comprehensions, bounded lists under them, and panics turned into errors.

mod json;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::{Context, Env, Program};
use serde_json::Value;

use json::{from_cel, to_cel};
use walk::Walk;

/// Longest source in bytes.
pub const SOURCE_LIMIT: usize = 4_096;
/// How deep comprehensions may be nested.
pub const COMPREHENSION_LIMIT: usize = 2;
/// How deep the tree of an expression may be.
const TREE_LIMIT: usize = 100;
/// How deep it may be for the caller's own stack: evaluation takes up to 40 KiB for each level.
const SHALLOW: usize = 10;
/// The parser recurses over every bracket and operator before it counts them, and overflowing a stack
/// ends the process. This holds the costliest source of SOURCE_LIMIT bytes four times over; pages
/// that are not touched cost nothing.
const PARSER_STACK: usize = 512 << 20;
/// Holds the costliest evaluation of a tree of TREE_LIMIT levels.
const EVALUATION_STACK: usize = 32 << 20;
/// Longest list, by the depth of comprehensions that may walk it: a step of a walk costs about half
/// a microsecond, so the costliest expression stays below a tenth of a second.
const LIST_LIMITS: [usize; COMPREHENSION_LIMIT + 1] = [usize::MAX, 100_000, 400];

/// What expressions may call, besides operators and the macros has, all, exists, exists_one, map and
/// filter.
const FUNCTIONS: &[&str] = &[
    "bool",
    "bytes",
    "charAt",
    "contains",
    "double",
    "dyn",
    "endsWith",
    "format",
    "indexOf",
    "int",
    "join",
    "lastIndexOf",
    "lowerAscii",
    "replace",
    "reverse",
    "size",
    "split",
    "startsWith",
    "string",
    "substring",
    "trim",
    "type",
    "uint",
    "upperAscii",
];

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(false);
    env.add_extension(cel::extensions::strings)
        .expect("the strings library is added once");
    Arc::new(env)
});

/// The values that an expression sees, by name.
pub type Variables = BTreeMap<String, Value>;

/// A compiled expression.
#[derive(Debug)]
pub struct Expression {
    program: Program,
    references: References,
    /// How deep comprehensions are nested.
    depth: usize,
    /// Whether the caller's stack is enough.
    is_shallow: bool,
}

/// What an expression reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// Its variables: `input`, `steps`, …
    pub variables: BTreeSet<String>,
    /// The steps, as in `steps.<id>`.
    pub steps: BTreeSet<String>,
}

impl References {
    /// Adds what another expression reads.
    pub fn extend(&mut self, other: &Self) {
        self.variables.extend(other.variables.iter().cloned());
        self.steps.extend(other.steps.iter().cloned());
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
        let program = ENVIRONMENT
            .compile(source)
            .map_err(|errors| format!("is not CEL: {}", first_line(&errors.to_string())))?;
        let mut walk = Walk::default();
        walk.visit(program.expression(), 0);
        match walk.fault {
            Some(fault) => Err(fault),
            None => Ok(Self {
                references: walk.references,
                depth: walk.depth,
                is_shallow: walk.deepest <= SHALLOW && walk.depth == 0,
                program,
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
    pub fn evaluate(&self, variables: &Variables) -> Result<Value, String> {
        if !self.is_shallow {
            return with_stack(EVALUATION_STACK, || self.execute(variables));
        }
        let executed = catch_unwind(AssertUnwindSafe(|| self.execute(variables)));
        executed.unwrap_or_else(|_| Err("the expression could not be evaluated".to_owned()))
    }

    fn execute(&self, variables: &Variables) -> Result<Value, String> {
        let limit = LIST_LIMITS[self.depth.min(COMPREHENSION_LIMIT)];
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        for (name, value) in variables {
            if self.references.variables.contains(name) {
                context.add_variable_from_value(name.as_str(), to_cel(value, limit)?);
            }
        }
        let value = self.program.execute(&context);
        from_cel(&value.map_err(|error| first_line(&error.to_string()).to_owned())?)
    }

    /// Its value, which must be true or false.
    ///
    /// # Errors
    /// Why it has none, or that it is something else.
    pub fn holds(&self, variables: &Variables) -> Result<bool, String> {
        match self.evaluate(variables)? {
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

/// Runs something that recurses deeply on a stack that is large enough. A panic is an error.
fn with_stack<T: Send>(
    bytes: usize,
    work: impl FnOnce() -> Result<T, String> + Send,
) -> Result<T, String> {
    let failed = || "the expression could not be read or evaluated".to_owned();
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("expression".into())
            .stack_size(bytes);
        let running = thread.spawn_scoped(scope, work).map_err(|_| failed())?;
        running.join().map_err(|_| failed())?
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn evaluate(source: &str) -> Result<Value, String> {
        let variables = Variables::from([
            (
                "input".to_owned(),
                json!({"replicas": 3, "ratio": 0.5, "names": ["b", "a"]}),
            ),
            (
                "steps".to_owned(),
                json!({"lint": {"status": "COMPLETED", "output": {"n": 2}}}),
            ),
        ]);
        Expression::compile(source)?.evaluate(&variables)
    }

    #[test]
    fn json_numbers_take_part_in_arithmetic() {
        assert_eq!(evaluate("input.replicas + 1"), Ok(json!(4)));
        assert_eq!(evaluate("input.ratio * 2.0"), Ok(json!(1.0)));
        assert_eq!(
            evaluate("steps.lint.output.n > 1 && steps.lint.status == 'COMPLETED'"),
            Ok(json!(true))
        );
        assert_eq!(
            evaluate("input.names.map(n, n.upperAscii()).join('-')"),
            Ok(json!("B-A"))
        );
        assert_eq!(
            evaluate("{'a': [1, null, true]}"),
            Ok(json!({"a": [1, null, true]}))
        );
    }

    #[test]
    fn a_missing_key_is_an_error_and_has_asks_for_it() {
        assert!(evaluate("input.absent == 1").is_err());
        assert_eq!(evaluate("has(input.absent)"), Ok(json!(false)));
        assert_eq!(evaluate("has(steps.lint.output.n)"), Ok(json!(true)));
    }

    #[test]
    fn knows_what_is_read() {
        let source = "steps.a.output.x == input.y && input.z.exists(v, v == steps.b.status)";
        let read = Expression::compile(source)
            .expect("an expression")
            .references()
            .clone();
        assert_eq!(read.steps, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
        assert_eq!(
            read.variables,
            BTreeSet::from(["input".to_owned(), "steps".to_owned()])
        );
    }

    #[test]
    fn refuses_what_is_wrong_at_once() {
        for (source, expected) in [
            ("", "empty"),
            ("input.", "not CEL"),
            ("steps['lint'].output", "followed by the id"),
            ("steps.all(s, true)", "followed by the id"),
            ("rm('x')", "calls `rm`"),
            (
                "input.names.map(a, input.names.map(b, input.names.map(c, 1)))",
                "deeper than 2",
            ),
        ] {
            let fault = Expression::compile(source).expect_err(source);
            assert!(fault.contains(expected), "{source:?}: {fault}");
        }
        let long = format!("'{}'", "x".repeat(SOURCE_LIMIT));
        assert!(
            Expression::compile(&long)
                .expect_err("long")
                .contains("at most 4096")
        );
    }

    #[test]
    fn hostile_sources_are_errors_not_panics() {
        for source in [
            "((((",
            "\u{0}",
            "a ? b",
            &"(".repeat(4_000),
            &"!".repeat(4_000),
            "[1,,]",
        ] {
            assert!(Expression::compile(source).is_err(), "{source:?} compiled");
        }
    }

    #[test]
    fn deep_sources_are_evaluated_or_refused_and_never_fatal() {
        let wrapped =
            |open: &str, times: usize, close: &str| open.repeat(times) + "1" + &close.repeat(times);
        assert_eq!(evaluate(&wrapped("(", 60, ")")), Ok(json!(1)));
        assert_eq!(evaluate(&("1 + ".repeat(80) + "1")), Ok(json!(81)));
        for (source, unit) in [
            (wrapped("(", 2_000, ")"), "brackets"),
            (wrapped("[", 2_000, "]"), "lists"),
            (wrapped("{1:", 1_000, "}"), "maps"),
            (wrapped("size(", 680, ")"), "calls"),
            (wrapped("[1].map(a,", 370, ")"), "macros"),
            ("1+".repeat(2_000) + "1", "sums"),
            ("1==".repeat(1_300) + "1", "comparisons"),
            ("input".to_owned() + &"[0]".repeat(1_300), "indexes"),
            ("input".to_owned() + &".a".repeat(2_000), "members"),
            ("true ? 1 : ".repeat(370) + "2", "conditionals"),
        ] {
            assert!(
                Expression::compile(&source).is_err(),
                "so many {unit} were accepted"
            );
        }
    }

    #[test]
    fn a_walk_over_a_long_list_is_refused() {
        let list: Vec<_> = (0..500).collect();
        let variables = Variables::from([("input".to_owned(), json!({"l": list}))]);
        let deep = Expression::compile("input.l.all(a, input.l.all(b, a != b || true))").unwrap();
        assert!(
            deep.evaluate(&variables)
                .expect_err("walked")
                .contains("at most 400")
        );
        let flat = Expression::compile("input.l.all(a, a >= 0)").unwrap();
        assert_eq!(flat.holds(&variables), Ok(true));
    }

    #[test]
    fn a_condition_is_a_truth_value() {
        let number = Expression::compile("1 + 1").unwrap();
        assert!(
            number
                .holds(&Variables::new())
                .expect_err("held")
                .contains("a number")
        );
    }
}
