//! Specs of tasks to be created.

use chrono::{DateTime, TimeDelta, Utc};
use prost::Message as _;
use reeve_contracts::task::v1 as proto;
use reeve_status::{Fault, Violations};
use sha2::{Digest as _, Sha256};

use super::{parse, parse_placement, parse_retry, unfit};
use crate::DEFAULT_QUEUE;
use crate::domain::{
    Budget, Catalogue, DependencyPolicy, Fairness, Origin, Priority, Request, Spec, Timeouts,
};
use crate::operations::Creation;

const PARAMETERS: usize = 256 * 1_024;

/// What counts besides the request itself.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The types that the tenant's tasks may have.
    pub types: &'a Catalogue,
    /// When.
    pub now: DateTime<Utc>,
    /// Whether one of Reeve's own services asks.
    pub by_service: bool,
}

/// CreateTask.
///
/// # Errors
/// INVALID_ARGUMENT with every violation.
pub fn create(request: proto::CreateTaskRequest, asked: Asked<'_>) -> Result<Creation, Fault> {
    let mut v = Violations::new();
    let creation = creation(&mut v, request, asked, "", &mut 0);
    unfit::add(&mut v, creation.iter());
    parse::finish(v, creation)
}

/// BatchCreateTasks.
///
/// # Errors
/// INVALID_ARGUMENT with every violation of every task.
pub fn create_batch(
    request: proto::BatchCreateTasksRequest,
    asked: Asked<'_>,
) -> Result<Vec<Creation>, Fault> {
    let mut v = Violations::new();
    let requests = request.requests;
    v.check(
        (1..=1_000).contains(&requests.len()),
        "requests",
        "must be 1 to 1000",
    );
    let mut seen = std::collections::HashSet::new();
    let mut creations = Vec::with_capacity(requests.len());
    let mut steps = 0;
    for (at, request) in requests.into_iter().enumerate() {
        if steps > unfit::STEPS {
            let rule = "must be fewer: their parameters take too long to be checked in one batch";
            v.add("requests", rule);
            break;
        }
        let place = format!("requests[{at}].");
        v.within(format!("requests[{at}]"), |v| {
            let id = &request.request_id;
            let first = id.is_empty() || seen.insert(id.clone());
            v.check(first, "request_id", "must not be in the batch twice");
            creations.extend(creation(v, request, asked, &place, &mut steps));
        });
    }
    unfit::add(&mut v, creations.iter());
    v.finish()?;
    Ok(creations)
}

/// A task to be created; `place` is before its fields in the request.
pub fn creation(
    v: &mut Violations,
    request: proto::CreateTaskRequest,
    asked: Asked<'_>,
    place: &str,
    steps: &mut usize,
) -> Option<Creation> {
    parse::text(v, "request_id", &request.request_id, 128);
    let window = request_window(v, &request);
    let Some(spec) = request.spec else {
        v.add("spec", "is required");
        return None;
    };
    let digest = (!request.request_id.is_empty()).then(|| digest(&spec));
    let bytes = spec.encoded_len();
    let given = unfit::Given {
        capability: !spec.capability.is_empty(),
        parameters: spec.parameters.is_some(),
    };
    let mut spec = v.within("spec", |v| spec_of(v, spec, asked))?;
    let place = format!("{place}spec.");
    let unfit = unfit::complete(asked.types, &mut spec, &given, &place, steps);
    Some(Creation {
        spec,
        unfit,
        bytes,
        request: digest.map(|digest| Request {
            id: request.request_id,
            digest,
            window,
        }),
    })
}

fn request_window(v: &mut Violations, request: &proto::CreateTaskRequest) -> Option<TimeDelta> {
    let window = request.request_window_duration.as_ref();
    let legal = window.is_none() || !request.request_id.is_empty();
    let field = "request_window_duration";
    v.check(legal, field, "is refused without request_id");
    let (shortest, longest) = (TimeDelta::minutes(1), TimeDelta::days(365));
    parse::duration(v, field, window, shortest, longest)
}

/// What is to be done, with what its type gives by default; names what does not match its schema.
pub fn whole(v: &mut Violations, spec: proto::TaskSpec, asked: Asked<'_>) -> Option<Spec> {
    let given = unfit::Given {
        capability: !spec.capability.is_empty(),
        parameters: spec.parameters.is_some(),
    };
    let mut spec = spec_of(v, spec, asked)?;
    for unfit in unfit::complete(asked.types, &mut spec, &given, "", &mut 0) {
        v.add(unfit.field, unfit.description);
    }
    Some(spec)
}

/// A digest that equal specs share: protobuf leaves the order of maps open, so they are sorted.
pub fn digest(spec: &proto::TaskSpec) -> Vec<u8> {
    let mut spec = spec.clone();
    let mut maps = vec![std::mem::take(&mut spec.labels)];
    if let Some(requirement) = &mut spec.requirement {
        maps.push(std::mem::take(&mut requirement.attributes));
        maps.push(std::mem::take(&mut requirement.agent_labels));
    }
    let mut hash = Sha256::new();
    hash.update(spec.encode_to_vec());
    for (at, map) in maps.into_iter().enumerate() {
        if at > 0 {
            hash.update([u8::MAX]);
        }
        let sorted: std::collections::BTreeMap<_, _> = map.into_iter().collect();
        for (key, value) in sorted {
            for text in [key, value] {
                hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
                hash.update(text);
            }
        }
    }
    hash.finalize().to_vec()
}

fn spec_of(v: &mut Violations, spec: proto::TaskSpec, asked: Asked<'_>) -> Option<Spec> {
    parse::name(v, "type", &spec.r#type, 128, true);
    let placement = parse_placement::placement(v, &spec);
    parse::text(v, "title", &spec.title, 256);
    parse::bytes(v, "description", &spec.description, 16_384);
    let queue = or(spec.queue, DEFAULT_QUEUE);
    parse::name(v, "queue", &queue, 64, false);
    let capability = capability(v, spec.capability, &spec.r#type);
    parse::labels(v, &spec.labels);
    let priority = priority(v, spec.priority);
    let depends_on = depends_on(v, &spec.depends_on);
    // Whoever names an origin speaks for it: workflow-engine believes what becomes of such a task.
    let may_name = spec.origin.is_none() || asked.by_service;
    v.check(
        may_name,
        "origin",
        "may be set by Reeve's own services only",
    );
    let origin = spec
        .origin
        .map(|origin| v.within("origin", |v| self::origin(v, origin)));
    let dependency_policy = dependency_policy(v, spec.dependency_failure_policy);
    let budget = budget(v, &spec.budget_id, spec.budget_amount.as_ref());
    let effect = parse::effect(v, spec.effect);
    Some(Spec {
        title: or(spec.title, &spec.r#type),
        description: spec.description,
        queue,
        capability,
        demand: String::new(),
        concurrency_keys: concurrency_keys(v, spec.concurrency_keys),
        fairness: v.within("fairness", |v| fairness(v, spec.fairness)),
        placement,
        parameters: parse::json(v, "parameters", spec.parameters, PARAMETERS),
        project_id: parse::optional(v, "project_id", &spec.project_id),
        parent_task_id: parse::optional(v, "parent_task_id", &spec.parent_task_id),
        labels: spec.labels.into_iter().collect(),
        schedule_time: schedule_time(v, spec.schedule_time.as_ref(), asked.now),
        retry: v.within("retry_policy", |v| {
            parse_retry::policy(v, spec.retry_policy.unwrap_or_default())
        }),
        timeouts: v.within("timeouts", |v| {
            timeouts(v, &spec.timeouts.unwrap_or_default())
        }),
        kind: spec.r#type,
        priority: priority?,
        depends_on,
        dependency_policy,
        origin,
        budget,
        effect,
    })
}

/// What an agent must offer. Agents' capabilities have lower case only, so what a type gives by
/// default has, too.
fn capability(v: &mut Violations, asked: String, kind: &str) -> String {
    if asked.is_empty() {
        return kind.to_ascii_lowercase();
    }
    parse::capability(v, "capability", &asked);
    asked
}

fn or(text: String, default: &str) -> String {
    if text.is_empty() {
        default.to_owned()
    } else {
        text
    }
}

fn priority(v: &mut Violations, number: i32) -> Option<Priority> {
    if number == 0 {
        return Some(Priority::Normal);
    }
    let priority = i16::try_from(number).ok().and_then(Priority::from_number);
    v.check(
        priority.is_some(),
        "priority",
        "must be LOW, NORMAL, HIGH or CRITICAL",
    );
    priority
}

fn fairness(v: &mut Violations, asked: Option<proto::Fairness>) -> Option<Fairness> {
    let asked = asked?;
    parse::name(v, "key", &asked.key, 64, true);
    let weight = asked.weight;
    let legal = weight == 0.0 || (0.01..=100.0).contains(&weight);
    v.check(legal, "weight", "must be from 0.01 to 100, or 0 for 1");
    Some(Fairness {
        key: asked.key,
        weight: if weight == 0.0 { 1.0 } else { weight },
    })
}

fn concurrency_keys(v: &mut Violations, mut keys: Vec<String>) -> Vec<String> {
    v.check(keys.len() <= 8, "concurrency_keys", "must be at most 8");
    for (at, key) in keys.iter().enumerate().take(8) {
        parse::concurrency_key(v, format!("concurrency_keys[{at}]"), key);
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn depends_on(v: &mut Violations, texts: &[String]) -> Vec<reeve_ids::TaskId> {
    v.check(texts.len() <= 64, "depends_on", "must be at most 64");
    let texts = texts.iter().enumerate();
    let mut ids: Vec<_> = texts
        .filter_map(|(at, id)| parse::required(v, format!("depends_on[{at}]"), id))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn dependency_policy(v: &mut Violations, number: i32) -> DependencyPolicy {
    if number == 0 {
        return DependencyPolicy::default();
    }
    let policy = i16::try_from(number).ok();
    let policy = policy.and_then(DependencyPolicy::from_number);
    let rule = "must be CANCEL, WAIT or PROCEED";
    v.check(policy.is_some(), "dependency_failure_policy", rule);
    policy.unwrap_or_default()
}

fn origin(v: &mut Violations, origin: proto::TaskOrigin) -> Origin {
    parse::text(v, "kind", &origin.kind, 64);
    v.check(!origin.kind.is_empty(), "kind", "is required");
    parse::text(v, "resource_id", &origin.resource_id, 128);
    v.check(!origin.resource_id.is_empty(), "resource_id", "is required");
    parse::text(v, "step_path", &origin.step_path, 512);
    v.check(origin.attempt >= 0, "attempt", "must not be negative");
    Origin {
        kind: origin.kind,
        resource_id: origin.resource_id,
        step_path: origin.step_path,
        attempt: origin.attempt,
    }
}

fn schedule_time(
    v: &mut Violations,
    time: Option<&prost_types::Timestamp>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let time = parse::time(v, "schedule_time", time)?;
    v.check(
        time <= now + TimeDelta::days(366),
        "schedule_time",
        "must be within a year",
    );
    Some(time)
}

fn timeouts(v: &mut Violations, timeouts: &proto::TaskTimeouts) -> Timeouts {
    let (second, hour) = (TimeDelta::seconds(1), TimeDelta::hours(1));
    let month = TimeDelta::days(30);
    let wait = timeouts.schedule_to_start_timeout.as_ref();
    let run = timeouts.start_to_close_timeout.as_ref();
    let heartbeat = timeouts.heartbeat_timeout.as_ref();
    Timeouts {
        schedule_to_start: parse::duration(v, "schedule_to_start_timeout", wait, second, month),
        start_to_close: parse::duration(v, "start_to_close_timeout", run, second, month),
        heartbeat: parse::duration(v, "heartbeat_timeout", heartbeat, second, hour),
    }
}

fn budget(
    v: &mut Violations,
    id: &str,
    amount: Option<&reeve_contracts::r#type::v1::Money>,
) -> Option<Budget> {
    if id.is_empty() {
        v.check(
            amount.is_none(),
            "budget_amount",
            "is refused without budget_id",
        );
        return None;
    }
    let budget_id = parse::required(v, "budget_id", id);
    let Some(money) = amount else {
        v.add("budget_amount", "is required with budget_id");
        return None;
    };
    let positive =
        is_decimal(&money.amount) && money.amount.bytes().any(|b| (b'1'..=b'9').contains(&b));
    v.check(
        positive,
        "budget_amount.amount",
        "must be a plain decimal above 0",
    );
    let code = &money.currency_code;
    let currency = code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase());
    v.check(
        currency,
        "budget_amount.currency_code",
        "must be an ISO 4217 code",
    );
    Some(Budget {
        id: budget_id?,
        amount: money.amount.clone(),
        currency: code.clone(),
    })
}

/// A plain decimal that is not negative: up to 18 digits, then up to ten more.
pub fn is_decimal(text: &str) -> bool {
    let digits = |part: &str, most: usize| {
        (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    let (whole, fraction) = text
        .split_once('.')
        .map_or((text, None), |(w, f)| (w, Some(f)));
    let canonical = whole == "0" || !whole.starts_with('0');
    digits(whole, 18) && canonical && fraction.is_none_or(|fraction| digits(fraction, 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_plain() {
        for right in ["0", "0.5", "12", "999999999999999999.0000000001"] {
            assert!(is_decimal(right), "{right}");
        }
        for wrong in [
            "",
            ".5",
            "5.",
            "-1",
            "1e3",
            "01",
            "1.00000000001",
            " 1",
            "1,5",
        ] {
            assert!(!is_decimal(wrong), "{wrong}");
        }
    }

    #[test]
    fn equal_specs_have_equal_digests() {
        let spec = |labels: &[(&str, &str)]| proto::TaskSpec {
            r#type: "lint".into(),
            labels: labels
                .iter()
                .map(|(k, v)| ((*k).into(), (*v).into()))
                .collect(),
            ..proto::TaskSpec::default()
        };
        let many: Vec<_> = ["a", "b", "c", "d", "e", "f"]
            .iter()
            .map(|k| (*k, "1"))
            .collect();
        let turned: Vec<_> = many.iter().rev().copied().collect();
        assert_eq!(digest(&spec(&many)), digest(&spec(&turned)));
        assert_ne!(digest(&spec(&[("a", "bc")])), digest(&spec(&[("ab", "c")])));
        assert_ne!(digest(&spec(&[])), digest(&spec(&many)));
    }
}
