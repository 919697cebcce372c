//! docs/task-types.md is made of the catalogue that the service answers with.

use std::fmt::Write as _;

use reeve_contracts::task::v1::{ListTaskTypesRequest, TaskType, TaskTypeCategory};
use serde_json::{Map, Value as Json};

use crate::harness::*;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/task-types.md");
/// Set, the page is written rather than compared.
const WRITE: &str = "REEVE_WRITE_DOCS";
const HEAD: &str = "# The built-in task types

Made by `REEVE_WRITE_DOCS=1 cargo test -p reeve-task-queue --test api types_page` from
`services/task-queue/task_types/`; do not edit it here.

A task whose `type` is one of these has its `parameters` checked when it is created: what is bold is
required, and what is not named is refused. Where its spec names no capability, no
`start_to_close_timeout` or no effect, it gets those of the type. `reeve task-type get <name>` prints the JSON Schema
in full, with the bounds of each parameter. Tenants have types of their own beside these
(`reeve.task.v1.TaskTypeService`).

Every type also takes `instructions`, what else the agent should know or heed in plain words, and
`context`, an object into which nobody looks.
";

#[tokio::test]
async fn the_page_says_what_the_catalogue_says() {
    let world = World::start().await;
    let list = world.ask(ListTaskTypesRequest::default());
    let list = world.types().list_task_types(list).await.expect("a list");
    let page = page(list.into_inner().task_types);
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(PAGE, &page).expect("the page can be written");
    }
    let written = std::fs::read_to_string(PAGE).expect("the page is there");
    let different = written.lines().zip(page.lines()).find(|(a, b)| a != b);
    assert_eq!(different, None, "set {WRITE}=1 to write it");
    assert_eq!(written.len(), page.len(), "set {WRITE}=1 to write it");
}

fn page(types: Vec<TaskType>) -> String {
    let mut page = HEAD.to_owned();
    let categories = (1..).map_while(|number| TaskTypeCategory::try_from(number).ok());
    for category in categories {
        let of_category: Vec<_> = types
            .iter()
            .filter(|it| it.category() == category)
            .collect();
        if of_category.is_empty() {
            continue;
        }
        let name = category
            .as_str_name()
            .trim_start_matches("TASK_TYPE_CATEGORY_");
        writeln!(page, "\n## {name}").expect("a string takes it");
        for kind in of_category {
            entry(&mut page, kind).expect("a string takes it");
        }
    }
    page
}

fn entry(page: &mut String, kind: &TaskType) -> std::fmt::Result {
    let minutes = kind
        .start_to_close_timeout
        .map_or(0, |timeout| timeout.seconds / 60);
    writeln!(page, "\n### `{}`\n\n{}", kind.name, kind.description)?;
    writeln!(
        page,
        "Capability `{}`, {minutes} minutes, {}.\n",
        kind.capability,
        kind.effect()
            .as_str_name()
            .trim_start_matches("TASK_EFFECT_")
    )?;
    let schema = kind.parameters_schema.clone().expect("a schema");
    let schema = reeve_wellknown::json_from_struct(schema);
    writeln!(page, "| parameter | | |\n|---|---|---|")?;
    for (name, says) in schema["properties"].as_object().into_iter().flatten() {
        if ["instructions", "context"].contains(&name.as_str()) {
            continue;
        }
        let required = schema["required"].as_array().into_iter().flatten();
        let mark = if required.clone().any(|one| one == name) {
            "**"
        } else {
            ""
        };
        let whole = merged(says, &schema["$defs"]);
        let description = whole["description"].as_str().unwrap_or_default();
        let shape = shape(&whole, &schema["$defs"]);
        writeln!(page, "| {mark}`{name}`{mark} | {shape} | {description} |")?;
    }
    if let Some(alternatives) = schema["anyOf"].as_array() {
        let members = |one: &Json| {
            let names = one["required"].as_array().into_iter().flatten();
            let names: Vec<_> = names
                .filter_map(Json::as_str)
                .map(|it| format!("`{it}`"))
                .collect();
            names.join(" and ")
        };
        let members: Vec<_> = alternatives.iter().map(members).collect();
        writeln!(page, "\nOne of these is required: {}.", members.join("; "))?;
    }
    Ok(())
}

/// A member together with what it refers to.
fn merged(member: &Json, definitions: &Json) -> Json {
    let mut whole = Map::new();
    let name = member["$ref"]
        .as_str()
        .and_then(|text| text.strip_prefix("#/$defs/"));
    if let Some(Json::Object(definition)) = name.map(|name| &definitions[name]) {
        whole.extend(definition.clone());
    }
    whole.extend(member.as_object().cloned().into_iter().flatten());
    Json::Object(whole)
}

/// What a value looks like, in a few words.
fn shape(whole: &Json, definitions: &Json) -> String {
    if let Some(values) = whole["enum"].as_array() {
        let values = values.iter().filter_map(Json::as_str);
        let values: Vec<_> = values.map(|it| format!("`{it}`")).collect();
        return values.join(", ");
    }
    match whole["type"].as_str() {
        Some("array") => {
            let item = shape(&merged(&whole["items"], definitions), definitions);
            format!("list of {item}")
        }
        Some("object") => match whole["properties"].as_object() {
            Some(members) => {
                let names: Vec<_> = members.keys().map(|name| format!("`{name}`")).collect();
                format!("object: {}", names.join(", "))
            }
            None => "object".to_owned(),
        },
        Some(other) => other.to_owned(),
        None => "any".to_owned(),
    }
}
