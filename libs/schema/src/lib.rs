//! JSON Schemas of draft 2020-12 that strangers write: compiled within limits, and every place where
//! a value does not match named with what would be right.
//!
//! Nothing is ever fetched, and patterns run on an engine without backtracking. [`Schema::compile`]
//! asks no more than that. [`Schema::compile_within_limits`] also bounds what a hostile schema may
//! cost: how much it expands to, and how long and large its patterns are.

mod limits;
mod path;
mod patterns;
mod words;

use jsonschema::{Draft, PatternOptions};
use serde_json::Value;

pub use limits::{MOST_DEPTH, MOST_PATTERNS, MOST_PLACES};
pub use path::dotted;

/// How many places are named when a value does not match.
const REPORTED: usize = 32;
/// Longest description of one place.
const DESCRIPTION_LIMIT: usize = 300;
/// Values times places of the schema up to which every mismatch is looked for. The validator gathers
/// all of them before it tells of the first, so this bounds its memory.
const EXPLAINED: usize = 200_000;
/// The same up to which a value is checked at all: some tens of milliseconds.
pub const MOST_STEPS: usize = 2_000_000;
/// What a pattern may keep of its automaton: more than the whole, so that none is made anew.
const CACHE_BYTES: usize = 4 * patterns::AUTOMATON_BYTES;

/// A compiled schema.
#[derive(Debug)]
pub struct Schema {
    validator: jsonschema::Validator,
    /// How many places of the schema a value can meet; 0 where that is not bounded.
    places: usize,
}

/// One place where a value does not match, or where a schema is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// JSON pointer into the value, or into the schema.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub description: String,
}

impl Schema {
    /// Compiles a schema, however much it takes to check values against it.
    ///
    /// # Errors
    /// Every place that is wrong with regard to the metaschema, or the first that cannot be compiled.
    pub fn compile(schema: &Value) -> Result<Self, Vec<Mismatch>> {
        well_formed(schema)?;
        Self::build(schema, 0, PatternOptions::regex())
    }

    /// Compiles a schema that is kept for long and checked often: within limits.
    ///
    /// # Errors
    /// As [`Schema::compile`], and where a limit is passed.
    pub fn compile_within_limits(schema: &Value) -> Result<Self, Vec<Mismatch>> {
        limits::depth(schema)?;
        well_formed(schema)?;
        let places = limits::places(schema)?;
        let patterns = PatternOptions::regex()
            .size_limit(patterns::AUTOMATON_BYTES)
            .dfa_size_limit(CACHE_BYTES);
        Self::build(schema, places, patterns)
    }

    fn build(
        schema: &Value,
        places: usize,
        patterns: PatternOptions<jsonschema::Regex>,
    ) -> Result<Self, Vec<Mismatch>> {
        let built = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(patterns)
            .build(schema);
        match built {
            Ok(validator) => Ok(Self { validator, places }),
            Err(error) => Err(vec![words::of_schema(schema, &error)]),
        }
    }

    /// What checking a value costs: its values times the places that each can meet.
    pub fn steps(&self, value: &Value) -> usize {
        self.places.saturating_mul(count(value))
    }

    /// Where a value does not match: at most 32 places, and for a large value only that it does not.
    pub fn check(&self, value: &Value) -> Vec<Mismatch> {
        let steps = self.steps(value);
        if steps > MOST_STEPS {
            let most = MOST_STEPS / self.places;
            return at_root(format!("must have at most {most} values for this schema"));
        }
        if self.validator.is_valid(value) {
            return Vec::new();
        }
        if steps > EXPLAINED {
            let most = EXPLAINED / self.places;
            return at_root(format!(
                "must match the schema; faults are named where there are at most {most} values"
            ));
        }
        let errors = self.validator.iter_errors(value);
        let mut found: Vec<_> = errors.take(REPORTED).flat_map(words::of_value).collect();
        found.truncate(REPORTED);
        found
    }
}

/// What the metaschema says.
fn well_formed(schema: &Value) -> Result<(), Vec<Mismatch>> {
    let meta = jsonschema::draft202012::meta::validator();
    let faults = meta.iter_errors(schema).take(REPORTED);
    let faults: Vec<_> = faults.flat_map(words::of_value).collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults)
    }
}

fn at_root(description: String) -> Vec<Mismatch> {
    vec![Mismatch {
        pointer: String::new(),
        description,
    }]
}

/// How many values there are in a value, itself among them.
fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Object(members) => 1 + members.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests;
