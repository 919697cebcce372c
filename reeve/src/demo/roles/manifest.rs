//! What a Kubernetes manifest must have before anybody applies it.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize as _;
use serde_json::{Value as Json, json};

use super::{Done, Finding, Words, refusal, say, text};

/// Validates every document of the file at `path`. The first use of a `cache` folder only fills it.
pub fn run(parameters: &Json) -> Result<Done> {
    let path = text(parameters, "path")?;
    let content = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let documents = match documents(&content) {
        Ok(documents) => documents,
        Err(error) => {
            let message = format!("{path} is not YAML: {error}");
            return Ok(Done::Failed {
                code: "NOT_YAML",
                message,
                retryable: false,
            });
        }
    };
    let findings: Vec<_> = documents.iter().flat_map(check).collect();
    if let Some(message) = refusal(path, &findings) {
        return Ok(Done::Failed {
            code: "MANIFEST_INVALID",
            message,
            retryable: true,
        });
    }
    if let Some(cache) = parameters["cache"].as_str()
        && fill(Path::new(cache), &documents)?
    {
        let message = "the cache was cold and has been filled; try again".to_owned();
        return Ok(Done::Failed {
            code: "CACHE_COLD",
            message,
            retryable: true,
        });
    }
    let report = json!({
        "path": path,
        "resources": documents.iter().map(name).collect::<Vec<_>>(),
        "replicas": replicas(&documents),
        "findings": findings,
    });
    let words = Words::of(&content, &report.to_string());
    Ok(Done::Result(report, words))
}

/// The documents of a YAML stream, without empty ones.
pub fn documents(content: &str) -> Result<Vec<Json>, serde_yaml_ng::Error> {
    let parsed = serde_yaml_ng::Deserializer::from_str(content).map(Json::deserialize);
    Ok(parsed
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .filter(|json| !json.is_null())
        .collect())
}

/// The replicas of the first Deployment; 0 without one.
fn replicas(documents: &[Json]) -> i64 {
    let deployment = documents
        .iter()
        .find(|document| document["kind"] == "Deployment");
    deployment.map_or(0, |document| {
        document["spec"]["replicas"].as_i64().unwrap_or(1)
    })
}

fn name(document: &Json) -> String {
    let text = |json: &Json| json.as_str().unwrap_or("?").to_owned();
    format!(
        "{}/{}",
        text(&document["kind"]),
        text(&document["metadata"]["name"])
    )
}

fn check(document: &Json) -> Vec<Finding> {
    let mut findings = Vec::new();
    let of = name(document);
    for key in ["apiVersion", "kind"] {
        if document[key].as_str().is_none_or(str::is_empty) {
            findings.push(Finding::error(
                0,
                "required",
                format!("{of}: {key} is missing"),
            ));
        }
    }
    if document["metadata"]["name"]
        .as_str()
        .is_none_or(str::is_empty)
    {
        findings.push(Finding::error(
            0,
            "required",
            format!("{of}: metadata.name is missing"),
        ));
    }
    let pod = &document["spec"]["template"]["spec"];
    if pod.is_object() {
        findings.extend(check_pod(&of, pod));
    }
    findings
}

fn check_pod(of: &str, pod: &Json) -> Vec<Finding> {
    let mut findings = Vec::new();
    let containers = pod["containers"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if containers.is_empty() {
        findings.push(Finding::error(
            0,
            "required",
            format!("{of}: the pod has no containers"),
        ));
    }
    for container in containers {
        let which = container["name"].as_str().unwrap_or("?");
        match container["image"].as_str() {
            None => findings.push(Finding::error(
                0,
                "required",
                format!("{of}: container {which} has no image"),
            )),
            Some(image) if !image.contains(':') || image.ends_with(":latest") => {
                findings.push(Finding::error(
                    0,
                    "pinned-image",
                    format!("{of}: {image} is not pinned"),
                ));
            }
            Some(_) => {}
        }
        if container["resources"]["limits"]["memory"].is_null() {
            let message = format!("{of}: container {which} has no memory limit");
            findings.push(Finding::warning(0, "memory-limit", message));
        }
    }
    if pod["securityContext"]["runAsNonRoot"] != true {
        findings.push(Finding::error(
            0,
            "non-root",
            format!("{of}: runAsNonRoot is not true"),
        ));
    }
    findings
}

/// Keeps what the file describes for later checks; true when there was nothing yet.
fn fill(cache: &Path, documents: &[Json]) -> Result<bool> {
    let index = cache.join("resources.json");
    let cold = !index.exists();
    std::fs::create_dir_all(cache)?;
    say(
        60,
        if cold {
            "filling the cache"
        } else {
            "using the cache"
        },
    );
    let names: Vec<_> = documents.iter().map(name).collect();
    std::fs::write(&index, serde_json::to_vec(&names)?)?;
    Ok(cold)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/manifests/");

    fn findings(file: &str) -> Vec<String> {
        let content = std::fs::read_to_string(format!("{ROOT}{file}")).unwrap();
        let documents = documents(&content).unwrap();
        documents
            .iter()
            .flat_map(check)
            .map(|finding| finding.message)
            .collect()
    }

    #[test]
    fn the_example_is_sound() {
        assert_eq!(findings("web.yaml"), Vec::<String>::new());
    }

    #[test]
    fn the_broken_one_is_broken() {
        let found = findings("broken.yaml").join("\n");
        for part in ["metadata.name is missing", "has no image", "runAsNonRoot"] {
            assert!(found.contains(part), "{part:?} is not among:\n{found}");
        }
    }

    #[test]
    fn a_cold_cache_asks_for_another_attempt() {
        let folder = tempfile::tempdir().unwrap();
        assert!(fill(folder.path(), &[]).unwrap());
        assert!(!fill(folder.path(), &[]).unwrap());
    }
}
