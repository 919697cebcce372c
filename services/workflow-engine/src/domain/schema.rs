//! JSON Schemas of inputs. References to other documents are refused: nothing is ever fetched.

use serde_json::Value;

/// How many places are named when an input does not match.
const REPORTED: usize = 32;
/// Longest description of one place, since messages quote the input.
const DESCRIPTION_LIMIT: usize = 300;

/// A compiled schema.
#[derive(Debug)]
pub struct Schema(jsonschema::Validator);

/// One place where an input does not match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// JSON pointer into the input.
    pub pointer: String,
    /// What is wrong.
    pub description: String,
}

impl Schema {
    /// Compiles a schema of draft 2020-12.
    ///
    /// # Errors
    /// What is wrong with the schema.
    pub fn compile(schema: &Value) -> Result<Self, String> {
        jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            // An engine without backtracking: a hostile pattern costs no more than its length.
            .with_pattern_options(jsonschema::PatternOptions::regex())
            .build(schema)
            .map(Self)
            .map_err(|error| clip(error.to_string()))
    }

    /// Where an input does not match.
    pub fn check(&self, input: &Value) -> Vec<Mismatch> {
        self.0
            .iter_errors(input)
            .take(REPORTED)
            .map(|error| Mismatch {
                pointer: error.instance_path().to_string(),
                description: clip(error.to_string()),
            })
            .collect()
    }
}

fn clip(text: String) -> String {
    if text.chars().count() <= DESCRIPTION_LIMIT {
        return text;
    }
    text.chars()
        .take(DESCRIPTION_LIMIT)
        .chain("…".chars())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_every_place() {
        let schema = Schema::compile(&json!({
            "type": "object",
            "required": ["path"],
            "properties": {"replicas": {"type": "integer", "minimum": 1}},
        }))
        .expect("a schema");
        assert!(
            schema
                .check(&json!({"path": "k8s", "replicas": 2}))
                .is_empty()
        );
        let found = schema.check(&json!({"replicas": 0}));
        let pointers: Vec<_> = found
            .iter()
            .map(|mismatch| mismatch.pointer.as_str())
            .collect();
        assert!(
            pointers.contains(&"/replicas") && pointers.contains(&""),
            "{found:?}"
        );
    }

    #[test]
    fn refuses_wrong_schemas_and_foreign_references() {
        assert!(Schema::compile(&json!({"type": "strnig"})).is_err());
        assert!(Schema::compile(&json!({"$ref": "https://example.com/schema.json"})).is_err());
        assert!(Schema::compile(&json!({"pattern": "(?=x)"})).is_err());
    }
}
