//! The lane of what a holder says on the way: accepted, started, progress.

use std::collections::{BTreeMap, HashMap};

use reeve_events::Actor;
use reeve_ids::TenantId;

use super::Flush;
use crate::Error;
use crate::core::Shared;
use crate::domain::{LeaseToken, State};
use crate::operations::events;
use crate::storage::{self, Advance, Progress};

/// What a holder says of one task.
#[derive(Debug)]
pub struct AdvanceItem {
    /// The lease and where the task goes: IN_PROGRESS for progress.
    pub advance: Advance,
    /// The report, if it is one.
    pub progress: Option<Progress>,
    /// The holder.
    pub actor: Actor,
}

/// What the holder hears.
#[derive(Debug, Clone, Copy)]
pub struct Advanced {
    /// Whether cancellation was asked for.
    pub cancel_requested: bool,
}

/// Writes what holders say.
pub struct AdvanceFlush {
    /// What the service shares.
    pub shared: Shared,
}

impl Flush for AdvanceFlush {
    type Item = AdvanceItem;
    type Output = Advanced;
    const NAME: &'static str = "advance";

    fn tenant(item: &AdvanceItem) -> TenantId {
        item.advance.tenant_id
    }

    fn weight(item: &AdvanceItem) -> usize {
        super::by_bytes(item.progress.as_ref().map_or(0, |report| report.bytes))
    }

    async fn flush(&self, items: &[AdvanceItem]) -> Result<Vec<Result<Advanced, Error>>, Error> {
        let now = self.shared.clock.now();
        let furthest = furthest(items);
        let mut tx = self.shared.lane_transaction().await?;
        let advances: Vec<_> = furthest.values().map(|item| item.advance.clone()).collect();
        let rows = storage::advance(&mut tx, &advances, now).await?;
        let held: HashMap<_, _> = rows
            .iter()
            .map(|row| ((row.tenant_id, row.task_id, row.fence), row))
            .collect();
        let row_of = |item: &AdvanceItem| {
            let Advance {
                token, tenant_id, ..
            } = &item.advance;
            held.get(&(tenant_id.uuid(), token.task_id.uuid(), token.fence))
                .copied()
        };
        let reports: BTreeMap<_, _> = items
            .iter()
            .filter(|item| row_of(item).is_some())
            .filter_map(|item| item.progress.as_ref())
            .map(|report| (report.token, report))
            .collect();
        storage::put_progress(&mut tx, &reports.into_values().collect::<Vec<_>>(), now).await?;
        let events: Vec<_> = furthest
            .values()
            .filter_map(|item| Some((row_of(item)?, item)))
            .filter(|(row, _)| row.state_before < row.target)
            .map(|(row, item)| events::advanced(row, item.advance.tenant_id, &item.actor, now))
            .collect();
        let moved = !events.is_empty();
        self.shared.append(&mut tx, events).await?;
        tx.commit().await?;
        if moved {
            self.shared.wake.notify();
        }
        let answer = |item: &AdvanceItem| {
            let id = item.advance.token.task_id;
            let row = row_of(item).ok_or(Error::LeaseLost(id))?;
            let begun = row.state_before == State::InProgress.number();
            if begun && item.advance.target == State::Accepted {
                let (from, to) = (State::InProgress, State::Accepted);
                return Err(Error::Forbidden {
                    task_id: id,
                    from,
                    to,
                });
            }
            Ok(Advanced {
                cancel_requested: row.cancel_requested,
            })
        };
        Ok(items.iter().map(answer).collect())
    }
}

/// One item for each lease: a task that is accepted and started in one flush is started.
fn furthest(items: &[AdvanceItem]) -> BTreeMap<(LeaseToken, TenantId), &AdvanceItem> {
    let mut furthest = BTreeMap::<_, &AdvanceItem>::new();
    for item in items {
        let holder = (item.advance.token, item.advance.tenant_id);
        let entry = furthest.entry(holder).or_insert(item);
        if item.advance.target > entry.advance.target {
            *entry = item;
        }
    }
    furthest
}
