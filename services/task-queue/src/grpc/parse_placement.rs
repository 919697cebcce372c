//! Which agents a task wants.

use std::collections::{BTreeMap, HashMap};

use reeve_contracts::task::v1 as proto;
use reeve_status::Violations;
use semver::VersionReq;

use super::parse;
use crate::domain::{Placement, Requirement};

/// Characters of a version range.
const RANGE: usize = 128;
/// Attributes, and labels.
const PAIRS: usize = 16;
/// Agents to avoid.
const AVOIDED: usize = 32;

/// What a spec says of the agents that may be given the task.
pub fn placement(v: &mut Violations, spec: &proto::TaskSpec) -> Placement {
    let requirement = spec.requirement.as_ref();
    let requirement =
        requirement.map(|asked| v.within("requirement", |v| requirement_of(v, asked)));
    let avoided = &spec.avoid_agent_ids;
    v.check(
        avoided.len() <= AVOIDED,
        "avoid_agent_ids",
        format!("must be at most {AVOIDED}"),
    );
    let pinned = parse::optional(v, "pinned_agent_id", &spec.pinned_agent_id);
    let mut avoid = Vec::with_capacity(avoided.len());
    for (at, text) in avoided.iter().enumerate() {
        let field = format!("avoid_agent_ids[{at}]");
        let Some(id) = parse::required(v, &field, text) else {
            continue;
        };
        v.check(
            pinned != Some(id),
            field,
            "must not be the agent that the task is pinned to",
        );
        avoid.push(id);
    }
    avoid.sort_unstable();
    avoid.dedup();
    Placement {
        requirement: requirement.unwrap_or_default(),
        pinned,
        avoid,
        avoid_failed: spec.avoid_failed_agents,
    }
}

fn requirement_of(v: &mut Violations, asked: &proto::CapabilityRequirement) -> Requirement {
    Requirement {
        versions: versions(v, &asked.version_range),
        attributes: pairs(v, "attributes", &asked.attributes, 128),
        labels: pairs(v, "agent_labels", &asked.agent_labels, 63),
    }
}

fn versions(v: &mut Violations, range: &str) -> Option<VersionReq> {
    if range.is_empty() {
        return None;
    }
    let rule = "must be a range of semantic versions, for example \">=1.2, <2\", of at most 128 \
                characters";
    let parsed = (range.len() <= RANGE).then(|| VersionReq::parse(range).ok());
    let parsed = parsed.flatten();
    v.check(parsed.is_some(), "version_range", rule);
    parsed
}

fn pairs(
    v: &mut Violations,
    field: &str,
    asked: &HashMap<String, String>,
    most: usize,
) -> BTreeMap<String, String> {
    v.check(
        asked.len() <= PAIRS,
        field,
        format!("must be at most {PAIRS}"),
    );
    for (key, value) in asked {
        let place = format!("{field}[{key:?}]");
        v.check(!key.is_empty(), &place, "must have a name");
        parse::text(v, &place, key, most);
        parse::text(v, &place, value, 256);
    }
    let asked = asked.iter();
    asked
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
