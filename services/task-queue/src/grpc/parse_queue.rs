//! Requests about queues and brakes.

use reeve_contracts::task::v1 as proto;
use reeve_status::Violations;

use super::parse;
use crate::domain::Selector;
use crate::error::queue_etag;
use crate::operations::Expected;

/// Characters of the reason for a brake.
const REASON: usize = 512;
/// Characters of a brake's name, "queue/" before that of a queue included.
const BRAKE: usize = 70;

/// The name of a queue.
pub fn queue(v: &mut Violations, name: &str) {
    parse::name(v, "queue", name, 64, false);
}

/// Why a brake is set or lifted.
pub fn reason(v: &mut Violations, reason: &str) {
    parse::text(v, "reason", reason, REASON);
}

/// The name of a brake that is to be lifted.
pub fn brake(v: &mut Violations, name: &str) {
    parse::name(v, "name", name, BRAKE, true);
}

/// The etag of a queue.
pub fn etag(v: &mut Violations, etag: &str) -> Expected {
    if etag.is_empty() {
        return Expected::Any;
    }
    if etag == queue_etag(None) {
        return Expected::None;
    }
    let id = etag.parse().ok();
    v.check(
        id.is_some(),
        "etag",
        "must be the etag of the queue, or empty",
    );
    id.map_or(Expected::Any, Expected::Brake)
}

/// Which tasks a brake chooses.
pub fn selector(v: &mut Violations, selector: Option<proto::TaskSelector>) -> Selector {
    let asked = selector.unwrap_or_default();
    v.within("selector", |v| {
        names(v, "queues", &asked.queues, 64, false);
        names(v, "types", &asked.types, 128, true);
        let capabilities = &asked.capabilities;
        v.check(
            capabilities.len() <= 64,
            "capabilities",
            "must be at most 64",
        );
        for (at, name) in capabilities.iter().enumerate().take(64) {
            parse::capability(v, format!("capabilities[{at}]"), name);
        }
        parse::labels(v, &asked.labels);
    });
    let selector = Selector {
        queues: asked.queues,
        kinds: asked.types,
        capabilities: asked.capabilities,
        labels: asked.labels.into_iter().collect(),
    };
    let rule = if asked.all {
        "must name nothing else with all"
    } else {
        "must name something, or all"
    };
    v.check(selector.is_all() == asked.all, "selector", rule);
    selector
}

fn names(v: &mut Violations, field: &str, names: &[String], most: usize, slash: bool) {
    v.check(names.len() <= 64, field, "must be at most 64");
    for (at, name) in names.iter().enumerate().take(64) {
        parse::name(v, format!("{field}[{at}]"), name, most, slash);
    }
}
