//! Good practice in a Dockerfile.

use anyhow::{Context as _, Result};
use serde_json::{Value as Json, json};

use super::{Done, Finding, Words, refusal, say, text};

/// Lints the file at `path`.
pub fn run(parameters: &Json) -> Result<Done> {
    let path = text(parameters, "path")?;
    let content = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    say(30, "reading instructions");
    let instructions = instructions(&content);
    let findings = lint(&instructions);
    if let Some(message) = refusal(path, &findings) {
        return Ok(Done::Failed {
            code: "LINT_FAILED",
            message,
            retryable: false,
        });
    }
    let report = json!({
        "path": path,
        "instructions": instructions.len(),
        "warnings": findings.len(),
        "findings": findings,
    });
    let words = Words::of(&content, &report.to_string());
    Ok(Done::Result(report, words))
}

/// Line, name and arguments of each instruction, continuation lines joined.
fn instructions(content: &str) -> Vec<(usize, String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in content.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (start, mut joined) = open.take().unwrap_or((index + 1, String::new()));
        joined.push_str(line.trim_end_matches('\\'));
        if line.ends_with('\\') {
            joined.push(' ');
            open = Some((start, joined));
            continue;
        }
        let (name, arguments) = joined
            .split_once(char::is_whitespace)
            .unwrap_or((&joined, ""));
        found.push((start, name.to_uppercase(), arguments.trim().to_owned()));
    }
    found
}

fn lint(instructions: &[(usize, String, String)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut stages: Vec<String> = Vec::new();
    let mut user = None;
    for (line, name, arguments) in instructions {
        match name.as_str() {
            "FROM" => {
                user = None;
                let mut words = arguments
                    .split_whitespace()
                    .filter(|word| !word.starts_with("--"));
                let image = words.next().unwrap_or_default();
                if !stages.iter().any(|stage| stage == image) && !is_pinned(image) {
                    let message = format!(
                        "{image:?} is not pinned to a version; name a tag other than latest"
                    );
                    findings.push(Finding::error(*line, "pinned-base-image", message));
                }
                if let Some(stage) = words.nth(1) {
                    stages.push(stage.to_owned());
                }
            }
            "USER" => user = Some(arguments.clone()),
            "ADD" if arguments.contains("://") => {
                let message = "ADD fetches without a checksum; COPY a file that was checked";
                findings.push(Finding::error(*line, "no-remote-add", message));
            }
            "RUN"
                if arguments.contains("apt-get install")
                    && !arguments.contains("--no-install-recommends") =>
            {
                let message =
                    "apt-get install without --no-install-recommends brings what nobody asked for";
                findings.push(Finding::warning(*line, "minimal-packages", message));
            }
            _ => {}
        }
    }
    let root = user
        .as_deref()
        .is_none_or(|user| user == "root" || user == "0" || user.starts_with("0:"));
    if root {
        let message = "the image runs as root; end with USER and an unprivileged user";
        findings.push(Finding::error(0, "non-root-user", message));
    }
    findings
}

fn is_pinned(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or_default();
    let tagged = name
        .split_once(':')
        .is_some_and(|(_, tag)| !tag.is_empty() && tag != "latest");
    image == "scratch" || image.contains("@sha256:") || tagged || image.starts_with('$')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(content: &str) -> Vec<&'static str> {
        lint(&instructions(content))
            .iter()
            .map(|finding| finding.rule)
            .collect()
    }

    #[test]
    fn a_good_file_has_no_findings() {
        let content = "FROM rust:1.95-slim AS build\nRUN cargo build\nFROM debian:13-slim\nCOPY --from=build /a /a\nUSER 65532:65532\n";
        assert!(rules(content).is_empty());
    }

    #[test]
    fn finds_what_is_wrong() {
        let content = "FROM debian\nADD https://example.org/x /x\nRUN apt-get update && \\\n  apt-get install -y curl\n";
        assert_eq!(
            rules(content),
            [
                "pinned-base-image",
                "no-remote-add",
                "minimal-packages",
                "non-root-user"
            ]
        );
        assert_eq!(rules("FROM a:1\nUSER 0:0\n"), ["non-root-user"]);
    }
}
