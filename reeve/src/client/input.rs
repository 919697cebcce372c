//! Messages from protobuf JSON: what a file holds, and what a person would type after grpcurl -d.

use anyhow::{Context as _, Result};
use prost::{Message, Name};
use prost_reflect::{DeserializeOptions, DynamicMessage};
use serde_json::Value as Json;

use super::output::CONTRACTS;

/// A message from its JSON. Unknown fields and enum values are refused.
pub fn message<M: Message + Name + Default>(json: Json) -> Result<M> {
    let descriptor = CONTRACTS
        .get_message_by_name(&M::full_name())
        .with_context(|| format!("{} is in no contract", M::full_name()))?;
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let dynamic = DynamicMessage::deserialize_with_options(descriptor, json, &options)
        .with_context(|| format!("this is no {}", M::full_name()))?;
    Ok(dynamic.transcode_to()?)
}

/// A message from JSON text.
pub fn parse<M: Message + Name + Default>(text: &str) -> Result<M> {
    message(serde_json::from_str(text).context("this is not JSON")?)
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
    fn a_misspelt_field_is_refused() {
        let error = parse::<Workflow>(r#"{"nmae": "x"}"#).unwrap_err();
        assert!(format!("{error:#}").contains("nmae"));
    }
}
