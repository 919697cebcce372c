//! Requests that concern many tasks.

use reeve_contracts::task::v1 as proto;
use reeve_ids::TaskId;
use reeve_postgres::page;
use reeve_status::{Fault, Violations};

use super::parse;
use crate::operations::{BulkAsk, Verb};
use crate::storage::Filter;

/// Tasks that a call looks at when it does not say.
const USUAL: i64 = 1_000;
/// Tasks that a call looks at, at most.
const MOST: i64 = 10_000;
/// What can be counted.
const COUNT: i64 = 100_000;

/// A bulk call.
///
/// # Errors
/// INVALID_ARGUMENT with every wrong field.
pub fn bulk(
    verb: Verb,
    filter: Option<proto::TaskFilter>,
    reason: String,
    scope: Option<proto::BulkScope>,
) -> Result<BulkAsk, Fault> {
    let mut v = Violations::new();
    let filter = parse::filter(&mut v, filter);
    v.check(
        is_narrow(&filter),
        "filter",
        "must have a part besides states and dead",
    );
    if verb == Verb::Cancel {
        let rule = "must be unset: dead letters are over";
        v.check(!filter.dead, "filter.dead", rule);
    }
    parse::text(&mut v, "reason", &reason, 512);
    let scope = scope.unwrap_or_default();
    v.check(
        (0..=COUNT).contains(&scope.max_matching),
        "scope.max_matching",
        format!("must be from 0 to {COUNT}"),
    );
    v.check(
        scope.max_tasks >= 0,
        "scope.max_tasks",
        format!("must be from 0 to {MOST}"),
    );
    v.finish()?;
    let after = page::decode::<TaskId>(&scope.continuation, &(verb, &filter))?;
    Ok(BulkAsk {
        filter,
        reason,
        dry_run: scope.dry_run,
        bound: Some(scope.max_matching).filter(|bound| *bound > 0),
        most: match i64::from(scope.max_tasks) {
            0 => USUAL,
            most => most.min(MOST),
        },
        after,
    })
}

/// Whether a filter says more than where tasks stand: what chooses everything is not meant.
fn is_narrow(filter: &Filter) -> bool {
    let wide = Filter {
        states: filter.states.clone(),
        dead: filter.dead,
        ..Filter::default()
    };
    *filter != wide
}
