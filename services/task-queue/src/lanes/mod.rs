//! Group commit. Every hot verb has a lane: callers put their work in, one flusher takes what has
//! gathered and writes it in one transaction, and every caller is answered after the commit. There
//! is no timer: while one flush runs, the next batch gathers, so an idle lane adds no delay and a
//! busy one shares its commits by itself.
//!
//! Tenants take turns (`inbox.rs`). A batch that fails is split until the item at fault fails alone. Lanes see all tenants, so every
//! statement names the tenant of every item.

mod advance;
mod complete;
mod create;
mod grant;
mod inbox;
mod leases;
mod renew;
mod settle;

use std::future::Future;
use std::sync::Arc;

use inbox::{Inbox, Refused};
use reeve_ids::TenantId;
use reeve_status::Fault;
use tokio::sync::oneshot;

use crate::Error;

pub use advance::{AdvanceFlush, AdvanceItem, Advanced};
pub use complete::{CompleteFlush, CompleteItem};
pub use create::{CreateFlush, CreateGroup, Created};
pub use grant::{GrantFlush, GrantItem, Granted, Wanted, answers_of};
pub use leases::{Grant, Leases};
pub use renew::RenewFlush;
pub use settle::{End, EndedAs, Ender, SettleFlush};

/// How often a batch is tried again when transactions collide.
const TRIES: u32 = 5;

/// What a lane does with a batch: all of it in one transaction, or nothing.
pub trait Flush: Send + Sync + 'static {
    /// One caller's work.
    type Item: Send + Sync + 'static;
    /// What that caller is told.
    type Output: Send + 'static;
    /// The lane's name.
    const NAME: &'static str;

    /// Whose work it is. What one caller hands in takes the turn of its first item's tenant.
    fn tenant(item: &Self::Item) -> TenantId;

    /// How much of a flush an item takes.
    fn weight(_item: &Self::Item) -> usize {
        1
    }

    /// Writes a batch and answers for each item, in order, after the commit.
    fn flush(
        &self,
        items: &[Self::Item],
    ) -> impl Future<Output = Result<Vec<Result<Self::Output, Error>>, Error>> + Send;
}

/// The weight of an item of that many bytes: a flush must not become one huge statement.
fn by_bytes(bytes: usize) -> usize {
    1 + bytes / 4_096
}

type Answers<T> = Vec<Result<T, Fault>>;

struct Job<F: Flush> {
    items: Vec<F::Item>,
    reply: oneshot::Sender<Answers<F::Output>>,
}

/// The door to a lane. Clones share it; the flusher ends with the last one.
pub struct Lane<F: Flush> {
    door: Arc<Door<F>>,
}

/// Closes the inbox when nobody can hand in anything any more.
struct Door<F: Flush> {
    inbox: Arc<Inbox<Job<F>>>,
}

impl<F: Flush> Drop for Door<F> {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

impl<F: Flush> Clone for Lane<F> {
    fn clone(&self) -> Self {
        Self {
            door: Arc::clone(&self.door),
        }
    }
}

impl<F: Flush> std::fmt::Debug for Lane<F> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Lane({})", F::NAME)
    }
}

/// How much a lane takes.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// Jobs of one tenant that wait while nobody else's do; one more is refused.
    pub waiting: usize,
    /// Weight that one flush takes.
    pub flush: usize,
}

impl<F: Flush> Lane<F> {
    /// Starts the flusher.
    pub fn start(flush: F, capacity: Capacity) -> Self {
        let inbox = Arc::new(Inbox::new(capacity.waiting));
        let run = run(Arc::new(flush), Arc::clone(&inbox), capacity.flush);
        reeve_runtime::spawn(F::NAME, run);
        Self {
            door: Arc::new(Door { inbox }),
        }
    }

    /// Hands in several items and waits until they are written; they may share a flush with others
    /// and are answered in order.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when the lane is full, UNAVAILABLE when it has stopped.
    pub async fn submit_all(&self, items: Vec<F::Item>) -> Result<Answers<F::Output>, Fault> {
        let Some(tenant) = items.first().map(F::tenant) else {
            return Ok(Vec::new());
        };
        let (reply, answers) = oneshot::channel();
        let job = Job { items, reply };
        let pushed = self.door.inbox.push(tenant, job);
        pushed.map_err(|refused| match refused {
            Refused::Full => Fault::from(Error::LaneFull { lane: F::NAME }),
            Refused::Closed => Fault::from(Error::Draining),
        })?;
        answers.await.map_err(|_| Fault::from(Error::Draining))
    }

    /// Hands in one item.
    ///
    /// # Errors
    /// As [`Lane::submit_all`], and what the flush says of the item.
    pub async fn submit(&self, item: F::Item) -> Result<F::Output, Fault> {
        let answers = self.submit_all(vec![item]).await?;
        answers
            .into_iter()
            .next()
            .unwrap_or_else(|| Err(Fault::internal()))
    }
}

async fn run<F: Flush>(flush: Arc<F>, inbox: Arc<Inbox<Job<F>>>, most: usize) {
    while let Some(first) = inbox.next().await {
        let mut weight = weigh::<F>(&first.items);
        let mut jobs = vec![first];
        while weight < most {
            let Some(job) = inbox.take() else { break };
            weight += weigh::<F>(&job.items);
            jobs.push(job);
        }
        write(&*flush, jobs).await;
    }
}

fn weigh<F: Flush>(items: &[F::Item]) -> usize {
    items.iter().map(F::weight).sum()
}

async fn write<F: Flush>(flush: &F, jobs: Vec<Job<F>>) {
    let mut replies = Vec::with_capacity(jobs.len());
    let mut items = Vec::with_capacity(jobs.len());
    for job in jobs {
        replies.push((job.reply, job.items.len()));
        items.extend(job.items);
    }
    let mut answers = settle(flush, &items).await.into_iter();
    for (reply, count) in replies {
        // A caller that has gone away does not need its answer; the work is done.
        let _ = reply.send(answers.by_ref().take(count).collect());
    }
}

/// Writes a batch, splitting it where it fails.
async fn settle<F: Flush>(flush: &F, items: &[F::Item]) -> Answers<F::Output> {
    let mut answers = Vec::with_capacity(items.len());
    let mut parts = vec![items];
    while let Some(part) = parts.pop() {
        match attempt(flush, part).await {
            Ok(done) => {
                debug_assert_eq!(done.len(), part.len(), "{} answers for each item", F::NAME);
                answers.extend(done.into_iter().map(|answer| answer.map_err(Fault::from)));
            }
            Err(error) if part.len() == 1 || error.is_of_all() => {
                let fault = Fault::from(error);
                answers.extend(part.iter().map(|_| Err(fault.clone())));
            }
            Err(error) => {
                tracing::debug!(%error, lane = F::NAME, items = part.len(), "splitting a batch");
                let (first, second) = part.split_at(part.len() / 2);
                parts.push(second);
                parts.push(first);
            }
        }
    }
    answers
}

type Done<T> = Result<Vec<Result<T, Error>>, Error>;

/// Tries a batch again while transactions collide: they wrote nothing.
async fn attempt<F: Flush>(flush: &F, items: &[F::Item]) -> Done<F::Output> {
    let mut tried = 0;
    loop {
        tried += 1;
        match flush.flush(items).await {
            Err(error) if error.is_conflict() && tried < TRIES => {
                tracing::debug!(lane = F::NAME, tried, "transactions collided");
            }
            other => return other,
        }
    }
}

#[cfg(test)]
#[path = "lane_tests.rs"]
mod tests;
