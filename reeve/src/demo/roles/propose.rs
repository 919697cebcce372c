//! A change of a manifest's replicas, as the text that would be applied and as a diff.

use anyhow::{Context as _, Result};
use serde_json::{Value as Json, json};

use super::{Done, Words, say, text};

/// Proposes `replicas` for the file at `path`; nothing is written.
pub fn run(parameters: &Json) -> Result<Done> {
    let path = text(parameters, "path")?;
    let replicas = parameters["replicas"]
        .as_i64()
        .context("the parameter replicas is missing")?;
    let before = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    say(50, "editing");
    let Some((after, diff)) = scale(&before, replicas) else {
        let message = format!("{path} has no line \"replicas:\"");
        return Ok(Done::Failed {
            code: "NOTHING_TO_CHANGE",
            message,
            retryable: false,
        });
    };
    let words = Words::of(&before, &after);
    let artifact = json!({"path": path, "content": after});
    Ok(Done::Result(
        json!({"artifact": artifact, "diff": diff, "replicas": replicas}),
        words,
    ))
}

/// The text with its first `replicas:` set, and what changes.
fn scale(before: &str, replicas: i64) -> Option<(String, String)> {
    let old = before
        .lines()
        .find(|line| line.trim_start().starts_with("replicas:"))?;
    let indent = &old[..old.len() - old.trim_start().len()];
    let new = format!("{indent}replicas: {replicas}");
    let after = before.replacen(old, &new, 1);
    Some((after, format!("-{old}\n+{new}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_one_line() {
        let (after, diff) = scale("a: 1\n  replicas: 1\nb: 2\n", 3).unwrap();
        assert_eq!(after, "a: 1\n  replicas: 3\nb: 2\n");
        assert_eq!(diff, "-  replicas: 1\n+  replicas: 3");
        assert!(scale("a: 1\n", 3).is_none());
    }
}
