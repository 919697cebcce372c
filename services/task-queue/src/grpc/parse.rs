//! From wire types to the domain's, collecting every wrong field.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use prost::Message as _;
use prost_types::{Duration, Struct, Timestamp};
use reeve_contracts::task::v1 as proto;
use reeve_status::{Fault, Violations};
use serde_json::Value as Json;

use crate::domain::{Effect, LeaseToken, State};
use crate::storage::Filter;

/// An id or a token; `None` with a violation when malformed.
pub fn required<T: FromStr<Err: Display>>(
    v: &mut Violations,
    field: impl Display,
    text: &str,
) -> Option<T> {
    v.take(field, text.parse())
}

/// As [`required`], where empty means none.
pub fn optional<T: FromStr<Err: Display>>(
    v: &mut Violations,
    field: impl Display,
    text: &str,
) -> Option<T> {
    if text.is_empty() {
        None
    } else {
        required(v, field, text)
    }
}

/// Text of a bounded number of characters that PostgreSQL can store.
pub fn text(v: &mut Violations, field: impl Display, text: &str, most: usize) {
    let long = text.len() > most && text.chars().count() > most;
    v.check(
        !long && !text.contains('\0'),
        field,
        format!("must have at most {most} characters, none of them NUL"),
    );
}

/// Text of a bounded number of bytes that PostgreSQL can store.
pub fn bytes(v: &mut Violations, field: impl Display, text: &str, most: usize) {
    let right = text.len() <= most && !text.contains('\0');
    v.check(
        right,
        field,
        format!("must have at most {most} bytes, none of them NUL"),
    );
}

/// A name: characters of `[A-Za-z0-9._-]` and, where allowed, `/`, beginning with a letter or digit.
pub fn name(v: &mut Violations, field: impl Display, text: &str, most: usize, slash: bool) {
    let legal =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') || (slash && c == '/');
    let right = (1..=most).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(legal);
    let set = if slash {
        "[A-Za-z0-9._/-]"
    } else {
        "[A-Za-z0-9._-]"
    };
    let rule = format!("must be 1 to {most} characters of {set} beginning with a letter or digit");
    v.check(right, field, rule);
}

/// What a task needs to itself.
pub fn concurrency_key(v: &mut Violations, field: impl Display, text: &str) {
    let right = (1..=128).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(is_of_key);
    let rule = "must be 1 to 128 characters of [A-Za-z0-9._:@/-] beginning with a letter or digit";
    v.check(right, field, rule);
}

/// Whether a concurrency key may have the character.
pub fn is_of_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._:@/-".contains(c)
}

/// A capability. Agents' capabilities have lower case only.
pub fn capability(v: &mut Violations, field: impl Display, text: &str) {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let right = (1..=128).contains(&text.len())
        && text.bytes().next().is_some_and(plain)
        && text.bytes().all(|b| plain(b) || b"._-/".contains(&b));
    let rule = "must be 1 to 128 characters of [a-z0-9._/-] beginning with a letter or digit";
    v.check(right, field, rule);
}

/// Objects and lists within each other. Each is three messages within each other, and no client of
/// protobuf reads more than a hundred: this leaves room for the messages around it.
const LEVELS: usize = 30;

/// A Struct as JSON, bounded in size and depth, without what `jsonb` cannot hold. As a message it is bounded,
/// too: a number of one digit has two bytes as JSON and eleven there, and what was stored must fit
/// into an answer.
pub fn json(
    v: &mut Violations,
    field: impl Display,
    fields: Option<Struct>,
    most: usize,
) -> Option<Json> {
    let fields = fields?;
    if fields.encoded_len() > most * 2 {
        let rule = format!("must be at most {} bytes as a message", most * 2);
        v.add(field, rule);
        return None;
    }
    // JSON is at most a few times as long as the message, so most need no second look.
    let suspicious = fields.encoded_len().saturating_mul(8) > most;
    let json = reeve_wellknown::json_from_struct(fields);
    if suspicious && json.to_string().len() > most {
        v.add(field, format!("must be at most {most} bytes as JSON"));
        return None;
    }
    if !is_plain(&json) {
        v.add(field, "must not contain NUL characters");
        return None;
    }
    if depth(&json) > LEVELS {
        let rule = format!("must be nested at most {LEVELS} levels deep");
        v.add(field, rule);
        return None;
    }
    Some(json)
}

/// How many objects and lists lie within each other. It is bounded already: what decoded the message
/// takes no more than a hundred messages within each other.
fn depth(json: &Json) -> usize {
    match json {
        Json::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Json::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => 0,
    }
}

fn is_plain(json: &Json) -> bool {
    match json {
        Json::String(text) => !text.contains('\0'),
        Json::Array(items) => items.iter().all(is_plain),
        Json::Object(map) => map
            .iter()
            .all(|(key, item)| !key.contains('\0') && is_plain(item)),
        Json::Null | Json::Bool(_) | Json::Number(_) => true,
    }
}

/// A time; `None` when unset, or with a violation when out of range.
pub fn time(
    v: &mut Violations,
    field: impl Display,
    time: Option<&Timestamp>,
) -> Option<DateTime<Utc>> {
    let parsed = reeve_wellknown::datetime(time?).map(reeve_clock::to_microseconds);
    if parsed.is_none() {
        v.add(field, "must be a valid time");
    }
    parsed
}

/// A duration within bounds; `None` when unset or with a violation.
pub fn duration(
    v: &mut Violations,
    field: impl Display,
    duration: Option<&Duration>,
    least: TimeDelta,
    most: TimeDelta,
) -> Option<TimeDelta> {
    let span = reeve_wellknown::timedelta(duration?).filter(|span| (least..=most).contains(span));
    if span.is_none() {
        let (least, most) = (least.as_seconds_f64(), most.as_seconds_f64());
        v.add(field, format!("must be from {least} s to {most} s"));
    }
    span
}

/// How long a lease lasts.
pub fn lease(v: &mut Violations, field: impl Display, asked: Option<&Duration>) -> i64 {
    let (least, most) = (TimeDelta::seconds(1), TimeDelta::hours(1));
    let span = duration(v, field, asked, least, most).unwrap_or(TimeDelta::seconds(30));
    span.num_milliseconds()
}

/// Queues to take from.
pub fn queues(v: &mut Violations, queues: Vec<String>) -> Vec<String> {
    if queues.is_empty() {
        return vec![crate::DEFAULT_QUEUE.to_owned()];
    }
    v.check(queues.len() <= 64, "queues", "must be at most 64");
    for (at, queue) in queues.iter().enumerate() {
        name(v, format!("queues[{at}]"), queue, 64, false);
    }
    let mut queues = queues;
    queues.sort_unstable();
    queues.dedup();
    queues
}

/// Lease tokens, as many as a batch may have.
pub fn tokens(v: &mut Violations, field: &str, texts: &[String], most: usize) -> Vec<LeaseToken> {
    v.check(
        (1..=most).contains(&texts.len()),
        field,
        format!("must be 1 to {most}"),
    );
    let parsed = texts.iter().enumerate().take(most);
    parsed
        .filter_map(|(at, text)| required(v, format!("{field}[{at}]"), text))
        .collect()
}

/// An etag: the version in plain digits.
pub fn etag(v: &mut Violations, text: &str) -> Option<i32> {
    if text.is_empty() {
        return None;
    }
    let version = text.parse().ok();
    v.check(
        version.is_some(),
        "etag",
        "must be the etag of the task, or empty",
    );
    version
}

/// Which tasks.
pub fn filter(v: &mut Violations, filter: Option<proto::TaskFilter>) -> Filter {
    let Some(filter) = filter else {
        return Filter::default();
    };
    v.within("filter", |v| {
        let states = filter.states.iter().enumerate().filter_map(|(at, number)| {
            let state = i16::try_from(*number).ok().and_then(State::from_number);
            v.check(state.is_some(), format!("states[{at}]"), "must be a state");
            state.map(State::number)
        });
        let states = states.collect();
        v.check(filter.queues.len() <= 64, "queues", "must be at most 64");
        v.check(filter.types.len() <= 64, "types", "must be at most 64");
        v.check(
            filter.task_ids.len() <= 1_000,
            "task_ids",
            "must be at most 1000",
        );
        for (at, queue) in filter.queues.iter().enumerate() {
            text(v, format!("queues[{at}]"), queue, 64);
        }
        for (at, kind) in filter.types.iter().enumerate() {
            text(v, format!("types[{at}]"), kind, 128);
        }
        let whose = filter.origin_resource_id.is_empty() || !filter.origin_kind.is_empty();
        v.check(whose, "origin_kind", "is required with origin_resource_id");
        text(v, "origin_kind", &filter.origin_kind, 64);
        text(v, "origin_resource_id", &filter.origin_resource_id, 128);
        labels(v, &filter.labels);
        let ids = filter.task_ids.iter().enumerate();
        let task_ids = ids
            .filter_map(|(at, id)| required(v, format!("task_ids[{at}]"), id))
            .collect();
        let some = |text: String| (!text.is_empty()).then_some(text);
        Filter {
            states,
            project_id: optional(v, "project_id", &filter.project_id),
            parent_task_id: optional(v, "parent_task_id", &filter.parent_task_id),
            agent_id: optional(v, "assigned_agent_id", &filter.assigned_agent_id),
            created_from: time(v, "create_time_from", filter.create_time_from.as_ref()),
            created_before: time(v, "create_time_before", filter.create_time_before.as_ref()),
            queues: filter.queues,
            kinds: filter.types,
            origin_kind: some(filter.origin_kind),
            origin_resource_id: some(filter.origin_resource_id),
            labels: filter.labels.into_iter().collect(),
            task_ids,
            dead: filter.dead,
        }
    })
}

/// What it means to run a task twice; `None` where that is not said.
pub fn effect(v: &mut Violations, number: i32) -> Option<Effect> {
    if number == 0 {
        return None;
    }
    let effect = i16::try_from(number).ok().and_then(Effect::from_number);
    v.check(
        effect.is_some(),
        "effect",
        "must be READ_ONLY, IDEMPOTENT or EFFECTFUL",
    );
    effect
}

/// Labels.
pub fn labels(v: &mut Violations, labels: &HashMap<String, String>) {
    v.check(labels.len() <= 32, "labels", "must be at most 32");
    for (key, value) in labels {
        let field = format!("labels[{key:?}]");
        name(v, &field, key, 63, true);
        text(v, &field, value, 256);
    }
}

/// Whether a view has bodies.
pub fn full(v: &mut Violations, view: i32) -> bool {
    let view = proto::TaskView::try_from(view);
    v.check(view.is_ok(), "view", "must be a view");
    view == Ok(proto::TaskView::Full)
}

/// What was parsed, if nothing was wrong.
///
/// # Errors
/// INVALID_ARGUMENT with every violation.
pub fn finish<T>(v: Violations, value: Option<T>) -> Result<T, Fault> {
    v.finish()?;
    value.ok_or_else(Fault::internal)
}
