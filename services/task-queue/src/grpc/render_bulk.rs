//! What became of many tasks, on the wire.

use reeve_contracts::task::v1 as proto;
use reeve_postgres::page;

use crate::operations::{BulkAsk, Tally, Verb};

/// Tasks that were left as they are.
pub fn skipped(tally: &Tally) -> Vec<proto::SkippedTasks> {
    let each = tally.skipped.iter();
    each.map(|(why, skipped)| proto::SkippedTasks {
        reason: *why as i32,
        count: skipped.count,
        task_ids: skipped.ids.iter().map(ToString::to_string).collect(),
    })
    .collect()
}

/// Where the next call goes on.
pub fn continuation(verb: Verb, tally: &Tally, ask: &BulkAsk) -> String {
    let next = tally.next.as_ref();
    next.map(|id| page::encode(id, &(verb, &ask.filter)))
        .unwrap_or_default()
}
