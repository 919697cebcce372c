//! Messages from protobuf JSON: what a file holds, and what a person would type after grpcurl -d.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use prost::{Message, Name};
use prost_reflect::{DeserializeOptions, DynamicMessage};
use serde_json::Value as Json;

use super::output::{CONTRACTS, short};

/// What was typed, or a file, is not what is asked for.
#[derive(Debug)]
pub struct Wrong(pub String);

impl std::fmt::Display for Wrong {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

/// A value of an enum by what people call it, for example PENDING of reeve.task.v1.TaskState.
pub fn value_of(kind: &str, typed: &str) -> Result<String> {
    let descriptor = CONTRACTS
        .get_enum_by_name(kind)
        .with_context(|| format!("{kind} is in no contract"))?;
    let names: Vec<_> = descriptor
        .values()
        .map(|value| value.name().to_owned())
        .collect();
    let legal = || names.iter().filter(|name| !name.ends_with("_UNSPECIFIED"));
    let wanted = typed.to_uppercase().replace('-', "_");
    let found = legal().find(|name| short(name) == wanted || **name == wanted);
    found.cloned().ok_or_else(|| {
        let legal: Vec<_> = legal().map(|name| short(name)).collect();
        Wrong(format!("{typed:?} is none of {}", legal.join(", "))).into()
    })
}

/// Several of them.
pub fn values_of(kind: &str, typed: &[String]) -> Result<Vec<String>> {
    typed.iter().map(|typed| value_of(kind, typed)).collect()
}

/// JSON that was typed as the value of an option.
pub fn json(option: &str, typed: &str) -> Result<Json> {
    serde_json::from_str(typed).with_context(|| Wrong(format!("{option} is not JSON")))
}

/// Pairs that were typed as key=value.
pub fn pairs(option: &str, typed: &[String]) -> Result<HashMap<String, String>> {
    let pair = |text: &String| match text.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err(Wrong(format!("{option} {text}: must be key=value")).into()),
    };
    typed.iter().map(pair).collect()
}

/// A message from its JSON. Unknown fields and enum values are refused.
pub fn message<M: Message + Name + Default>(json: Json) -> Result<M> {
    let descriptor = CONTRACTS
        .get_message_by_name(&M::full_name())
        .with_context(|| format!("{} is in no contract", M::full_name()))?;
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let dynamic = DynamicMessage::deserialize_with_options(descriptor, json, &options)
        .with_context(|| Wrong(format!("this is no {}", M::full_name())))?;
    Ok(dynamic.transcode_to()?)
}

/// A message from a file of JSON, or from stdin for `-`.
pub fn file<M: Message + Name + Default>(path: &Path) -> Result<M> {
    parse(&text_of(path)?).with_context(|| path.display().to_string())
}

/// Any JSON from a file, or from stdin for `-`.
pub fn json_file(path: &Path) -> Result<Json> {
    json(&path.display().to_string(), &text_of(path)?)
}

fn text_of(path: &Path) -> Result<String> {
    if path == Path::new("-") {
        return std::io::read_to_string(std::io::stdin()).context("cannot read stdin");
    }
    std::fs::read_to_string(path).with_context(|| Wrong(format!("cannot read {}", path.display())))
}

/// A message from JSON text.
pub fn parse<M: Message + Name + Default>(text: &str) -> Result<M> {
    message(serde_json::from_str(text).with_context(|| Wrong("this is not JSON".to_owned()))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reeve_contracts::workflow::v1::Workflow;

    #[test]
    fn the_example_workflow_is_a_workflow() {
        let text = include_str!("../../../examples/workflows/ship-manifests.json");
        let workflow: Workflow = parse(text).unwrap();
        assert_eq!(workflow.name, "ship-manifests");
    }

    #[test]
    fn a_state_is_named_as_people_read_it() {
        let state = |typed| value_of("reeve.task.v1.TaskState", typed);
        for typed in ["in-progress", "IN_PROGRESS", "TASK_STATE_IN_PROGRESS"] {
            assert_eq!(state(typed).unwrap(), "TASK_STATE_IN_PROGRESS");
        }
        let error = state("nix").unwrap_err();
        assert!(error.to_string().contains("PENDING, "), "{error}");
        assert_eq!(crate::client::exit::status(&error), 2);
        assert!(state("unspecified").is_err());
    }

    #[test]
    fn a_pair_has_one_key_and_everything_behind_the_first_equals_sign() {
        let read = pairs("--label", &["a=b=c".to_owned()]).unwrap();
        assert_eq!(read["a"], "b=c");
        let error = pairs("--label", &["a".to_owned()]).unwrap_err();
        assert_eq!(crate::client::exit::status(&error), 2);
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        let error = parse::<Workflow>(r#"{"nmae": "x"}"#).unwrap_err();
        assert!(format!("{error:#}").contains("nmae"));
    }
}
