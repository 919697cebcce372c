//! Laying values over defaults, which decide what keys there are and of what type.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

const COMPILED_IN: &str = "the compiled-in defaults";

/// The values so far and what was wrong with them.
pub(super) struct Layers {
    merged: Table,
    known: Table,
    foreign: Vec<Table>,
    /// Where the value at each path comes from, as a problem with it begins.
    laid: BTreeMap<Vec<String>, String>,
    problems: Vec<String>,
}

impl Layers {
    /// Starts from default texts, later ones over earlier ones.
    pub(super) fn new(defaults: &[&str], foreign: &[String]) -> Self {
        let mut layers = Self {
            merged: Table::new(),
            known: Table::new(),
            foreign: Vec::new(),
            laid: BTreeMap::new(),
            problems: vec![],
        };
        for text in defaults {
            match text.parse::<Table>() {
                Ok(table) => merge_defaults(&mut layers.known, table),
                Err(error) => layers.problem(COMPILED_IN, error.message()),
            }
        }
        layers.foreign = foreign
            .iter()
            .filter_map(|text| text.parse().ok())
            .collect();
        layers.merged = layers.known.clone();
        layers
    }

    /// Records what is wrong in a place.
    pub(super) fn problem(&mut self, place: &str, what: &str) {
        self.problems.push(format!("{place}: {what}"));
    }

    /// Whether a default names this key.
    pub(super) fn knows(&self, path: &[String]) -> bool {
        find(&self.known, path).is_some()
    }

    /// Lays a file's table over the values.
    pub(super) fn lay(&mut self, table: &Table, place: &str) {
        for (path, value) in leaves(table, &self.known) {
            match find(&self.known, &path) {
                Some(default) if same_type(default, &value) => {
                    let said = format!("{place}: {}", path.join("."));
                    self.put(&path, value, said);
                }
                Some(default) => {
                    let what = format!("{} must be {}", path.join("."), type_name(default));
                    self.problem(place, &what);
                }
                None => self.unknown(&path, place),
            }
        }
    }

    /// Lays one value given as text over the values; the default says what type it has.
    pub(super) fn set(&mut self, path: &[String], text: &str, place: &str) {
        match find(&self.known, path).map(|default| (coerce(default, text), type_name(default))) {
            Some((Some(value), _)) => self.put(path, value, place.to_owned()),
            Some((None, wanted)) => self.problem(place, &format!("must be {wanted}")),
            None => self.unknown(path, place),
        }
    }

    /// A variable with one underscore where two would make it a key, which is the likeliest slip.
    pub(super) fn beware(&mut self, variable: &str) {
        let mut names = Vec::new();
        collect_names(&self.known, "", &mut names);
        for name in names {
            let spelt = |between: &str| {
                let name = name.replace('.', between).to_ascii_uppercase();
                format!("REEVE_{name}")
            };
            let (slip, right) = (spelt("_"), spelt("__"));
            if name.contains('.') && variable.strip_suffix("_FILE").unwrap_or(variable) == slip {
                self.problem(
                    variable,
                    &format!("configures nothing; did you mean {right}?"),
                );
            }
        }
    }

    /// Gives up every value that a `C` cannot be read with, and records why. Serde ends at its first
    /// mistake, so each value is tried by itself, over the defaults.
    pub(super) fn reject_unreadable<C: DeserializeOwned>(&mut self) {
        let read = |table: &Table| Value::Table(table.clone()).try_into::<C>().err();
        if let Some(error) = read(&self.known) {
            return self.problem(COMPILED_IN, error.message());
        }
        for (path, said) in std::mem::take(&mut self.laid) {
            let Some(value) = find(&self.merged, &path).cloned() else {
                continue;
            };
            let mut alone = self.known.clone();
            insert(&mut alone, &path, value);
            if let Some(error) = read(&alone) {
                self.problem(&said, error.message());
                if let Some(default) = find(&self.known, &path).cloned() {
                    insert(&mut self.merged, &path, default);
                }
            }
        }
    }

    /// The values, and every problem met.
    pub(super) fn finish(self) -> (Table, Vec<String>) {
        (self.merged, self.problems)
    }

    fn unknown(&mut self, path: &[String], place: &str) {
        let without_file: Vec<_> = path
            .iter()
            .map(|part| part.strip_suffix("_file").unwrap_or(part).to_owned())
            .collect();
        let elsewhere =
            |table: &Table| find(table, path).is_some() || find(table, &without_file).is_some();
        if self.foreign.iter().any(elsewhere) {
            return;
        }
        let key = path.join(".");
        let mut names = Vec::new();
        collect_names(&self.known, "", &mut names);
        let nearest = names.iter().min_by_key(|name| distance(name, &key));
        let hint = nearest
            .filter(|name| distance(name, &key) <= 3)
            .map(|name| format!("; did you mean {name}?"))
            .unwrap_or_default();
        self.problem(place, &format!("there is no key {key}{hint}"));
    }

    fn put(&mut self, path: &[String], value: Value, said: String) {
        insert(&mut self.merged, path, value);
        self.laid.insert(path.to_vec(), said);
    }
}

fn insert(mut table: &mut Table, path: &[String], value: Value) {
    let Some((last, sections)) = path.split_last() else {
        return;
    };
    for section in sections {
        let entry = table
            .entry(section)
            .or_insert_with(|| Value::Table(Table::new()));
        match entry {
            Value::Table(inner) => table = inner,
            _ => return,
        }
    }
    table.insert(last.clone(), value);
}

fn merge_defaults(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(table)) => merge_defaults(inner, table),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// The default at a path. Below a table that is empty in the defaults any text may stand.
fn find<'a>(table: &'a Table, path: &[String]) -> Option<&'a Value> {
    static TEXT: Value = Value::String(String::new());
    let (first, rest) = path.split_first()?;
    match (table.get(first)?, rest) {
        (value, []) => Some(value),
        (Value::Table(inner), [_]) if inner.is_empty() => Some(&TEXT),
        (Value::Table(inner), rest) => find(inner, rest),
        _ => None,
    }
}

/// The values of a table with their paths; a table that is a value by itself stays whole.
fn leaves(table: &Table, known: &Table) -> Vec<(Vec<String>, Value)> {
    let mut found = Vec::new();
    for (key, value) in table {
        match (value, known.get(key)) {
            (Value::Table(inner), Some(Value::Table(below))) if !below.is_empty() => {
                for (mut path, value) in leaves(inner, below) {
                    path.insert(0, key.clone());
                    found.push((path, value));
                }
            }
            _ => found.push((vec![key.clone()], value.clone())),
        }
    }
    found
}

fn collect_names(table: &Table, prefix: &str, names: &mut Vec<String>) {
    for (key, value) in table {
        match value {
            Value::Table(inner) => collect_names(inner, &format!("{prefix}{key}."), names),
            _ => names.push(format!("{prefix}{key}")),
        }
    }
}

fn same_type(default: &Value, value: &Value) -> bool {
    default.same_type(value) || (default.is_float() && value.is_integer())
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date and time",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

/// A value from text, of the type that the default has. Lists are separated by commas.
fn coerce(default: &Value, text: &str) -> Option<Value> {
    match default {
        Value::String(_) => Some(Value::String(text.to_owned())),
        Value::Integer(_) => text.trim().parse().ok().map(Value::Integer),
        Value::Float(_) => text.trim().parse().ok().map(Value::Float),
        Value::Boolean(_) => text.trim().parse().ok().map(Value::Boolean),
        Value::Datetime(_) => text.trim().parse().ok().map(Value::Datetime),
        Value::Array(_) => {
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            Some(Value::Array(
                items.map(|item| Value::String(item.to_owned())).collect(),
            ))
        }
        Value::Table(_) => None,
    }
}

/// How many letters differ (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<_> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
