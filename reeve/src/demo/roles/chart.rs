//! The shape of a Helm chart: what it must have, and that its files are what they claim to be.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value as Json, json};

use super::{Done, Finding, Words, refusal, say, text};

/// Validates the chart in the folder at `path`.
pub fn run(parameters: &Json) -> Result<Done> {
    let path = text(parameters, "path")?;
    let folder = Path::new(path);
    let read = |name: &str| {
        let file = folder.join(name);
        std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
    };
    let (about, values) = (read("Chart.yaml")?, read("values.yaml")?);
    let mut findings = about_findings(&about);
    if let Err(error) = serde_yaml_ng::from_str::<serde_yaml_ng::Value>(&values) {
        findings.push(Finding::error(
            0,
            "values-yaml",
            format!("values.yaml: {error}"),
        ));
    }
    say(50, "reading templates");
    let mut all = format!("{about}{values}");
    let mut templates = 0;
    for entry in std::fs::read_dir(folder.join("templates"))? {
        let file = entry?.path();
        let content = std::fs::read_to_string(&file)?;
        templates += 1;
        findings.extend(template_findings(&file.display().to_string(), &content));
        all.push_str(&content);
    }
    if let Some(message) = refusal(path, &findings) {
        return Ok(Done::Failed {
            code: "CHART_INVALID",
            message,
            retryable: false,
        });
    }
    let report = json!({"path": path, "templates": templates, "warnings": findings.len(), "findings": findings});
    let words = Words::of(&all, &report.to_string());
    Ok(Done::Result(report, words))
}

fn about_findings(about: &str) -> Vec<Finding> {
    let parsed = match serde_yaml_ng::from_str::<Json>(about) {
        Ok(parsed) => parsed,
        Err(error) => {
            return vec![Finding::error(
                0,
                "chart-yaml",
                format!("Chart.yaml: {error}"),
            )];
        }
    };
    let mut findings = Vec::new();
    if parsed["apiVersion"] != "v2" {
        findings.push(Finding::error(
            0,
            "api-version",
            "Chart.yaml: apiVersion must be v2",
        ));
    }
    for key in ["name", "version"] {
        if parsed[key].as_str().is_none_or(str::is_empty) {
            findings.push(Finding::error(
                0,
                "required",
                format!("Chart.yaml: {key} is missing"),
            ));
        }
    }
    for key in ["description", "appVersion"] {
        if parsed[key].is_null() {
            findings.push(Finding::warning(
                0,
                "recommended",
                format!("Chart.yaml: {key} is missing"),
            ));
        }
    }
    findings
}

fn template_findings(file: &str, content: &str) -> Option<Finding> {
    let (open, close) = (content.matches("{{").count(), content.matches("}}").count());
    let message = format!("{file}: {open} \"{{{{\" and {close} \"}}}}\"");
    (open != close).then(|| Finding::error(0, "balanced-braces", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_needs_its_name_and_version() {
        let good = "apiVersion: v2\nname: a\nversion: 1.0.0\ndescription: b\nappVersion: '1'\n";
        assert!(about_findings(good).is_empty());
        let rules: Vec<_> = about_findings("apiVersion: v1\n")
            .iter()
            .map(|f| f.rule)
            .collect();
        assert_eq!(
            rules,
            [
                "api-version",
                "required",
                "required",
                "recommended",
                "recommended"
            ]
        );
    }

    #[test]
    fn braces_come_in_pairs() {
        assert!(template_findings("a", "{{ .Values.x }}").is_none());
        assert!(template_findings("a", "{{ .Values.x }").is_some());
    }
}
