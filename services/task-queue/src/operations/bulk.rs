//! What all bulk calls have in common: some hundred tasks in each transaction, newest first, until
//! everything was looked at or the call must end. A call that ends in the middle has changed the
//! tasks of whole transactions and none besides; what is left is chosen again by its repetition.

use std::collections::BTreeMap;
use std::time::Duration;

use reeve_auth::Caller;
use reeve_ids::{TaskId, TenantId};
use reeve_runtime::CallContext;
use reeve_status::Fault;
use serde::Serialize;

use super::bulk_cancel::cancel_all;
use super::discard::discard_all;
use super::redrive::redrive_all;
use crate::storage::{self, Filter, Kind};
use crate::{Error, Queue};

/// Tasks of one transaction.
const CHUNK: i64 = 200;
/// Where a dry run stops counting.
const COUNT: i64 = 100_000;
/// Kept back from a caller's deadline for the transaction under way and the answer.
const ANSWER: Duration = Duration::from_secs(2);
/// How often a transaction is tried that collides with others.
const TRIES: usize = 5;
/// Tasks that were skipped of which the answer names the ids.
const NAMED: usize = 20;

/// What is to be done to what.
#[derive(Debug)]
pub struct BulkAsk {
    /// Which tasks.
    pub filter: Filter,
    /// Why.
    pub reason: String,
    /// Whether only to count.
    pub dry_run: bool,
    /// More than these must not be chosen.
    pub bound: Option<i64>,
    /// The most tasks that are looked at.
    pub most: i64,
    /// Where to begin.
    pub after: Option<TaskId>,
}

/// Why a task that was chosen was left as it is. The numbers are those on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum Skip {
    /// Its workflow retries it.
    WorkflowStep = 1,
    /// Its holder has been asked before.
    CancelRequested = 2,
    /// It is not chosen any more.
    Changed = 3,
}

/// Tasks that were skipped for one reason.
#[derive(Debug, Default)]
pub struct Skipped {
    /// How many.
    pub count: i64,
    /// The first of them.
    pub ids: Vec<TaskId>,
}

/// What became of the tasks.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many were looked at, or are chosen.
    pub matched: i64,
    /// How many were changed.
    pub changed: i64,
    /// How many will change when their holder lets go.
    pub asked: i64,
    /// How many were left, by why.
    pub skipped: BTreeMap<Skip, Skipped>,
    /// Where the next call goes on.
    pub next: Option<TaskId>,
}

impl Tally {
    /// A task is left as it is.
    pub fn skip(&mut self, why: Skip, id: TaskId) {
        let skipped = self.skipped.entry(why).or_default();
        skipped.count += 1;
        if skipped.ids.len() < NAMED {
            skipped.ids.push(id);
        }
    }

    fn add(&mut self, chunk: Self) {
        self.changed += chunk.changed;
        self.asked += chunk.asked;
        for (why, more) in chunk.skipped {
            let skipped = self.skipped.entry(why).or_default();
            skipped.count += more.count;
            let room = NAMED.saturating_sub(skipped.ids.len());
            skipped.ids.extend(more.ids.into_iter().take(room));
        }
    }
}

/// What is done to each task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Verb {
    /// It is cancelled.
    Cancel,
    /// It runs again.
    Redrive,
    /// Nobody will redrive it.
    Discard,
}

impl Verb {
    /// Which tasks it is for.
    fn kind(self) -> Kind {
        match self {
            Self::Cancel => Kind::Open,
            Self::Redrive | Self::Discard => Kind::Dead,
        }
    }
}

/// Does it to what is chosen.
///
/// # Errors
/// FAILED_PRECONDITION when more is chosen than expected, or no dead letter; UNAVAILABLE, with
/// everything before it written.
pub async fn bulk(
    queue: &Queue,
    caller: &Caller,
    verb: Verb,
    ask: &BulkAsk,
) -> Result<Tally, Fault> {
    let tally = look(queue, caller, verb, ask).await?;
    // A call that goes on from another may find nothing more.
    let fresh = ask.after.is_none() && !ask.dry_run;
    if tally.matched == 0 && fresh && verb.kind() == Kind::Dead {
        return Err(Error::NothingMatched.into());
    }
    Ok(tally)
}

async fn look(queue: &Queue, caller: &Caller, verb: Verb, ask: &BulkAsk) -> Result<Tally, Error> {
    let (tenant, kind) = (caller.tenant(), verb.kind());
    if let Some(bound) = ask.bound {
        let matching = count(queue, tenant, kind, ask, bound + 1).await?;
        if matching > bound {
            return Err(Error::CountMismatch { bound, matching });
        }
    }
    if ask.dry_run {
        let matched = count(queue, tenant, kind, ask, COUNT).await?;
        return Ok(Tally {
            matched,
            ..Tally::default()
        });
    }
    let mut tally = Tally {
        next: ask.after,
        ..Tally::default()
    };
    while tally.matched < ask.most {
        let size = CHUNK.min(ask.most - tally.matched);
        let ids = chosen(queue, tenant, kind, ask, tally.next, size).await?;
        if !ids.is_empty() {
            tally.add(patiently(queue, caller, verb, ask, &ids).await?);
        }
        let looked_at = i64::try_from(ids.len()).unwrap_or(size);
        tally.matched += looked_at;
        tally.next = ids.last().copied().filter(|_| looked_at == size);
        if tally.next.is_none() || must_end(queue) {
            break;
        }
    }
    Ok(tally)
}

/// A transaction that collided has written nothing, so it may be tried again.
async fn patiently(
    queue: &Queue,
    caller: &Caller,
    verb: Verb,
    ask: &BulkAsk,
    ids: &[TaskId],
) -> Result<Tally, Error> {
    let (shared, reason) = (&queue.shared, ask.reason.as_str());
    let mut tries = 0;
    loop {
        tries += 1;
        let done = match verb {
            Verb::Cancel => cancel_all(shared, caller, reason, ids).await,
            Verb::Redrive => redrive_all(shared, caller, ids).await,
            Verb::Discard => discard_all(shared, caller, reason, ids).await,
        };
        match done {
            Err(error) if error.is_conflict() && tries < TRIES => {}
            ended => return ended,
        }
    }
}

fn must_end(queue: &Queue) -> bool {
    let left = CallContext::current().and_then(|call| call.remaining());
    queue.shared.drain.is_cancelled() || left.is_some_and(|left| left < ANSWER)
}

async fn count(
    queue: &Queue,
    tenant: TenantId,
    kind: Kind,
    ask: &BulkAsk,
    limit: i64,
) -> Result<i64, Error> {
    let mut tx = queue.shared.database.tenant(tenant).await?;
    let count = storage::count(&mut tx, kind, (tenant, &ask.filter), limit).await?;
    tx.commit().await?;
    Ok(count)
}

async fn chosen(
    queue: &Queue,
    tenant: TenantId,
    kind: Kind,
    ask: &BulkAsk,
    after: Option<TaskId>,
    limit: i64,
) -> Result<Vec<TaskId>, Error> {
    let mut tx = queue.shared.database.tenant(tenant).await?;
    let ids = storage::choose(&mut tx, kind, (tenant, &ask.filter), after, limit).await?;
    tx.commit().await?;
    Ok(ids)
}
