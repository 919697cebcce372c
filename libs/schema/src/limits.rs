//! What a schema may cost. A schema of a few lines can expand to millions of places: definitions that
//! each refer twice to the next double with every line, and one that refers to itself has no end.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::Mismatch;
use crate::patterns::{AUTOMATA_BYTES, AUTOMATON_BYTES, Patterns};

/// How deep a schema may be nested, as JSON.
pub const MOST_DEPTH: usize = 24;
/// How many places a schema may have, each reference counted as what it refers to. A subschema is a
/// place, and so is each member of `enum` and `required`.
pub const MOST_PLACES: usize = 2_000;
/// How many patterns a schema may have, each reference counted as what it refers to.
pub const MOST_PATTERNS: usize = 64;
/// How many subschemas may lie within each other along references.
const MOST_HEIGHT: usize = 64;

const METASCHEMA: &str = "https://json-schema.org/draft/2020-12/schema";
/// What would let a reference mean something else than its pointer.
const REFUSED: [&str; 6] = [
    "$anchor",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$recursiveRef",
    "$vocabulary",
];
const ONE: [&str; 10] = [
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
const LISTS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
const MAPS: [&str; 3] = ["dependentSchemas", "patternProperties", "properties"];
/// Subschemas that apply only where something refers to them.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// Refuses a schema that is nested too deep to be walked.
pub fn depth(schema: &Value) -> Result<(), Vec<Mismatch>> {
    if is_deeper(schema, MOST_DEPTH) {
        let what = format!("must be nested at most {MOST_DEPTH} levels deep");
        return Err(vec![fault("", what)]);
    }
    Ok(())
}

fn is_deeper(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(_) | Value::Object(_) if levels == 0 => true,
        Value::Array(items) => items.iter().any(|item| is_deeper(item, levels - 1)),
        Value::Object(members) => members.values().any(|item| is_deeper(item, levels - 1)),
        _ => false,
    }
}

/// How many places a schema has.
pub fn places(schema: &Value) -> Result<usize, Vec<Mismatch>> {
    let mut walk = Walk {
        root: schema,
        known: HashMap::new(),
        open: HashSet::new(),
        patterns: Patterns::default(),
        faults: Vec::new(),
    };
    let extent = walk.extent(schema, "");
    let bounds = [
        (extent.places, MOST_PLACES, "places"),
        (extent.patterns, MOST_PATTERNS, "patterns"),
        (
            extent.automata,
            AUTOMATA_BYTES,
            "bytes of automata for its patterns",
        ),
    ];
    for (found, most, what) in bounds {
        if found > most {
            let rule =
                format!("must have at most {most} {what}, each $ref counted as what it refers to");
            walk.faults.push(fault("", rule));
        }
    }
    if walk.faults.is_empty() {
        Ok(extent.places)
    } else {
        walk.faults.truncate(crate::REPORTED);
        Err(walk.faults)
    }
}

fn too_high(pointer: &str) -> Mismatch {
    let rule = format!("must have at most {MOST_HEIGHT} subschemas within each other");
    fault(pointer, rule)
}

fn fault(pointer: &str, description: impl Into<String>) -> Mismatch {
    Mismatch {
        pointer: pointer.to_owned(),
        description: description.into(),
    }
}

/// How large a subschema is once its references are followed.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    places: usize,
    patterns: usize,
    /// What the patterns take.
    automata: usize,
    /// How many subschemas lie within each other.
    height: usize,
}

impl Extent {
    fn add(&mut self, inner: Self) {
        self.places = self.places.saturating_add(inner.places);
        self.patterns = self.patterns.saturating_add(inner.patterns);
        self.automata = self.automata.saturating_add(inner.automata);
        self.height = self.height.max(inner.height + 1);
    }
}

struct Walk<'a> {
    root: &'a Value,
    /// Subschemas by where they are in memory; the root is not moved meanwhile.
    known: HashMap<*const Value, Extent>,
    /// Those that the walk is within.
    open: HashSet<*const Value>,
    patterns: Patterns<'a>,
    faults: Vec<Mismatch>,
}

impl<'a> Walk<'a> {
    fn extent(&mut self, schema: &'a Value, pointer: &str) -> Extent {
        let place = std::ptr::from_ref(schema);
        if let Some(known) = self.known.get(&place) {
            return *known;
        }
        if self.open.len() >= MOST_HEIGHT {
            self.faults.push(too_high(pointer));
            return Extent::default();
        }
        if !self.open.insert(place) {
            self.faults
                .push(fault(pointer, "must not refer to what it is a part of"));
            return Extent::default();
        }
        let extent = match schema {
            Value::Object(keywords) => self.of_keywords(keywords, pointer),
            _ => Extent {
                places: 1,
                height: 1,
                ..Extent::default()
            },
        };
        self.open.remove(&place);
        // What was known already is not walked again, whatever it is within.
        if extent.height > MOST_HEIGHT {
            self.faults.push(too_high(pointer));
        }
        self.known.insert(place, extent);
        extent
    }

    fn of_keywords(&mut self, keywords: &'a Map<String, Value>, pointer: &str) -> Extent {
        let members = |keyword: &str| {
            let list = keywords.get(keyword).and_then(Value::as_array);
            list.map_or(0, Vec::len)
        };
        let mut extent = Extent {
            places: 1 + members("enum") + members("required"),
            height: 1,
            ..Extent::default()
        };
        self.refuse(keywords, pointer);
        self.weigh_patterns(&mut extent, keywords, pointer);
        for keyword in ONE {
            if let Some(inner) = keywords.get(keyword) {
                extent.add(self.extent(inner, &format!("{pointer}/{keyword}")));
            }
        }
        for keyword in LISTS {
            let list = keywords.get(keyword).and_then(Value::as_array);
            for (at, inner) in list.into_iter().flatten().enumerate() {
                extent.add(self.extent(inner, &format!("{pointer}/{keyword}/{at}")));
            }
        }
        for keyword in MAPS {
            for (inner, at) in subschemas(keywords, keyword, pointer) {
                extent.add(self.extent(inner, &at));
            }
        }
        for keyword in DEFINITIONS {
            for (inner, at) in subschemas(keywords, keyword, pointer) {
                self.extent(inner, &at);
            }
        }
        if let Some(reference) = keywords.get("$ref").and_then(Value::as_str) {
            extent.add(self.of_reference(reference, &format!("{pointer}/$ref")));
        }
        // What is left over is found by looking at everything else once more.
        if keywords
            .keys()
            .any(|keyword| keyword.starts_with("unevaluated"))
        {
            extent.places = extent.places.saturating_mul(2);
        }
        extent
    }

    fn weigh_patterns(
        &mut self,
        extent: &mut Extent,
        keywords: &'a Map<String, Value>,
        pointer: &str,
    ) {
        let pattern = keywords.get("pattern").and_then(Value::as_str);
        let pattern = pattern.map(|text| (text, format!("{pointer}/pattern")));
        let names = keywords.get("patternProperties").and_then(Value::as_object);
        let names = names.into_iter().flat_map(Map::keys).map(|name| {
            let at = format!("{pointer}/patternProperties/{}", escaped(name));
            (name.as_str(), at)
        });
        for (text, at) in pattern.into_iter().chain(names) {
            extent.patterns += 1;
            match self.patterns.weigh(text) {
                Some(bytes) => extent.automata = extent.automata.saturating_add(bytes),
                None => {
                    let rule = format!(
                        "must become an automaton of at most {AUTOMATON_BYTES} bytes: fewer counted \
                         repetitions behind open ones, and no \\b"
                    );
                    self.faults.push(fault(&at, rule));
                }
            }
        }
    }

    fn of_reference(&mut self, reference: &str, pointer: &str) -> Extent {
        let inside = reference
            .strip_prefix('#')
            .filter(|inside| inside.is_empty() || inside.starts_with('/'))
            .filter(|inside| !inside.contains('%'));
        let root = self.root;
        let target = inside.and_then(|inside| root.pointer(inside));
        match target.filter(|target| target.is_object() || target.is_boolean()) {
            Some(target) => self.extent(target, pointer),
            None => {
                let rule =
                    "must be # and a JSON pointer to a subschema of the same schema, without %";
                self.faults.push(fault(pointer, rule));
                Extent::default()
            }
        }
    }

    fn refuse(&mut self, keywords: &Map<String, Value>, pointer: &str) {
        for keyword in REFUSED {
            if keywords.contains_key(keyword) {
                let at = format!("{pointer}/{keyword}");
                self.faults.push(fault(&at, "must not be used"));
            }
        }
        let other = keywords.get("$schema").is_some_and(|draft| {
            let draft = draft.as_str().map(|draft| draft.trim_end_matches('#'));
            draft != Some(METASCHEMA)
        });
        if other {
            let at = format!("{pointer}/$schema");
            self.faults
                .push(fault(&at, format!("must be {METASCHEMA}, or left out")));
        }
    }
}

/// The subschemas of a keyword that holds them by name, each with its pointer.
fn subschemas<'a>(
    keywords: &'a Map<String, Value>,
    keyword: &str,
    pointer: &str,
) -> Vec<(&'a Value, String)> {
    let named = keywords.get(keyword).and_then(Value::as_object);
    named
        .into_iter()
        .flatten()
        .map(|(name, inner)| {
            let name = escaped(name);
            (inner, format!("{pointer}/{keyword}/{name}"))
        })
        .collect()
}

/// A name as a JSON pointer has it.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
