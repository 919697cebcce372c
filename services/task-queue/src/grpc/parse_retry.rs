//! What happens after failures.

use chrono::TimeDelta;
use reeve_contracts::task::v1 as proto;
use reeve_status::Violations;

use super::parse;
use crate::domain::{RetryPolicy, RetryRule, Verdict};

/// Rules of a policy.
const RULES: usize = 16;
/// Codes of a rule.
const CODES: usize = 16;
const MOST_ATTEMPTS: i32 = 100;
const LONGEST_INITIAL: TimeDelta = TimeDelta::hours(1);
const LONGEST: TimeDelta = TimeDelta::hours(24);

/// A policy, with its defaults.
pub fn policy(v: &mut Violations, policy: proto::RetryPolicy) -> RetryPolicy {
    let default = RetryPolicy::default();
    let zero = TimeDelta::zero();
    let initial = policy.initial_backoff_duration.as_ref();
    let longest = policy.max_backoff_duration.as_ref();
    let attempts = count(v, "max_attempts", policy.max_attempts, MOST_ATTEMPTS);
    let multiplier = multiplier(v, policy.backoff_multiplier);
    let lost_leases = count(v, "max_lost_leases", policy.max_lost_leases, 1_000);
    v.check(
        policy.rules.len() <= RULES,
        "rules",
        format!("must be at most {RULES}"),
    );
    let rules = policy.rules.into_iter().enumerate();
    let rules = rules.map(|(at, asked)| v.within(format!("rules[{at}]"), |v| rule(v, asked)));
    let rules = rules.collect();
    RetryPolicy {
        max_attempts: attempts.unwrap_or(default.max_attempts),
        initial_backoff: parse::duration(
            v,
            "initial_backoff_duration",
            initial,
            zero,
            LONGEST_INITIAL,
        )
        .unwrap_or(default.initial_backoff),
        multiplier: multiplier.unwrap_or(default.multiplier),
        max_backoff: parse::duration(v, "max_backoff_duration", longest, zero, LONGEST)
            .unwrap_or(default.max_backoff),
        max_lost_leases: lost_leases.unwrap_or(default.max_lost_leases),
        rules,
    }
}

fn rule(v: &mut Violations, asked: proto::RetryRule) -> RetryRule {
    v.check(
        (1..=CODES).contains(&asked.error_codes.len()),
        "error_codes",
        format!("must be 1 to {CODES}"),
    );
    for (at, code) in asked.error_codes.iter().enumerate() {
        let legal = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        let plain = code.strip_suffix('*').unwrap_or(code);
        let right = (1..=64).contains(&code.len()) && plain.bytes().all(legal);
        let rule = "must be 1 to 64 characters of [A-Z0-9_], the last of which may be *";
        v.check(right, format!("error_codes[{at}]"), rule);
    }
    let verdict = i16::try_from(asked.verdict).ok();
    let verdict = verdict.and_then(Verdict::from_number);
    v.check(verdict.is_some(), "verdict", "must be RETRY, FAIL or unset");
    let zero = TimeDelta::zero();
    let initial = asked.initial_backoff_duration.as_ref();
    let longest = asked.max_backoff_duration.as_ref();
    RetryRule {
        codes: asked.error_codes,
        verdict: verdict.unwrap_or(Verdict::AsReported),
        initial_backoff: parse::duration(
            v,
            "initial_backoff_duration",
            initial,
            zero,
            LONGEST_INITIAL,
        ),
        multiplier: multiplier(v, asked.backoff_multiplier),
        max_backoff: parse::duration(v, "max_backoff_duration", longest, zero, LONGEST),
        max_attempts: count(v, "max_attempts", asked.max_attempts, MOST_ATTEMPTS),
    }
}

/// How many, where 0 is as by default.
fn count(v: &mut Violations, field: &str, asked: i32, most: i32) -> Option<i32> {
    let rule = format!("must be from 1 to {most}");
    v.check((0..=most).contains(&asked), field, rule);
    (asked != 0).then_some(asked)
}

fn multiplier(v: &mut Violations, asked: f64) -> Option<f64> {
    let legal = asked == 0.0 || (1.0..=10.0).contains(&asked);
    v.check(legal, "backoff_multiplier", "must be from 1 to 10");
    (asked != 0.0).then_some(asked)
}
