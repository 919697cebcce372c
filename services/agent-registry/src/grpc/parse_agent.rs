//! From requests of AgentService to operations, with every violation.

use std::collections::HashSet;

use reeve_contracts::agent::v1 as proto;
use reeve_ids::AgentId;
use reeve_postgres::page;
use reeve_status::{Code, Fault, Reason, Violations};
use semver::{Version, VersionReq};
use serde_json::json;
use uuid::Uuid;

use super::parse;
use crate::domain::agent::{Capability, Spec};
use crate::domain::state::AgentState;
use crate::operations::agents::Query;
use crate::operations::register_agent::Registration;
use crate::operations::transition_agent::Wish;
use crate::operations::update_agent::Change;
use crate::operations::watch::Cursor;
use crate::storage::agents::Selection;

const TYPE_LENGTH: usize = 64;
const CAPABILITIES: usize = 64;
const ATTRIBUTES_BYTES: usize = 4 * 1024;
const METADATA_BYTES: usize = 16 * 1024;
const REASON_LENGTH: usize = 1_024;
const MOST_TASKS: i32 = 10_000;
const FILTER_LABELS: usize = 16;
const WATCHED_AGENTS: usize = 100;

pub fn registration(request: proto::RegisterAgentRequest) -> Result<Registration, Fault> {
    let mut violations = Violations::new();
    agent_name(&mut violations, "name", &request.name);
    agent_type(&mut violations, "type", &request.r#type);
    parse::text(
        &mut violations,
        "model_id",
        &request.model_id,
        parse::NAME_LENGTH,
    );
    violations.check(
        !request.model_id.contains('\0'),
        "model_id",
        "must not contain U+0000",
    );
    let spec = Spec {
        kind: request.r#type,
        model_id: request.model_id,
        capabilities: capabilities(&mut violations, request.capabilities),
        max_concurrent_tasks: tasks(&mut violations, request.max_concurrent_tasks),
        labels: parse::labels(&mut violations, request.labels, None),
        metadata: parse::map(
            &mut violations,
            "metadata",
            request.metadata,
            METADATA_BYTES,
        ),
    };
    let capabilities: Vec<_> = spec
        .capabilities
        .iter()
        .map(|c| json!([c.name, c.version, c.attributes]))
        .collect();
    let body = json!([
        request.name,
        spec.kind,
        spec.model_id,
        capabilities,
        spec.max_concurrent_tasks,
        spec.labels,
        spec.metadata,
    ]);
    let request_id = request.request_id;
    let request_key = parse::request_key(&mut violations, "RegisterAgent", request_id, &body);
    violations.finish()?;
    Ok(Registration {
        name: request.name,
        spec,
        request: request_key,
    })
}

pub fn wish(request: proto::TransitionAgentRequest) -> Result<Wish, Fault> {
    let mut violations = Violations::new();
    let agent_id = parse::id(&mut violations, "agent_id", &request.agent_id);
    let state = state(&mut violations, "state", request.state);
    reason(&mut violations, &request.reason);
    let epoch = epoch(&mut violations, request.epoch);
    violations.finish()?;
    let (Some(agent_id), Some(state)) = (agent_id, state) else {
        return Err(Fault::internal());
    };
    Ok(Wish {
        agent_id,
        state,
        reason: request.reason,
        etag: request.etag,
        epoch,
    })
}

pub fn drain(request: proto::DrainAgentRequest) -> Result<Wish, Fault> {
    wish(proto::TransitionAgentRequest {
        agent_id: request.agent_id,
        state: proto::AgentState::Draining.into(),
        reason: request.reason,
        etag: request.etag,
        epoch: request.epoch,
    })
}

/// The process that asks; 0 is whoever asks for whichever process runs.
fn epoch(violations: &mut Violations, epoch: i64) -> Option<i64> {
    violations.check(epoch >= 0, "epoch", "must not be negative");
    (epoch != 0).then_some(epoch)
}

pub fn agent_id(text: &str) -> Result<AgentId, Fault> {
    let mut violations = Violations::new();
    let agent_id = parse::id(&mut violations, "agent_id", text);
    violations.finish()?;
    agent_id.ok_or_else(Fault::internal)
}

/// A list: what to select, after which agent, how many, and what the next page's token is bound to.
pub struct List {
    pub query: Query,
    pub after: Option<Uuid>,
    pub size: usize,
    pub binding: String,
}

pub fn list(request: proto::ListAgentsRequest) -> Result<List, Fault> {
    let mut violations = Violations::new();
    let size = violations.take_size(request.page_size);
    let filter = request.filter.unwrap_or_default();
    let (query, binding) = violations.within("filter", |inner| query(inner, filter));
    violations.finish()?;
    let after = page::decode(&request.page_token, &binding)?;
    Ok(List {
        query,
        after,
        size,
        binding,
    })
}

/// page_size as a violation like any other.
trait TakeSize {
    fn take_size(&mut self, requested: i32) -> usize;
}

impl TakeSize for Violations {
    fn take_size(&mut self, requested: i32) -> usize {
        self.check(requested >= 0, "page_size", "must be from 0 to 1000");
        let size = page::size(requested.max(0)).unwrap_or_default();
        usize::try_from(size).unwrap_or_default()
    }
}

fn query(violations: &mut Violations, filter: proto::AgentFilter) -> (Query, String) {
    violations.check(
        filter.types.len() <= 32,
        "types",
        "must have at most 32 entries",
    );
    violations.check(
        filter.names.len() <= 100,
        "names",
        "must have at most 100 entries",
    );
    violations.check(
        filter.states.len() <= 8,
        "states",
        "must have at most 8 entries",
    );
    let states = filter.states.iter().enumerate();
    let mut states: Vec<_> = states
        .filter_map(|(at, number)| state(violations, &format!("states[{at}]"), *number))
        .map(|state| state.as_str().to_owned())
        .collect();
    states.sort_unstable();
    for (at, name) in filter.types.iter().enumerate() {
        agent_type(violations, &format!("types[{at}]"), name);
    }
    for (at, name) in filter.names.iter().enumerate() {
        agent_name(violations, &format!("names[{at}]"), name);
    }
    if !filter.capability.is_empty() {
        capability_name(violations, "capability", &filter.capability);
    }
    let range = &filter.capability_version_range;
    let versions = (!range.is_empty())
        .then(|| {
            let named = !filter.capability.is_empty();
            violations.check(
                named,
                "capability",
                "must be set when capability_version_range is",
            );
            violations.take("capability_version_range", VersionReq::parse(range))
        })
        .flatten();
    let labels = parse::labels(violations, filter.labels, Some(FILTER_LABELS));
    let some = |list: Vec<String>| (!list.is_empty()).then_some(list);
    let binding = json!([
        states,
        filter.types,
        filter.names,
        filter.capability,
        range,
        labels
    ]);
    let selection = Selection {
        states: some(states),
        types: some(filter.types),
        names: some(filter.names),
        capability: (!filter.capability.is_empty()).then_some(filter.capability),
        labels: (!labels.is_empty()).then_some(labels),
        ids: None,
    };
    (
        Query {
            selection,
            versions,
        },
        binding.to_string(),
    )
}

/// A cursor is bound to the tenant and to what is followed, like a page token to its filter.
pub fn watch(
    request: &proto::WatchAgentsRequest,
    tenant: impl std::fmt::Display,
) -> Result<(HashSet<AgentId>, Option<Cursor>, String), Fault> {
    let mut violations = Violations::new();
    let most = request.agent_ids.len() <= WATCHED_AGENTS;
    violations.check(most, "agent_ids", "must have at most 100 entries");
    let ids = request.agent_ids.iter().enumerate();
    let agents: HashSet<AgentId> = ids
        .filter_map(|(at, id)| parse::id(&mut violations, &format!("agent_ids[{at}]"), id))
        .collect();
    violations.finish()?;
    let mut names: Vec<_> = agents.iter().map(ToString::to_string).collect();
    names.sort_unstable();
    let binding = format!("watch {tenant} {}", names.join(","));
    let cursor = page::decode(&request.cursor, &binding).map_err(|_| foreign_cursor())?;
    Ok((agents, cursor, binding))
}

fn foreign_cursor() -> Fault {
    let right = "must be the cursor of a watch by this tenant of the same agents, or empty";
    let violations = Fault::invalid("cursor", right).violations().to_vec();
    let message = "the cursor is not one of this watch";
    Fault::new(Code::InvalidArgument, Reason::PageTokenInvalid, message).with_violations(violations)
}

pub fn update(request: proto::UpdateAgentRequest) -> Result<(AgentId, Change, String), Fault> {
    let mut violations = Violations::new();
    let agent = request.agent.unwrap_or_default();
    let mask = request.update_mask.unwrap_or_default();
    let agent_id = violations.within("agent", |v| parse::id(v, "id", &agent.id));
    violations.check(
        !mask.paths.is_empty(),
        "update_mask",
        "must name at least one field",
    );
    let named = |field: &str| mask.paths.iter().any(|path| path == field);
    for path in &mask.paths {
        let known = ["capabilities", "labels", "metadata", "max_concurrent_tasks"];
        let right = format!("{path:?} cannot be changed; {} can", known.join(", "));
        violations.check(known.contains(&path.as_str()), "update_mask", right);
    }
    let change = violations.within("agent", |v| Change {
        capabilities: named("capabilities").then(|| capabilities(v, agent.capabilities)),
        labels: named("labels").then(|| parse::labels(v, agent.labels, None)),
        metadata: named("metadata")
            .then(|| parse::map(v, "metadata", agent.metadata, METADATA_BYTES)),
        max_concurrent_tasks: named("max_concurrent_tasks")
            .then(|| tasks(v, agent.max_concurrent_tasks)),
    });
    violations.finish()?;
    let etag = if request.etag.is_empty() {
        agent.etag
    } else {
        request.etag
    };
    Ok((agent_id.ok_or_else(Fault::internal)?, change, etag))
}

fn agent_name(violations: &mut Violations, field: &str, name: &str) {
    let right =
        "must be 1 to 128 of A-Z, a-z, 0-9, ., _, - and /, beginning with a letter or digit";
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-/".contains(&b);
    let fits = (1..=parse::NAME_LENGTH).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(allowed);
    violations.check(fits, field, right);
}

fn agent_type(violations: &mut Violations, field: &str, name: &str) {
    let right = "must be 1 to 64 of a-z, 0-9, _ and -, beginning with a letter";
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    let fits = (1..=TYPE_LENGTH).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(allowed);
    violations.check(fits, field, right);
}

fn capability_name(violations: &mut Violations, field: &str, name: &str) {
    let right = "must be 1 to 128 of a-z, 0-9, ., _, - and /, beginning with a letter or digit";
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let fits = (1..=parse::NAME_LENGTH).contains(&name.len())
        && name.bytes().next().is_some_and(plain)
        && name.bytes().all(|b| plain(b) || b"._-/".contains(&b));
    violations.check(fits, field, right);
}

/// Capabilities in order of name.
fn capabilities(
    violations: &mut Violations,
    capabilities: Vec<proto::Capability>,
) -> Vec<Capability> {
    let fits = capabilities.len() <= CAPABILITIES;
    violations.check(fits, "capabilities", "must have at most 64 entries");
    let mut names = HashSet::new();
    let mut parsed: Vec<_> = capabilities
        .into_iter()
        .enumerate()
        .map(|(at, capability)| {
            violations.within(format!("capabilities[{at}]"), |inner| {
                capability_name(inner, "name", &capability.name);
                let is_new = names.insert(capability.name.clone());
                inner.check(is_new, "name", "must be unique among the capabilities");
                let versioned =
                    capability.version.is_empty() || Version::parse(&capability.version).is_ok();
                inner.check(
                    versioned,
                    "version",
                    "must be a semantic version like 1.4.0, or empty",
                );
                Capability {
                    name: capability.name,
                    version: capability.version,
                    attributes: parse::map(
                        inner,
                        "attributes",
                        capability.attributes,
                        ATTRIBUTES_BYTES,
                    ),
                }
            })
        })
        .collect();
    parsed.sort_by(|left, right| left.name.cmp(&right.name));
    parsed
}

/// 0 means 1: whoever says nothing runs one task at a time.
fn tasks(violations: &mut Violations, requested: i32) -> i32 {
    let fits = (0..=MOST_TASKS).contains(&requested);
    violations.check(fits, "max_concurrent_tasks", "must be from 0 to 10000");
    requested.max(1)
}

fn reason(violations: &mut Violations, reason: &str) {
    parse::text(violations, "reason", reason, REASON_LENGTH);
    violations.check(!reason.contains('\0'), "reason", "must not contain U+0000");
}

fn state(violations: &mut Violations, field: &str, number: i32) -> Option<AgentState> {
    let state = match proto::AgentState::try_from(number) {
        Ok(proto::AgentState::Offline) => Some(AgentState::Offline),
        Ok(proto::AgentState::Starting) => Some(AgentState::Starting),
        Ok(proto::AgentState::Active) => Some(AgentState::Active),
        Ok(proto::AgentState::Draining) => Some(AgentState::Draining),
        Ok(proto::AgentState::Inactive) => Some(AgentState::Inactive),
        Ok(proto::AgentState::Maintenance) => Some(AgentState::Maintenance),
        Ok(proto::AgentState::Error) => Some(AgentState::Error),
        Ok(proto::AgentState::Stopping) => Some(AgentState::Stopping),
        Ok(proto::AgentState::Unspecified) | Err(_) => None,
    };
    violations.check(
        state.is_some(),
        field,
        "must be a known state, and not unspecified",
    );
    state
}
