//! Requests about limits.

use chrono::TimeDelta;
use reeve_contracts::task::v1 as proto;
use reeve_ids::LimitId;
use reeve_status::Violations;

use super::{parse, parse_queue};
use crate::domain::{Per, Rate};
use crate::operations::limit::Ask;

/// Tasks at a time.
const MOST_RUNNING: i32 = 100_000;
/// Tasks in a time.
const MOST_TASKS: i32 = 1_000_000;

/// The name of a limit.
pub fn name(v: &mut Violations, name: &str) {
    parse::name(v, "name", name, 64, false);
}

/// The etag of a limit; nothing for any.
pub fn etag(v: &mut Violations, etag: &str) -> Option<LimitId> {
    if etag.is_empty() {
        return None;
    }
    let id = etag.parse().ok();
    v.check(
        id.is_some(),
        "etag",
        "must be the etag of the limit, or empty",
    );
    id
}

/// What a limit is to be.
pub fn ask(v: &mut Violations, request: proto::SetLimitRequest) -> Option<Ask> {
    name(v, &request.name);
    let selector = parse_queue::selector(v, request.selector);
    let per = i16::try_from(request.per).ok().and_then(Per::from_number);
    let rule = "must be TENANT, QUEUE, TYPE, CAPABILITY, FAIRNESS_KEY or CONCURRENCY_KEY";
    v.check(per.is_some(), "per", rule);
    key_prefix(v, &request.key_prefix, per);
    let running = (0..=MOST_RUNNING).contains(&request.max_running);
    let rule = format!("must be from 1 to {MOST_RUNNING}, or 0 for any number");
    v.check(running, "max_running", rule);
    let bounds_something = request.max_running != 0 || request.rate.is_some();
    v.check(
        bounds_something,
        "max_running",
        "is required unless rate is given",
    );
    let rate = v.within("rate", |v| rate(v, request.rate));
    parse_queue::reason(v, &request.reason);
    let etag = etag(v, &request.etag);
    Some(Ask {
        name: request.name,
        selector,
        per: per?,
        key_prefix: request.key_prefix,
        max_running: (request.max_running != 0).then_some(request.max_running),
        rate,
        reason: request.reason,
        etag,
    })
}

fn key_prefix(v: &mut Violations, prefix: &str, per: Option<Per>) {
    let right = prefix.len() <= 128 && prefix.chars().all(parse::is_of_key);
    let rule = "must be at most 128 characters of [A-Za-z0-9._:@/-]";
    v.check(right, "key_prefix", rule);
    let asked = prefix.is_empty() || per.is_none_or(|per| per == Per::ConcurrencyKey);
    let rule = "is refused unless per is CONCURRENCY_KEY";
    v.check(asked, "key_prefix", rule);
}

fn rate(v: &mut Violations, rate: Option<proto::Rate>) -> Option<Rate> {
    let rate = rate?;
    let tasks = (1..=MOST_TASKS).contains(&rate.tasks);
    v.check(tasks, "tasks", format!("must be from 1 to {MOST_TASKS}"));
    let burst = (0..=MOST_TASKS).contains(&rate.burst_tasks);
    let rule = format!("must be from 1 to {MOST_TASKS}, or 0 for as many as tasks");
    v.check(burst, "burst_tasks", rule);
    let (shortest, longest) = (TimeDelta::seconds(1), TimeDelta::days(1));
    let asked = rate.period_duration.as_ref();
    v.check(asked.is_some(), "period_duration", "is required");
    let period = parse::duration(v, "period_duration", asked, shortest, longest)?;
    Some(Rate {
        tasks: rate.tasks,
        period,
        burst: if rate.burst_tasks == 0 {
            rate.tasks
        } else {
            rate.burst_tasks
        },
    })
}
