//! The types that a tenant's tasks may have, and what they do to a spec.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use reeve_schema::{Mismatch, Schema};
use serde_json::{Value as Json, json};

use super::{BUILT_IN, Spec, TaskType};

/// A type with its schema, compiled when it is first asked for.
#[derive(Debug)]
pub struct Catalogued {
    /// The type.
    pub kind: TaskType,
    schema: OnceLock<Option<Result<Schema, Vec<Mismatch>>>>,
}

impl Catalogued {
    /// Not compiled yet.
    pub fn new(kind: TaskType) -> Self {
        Self {
            kind,
            schema: OnceLock::new(),
        }
    }

    /// Where parameters do not match; those that are left out count as an empty object. A schema that
    /// this version does not take any more, though an earlier one did, matches nothing.
    pub fn check(&self, parameters: Option<&Json>) -> Checked {
        let compile = || self.kind.schema.as_ref().map(Schema::compile_within_limits);
        let empty = json!({});
        let parameters = parameters.unwrap_or(&empty);
        match self.schema.get_or_init(compile) {
            None => Checked::default(),
            Some(Ok(schema)) => Checked {
                unfit: schema.check(parameters),
                steps: schema.steps(parameters),
            },
            Some(Err(_)) => {
                let what = format!("the schema of {} must be updated", self.kind.name);
                let unfit = Mismatch {
                    pointer: String::new(),
                    description: format!("cannot be checked: {what}"),
                };
                Checked {
                    unfit: vec![unfit],
                    steps: 0,
                }
            }
        }
    }
}

/// What came of checking parameters.
#[derive(Debug, Default)]
pub struct Checked {
    /// Where they do not match.
    pub unfit: Vec<Mismatch>,
    /// What it has cost, in places of the schema times values.
    pub steps: usize,
}

/// The types of one tenant beside the built-in ones.
#[derive(Debug, Default)]
pub struct Catalogue {
    own: BTreeMap<String, Arc<Catalogued>>,
}

impl Catalogue {
    /// Of a tenant's types. Those that are as they were before keep what was compiled of them.
    pub fn new(own: Vec<TaskType>, before: Option<&Self>) -> Self {
        let kept = |kind: TaskType| {
            let earlier = before.and_then(|before| before.own.get(&kind.name));
            let same = earlier.filter(|earlier| earlier.kind == kind).cloned();
            let entry = same.unwrap_or_else(|| Arc::new(Catalogued::new(kind)));
            (entry.kind.name.clone(), entry)
        };
        Self {
            own: own.into_iter().map(kept).collect(),
        }
    }

    /// The type of that name.
    pub fn find(&self, name: &str) -> Option<&Arc<Catalogued>> {
        BUILT_IN.get(name).or_else(|| self.own.get(name))
    }

    /// A type from which an unknown name differs by upper and lower case alone: it is meant, and its
    /// schema must not be passed by.
    pub fn resembling(&self, name: &str) -> Option<&str> {
        if self.find(name).is_some() {
            return None;
        }
        let lower = name.to_ascii_lowercase();
        let own = self.own.keys();
        let similar = || own.clone().find(|own| own.eq_ignore_ascii_case(name));
        let known = BUILT_IN.get(&*lower).map(|entry| &entry.kind.name);
        known.or_else(similar).map(String::as_str)
    }

    /// About how many bytes it takes.
    pub fn weight(&self) -> usize {
        let each = self.own.values().map(|entry| {
            let schema = entry.kind.schema.as_ref();
            // As text, as values and compiled.
            512 + schema.map_or(0, |schema| schema.to_string().len() * 8)
        });
        each.sum::<usize>() + 256
    }

    /// Gives a spec what its type has by default; answers where its parameters do not match.
    pub fn complete(&self, spec: &mut Spec, names_capability: bool) -> Checked {
        let Some(entry) = self.find(&spec.kind) else {
            return Checked::default();
        };
        if !names_capability {
            spec.capability.clone_from(&entry.kind.capability);
        }
        let timeout = &mut spec.timeouts.start_to_close;
        *timeout = timeout.or(entry.kind.start_to_close);
        spec.effect = spec.effect.or(entry.kind.effect);
        entry.check(spec.parameters.as_ref())
    }
}
