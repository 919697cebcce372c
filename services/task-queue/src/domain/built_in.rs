//! The types that every tenant has: data in `task_types/`, one file for each category, read once.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::{Catalogued, Category, Effect, TaskType};

/// The built-in types by name.
pub static BUILT_IN: LazyLock<BTreeMap<String, Arc<Catalogued>>> = LazyLock::new(|| {
    let shared = serde_json::from_str(SHARED).expect("tests read it");
    let files = FILES.iter().flat_map(|text| {
        let file: File = serde_json::from_str(text).expect("tests read it");
        file.types(&shared)
    });
    files
        .map(|kind| (kind.name.clone(), Arc::new(Catalogued::new(kind))))
        .collect()
});

/// Definitions that the schemas share.
const SHARED: &str = include_str!("../../task_types/shared.json");
const FILES: [&str; 7] = [
    include_str!("../../task_types/project_management.json"),
    include_str!("../../task_types/development.json"),
    include_str!("../../task_types/finance.json"),
    include_str!("../../task_types/quality_assurance.json"),
    include_str!("../../task_types/devops.json"),
    include_str!("../../task_types/security.json"),
    include_str!("../../task_types/agent_management.json"),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    category: String,
    types: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    capability: String,
    timeout_seconds: i64,
    effect: String,
    description: String,
    parameters_schema: Map<String, Json>,
}

impl File {
    fn types(self, shared: &Map<String, Json>) -> Vec<TaskType> {
        let category = Category::ALL
            .into_iter()
            .find(|category| category.word() == self.category)
            .expect("tests read it");
        let kind = |entry: Entry| TaskType {
            name: entry.name,
            own: None,
            category,
            description: entry.description,
            capability: entry.capability,
            start_to_close: Some(TimeDelta::seconds(entry.timeout_seconds)),
            schema: Some(whole(entry.parameters_schema, shared)),
            effect: Some(effect(&entry.effect)),
        };
        self.types.into_iter().map(kind).collect()
    }
}

fn effect(word: &str) -> Effect {
    let found = Effect::ALL.into_iter().find(|effect| effect.word() == word);
    found.expect("tests read it")
}

/// A schema together with those shared definitions that it refers to, so that it stands alone.
fn whole(mut schema: Map<String, Json>, shared: &Map<String, Json>) -> Json {
    let mut needed = BTreeMap::new();
    for member in schema.values() {
        collect(member, shared, &mut needed);
    }
    let definitions: Map<_, _> = needed
        .into_iter()
        .map(|(name, definition)| (name.to_owned(), definition.clone()))
        .collect();
    schema.insert("$defs".to_owned(), Json::Object(definitions));
    Json::Object(schema)
}

fn collect<'a>(
    json: &'a Json,
    shared: &'a Map<String, Json>,
    needed: &mut BTreeMap<&'a str, &'a Json>,
) {
    match json {
        Json::Object(members) => {
            let reference = members.get("$ref").and_then(Json::as_str);
            let name = reference.and_then(|text| text.strip_prefix("#/$defs/"));
            if let Some((name, definition)) = name.and_then(|name| shared.get_key_value(name))
                && needed.insert(name, definition).is_none()
            {
                collect(definition, shared, needed);
            }
            members
                .values()
                .for_each(|member| collect(member, shared, needed));
        }
        Json::Array(items) => items.iter().for_each(|item| collect(item, shared, needed)),
        _ => {}
    }
}

#[cfg(test)]
#[path = "built_in_tests.rs"]
mod tests;
