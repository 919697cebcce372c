//! The lane of completions, the hottest end of a task.

use std::collections::{HashMap, HashSet};

use reeve_events::Actor;
use reeve_ids::{TaskId, TenantId};

use super::Flush;
use crate::Error;
use crate::core::Shared;
use crate::dispatch::charge;
use crate::domain::{AttemptEnd, LeaseToken};
use crate::operations::{events, release};
use crate::storage::{self, CompletedRow, Completion, EndedRow, Made};

/// A completion and who reports it.
#[derive(Debug)]
pub struct CompleteItem {
    /// The completion.
    pub completion: Completion,
    /// The holder.
    pub actor: Actor,
}

/// Writes completions.
pub struct CompleteFlush {
    /// What the service shares.
    pub shared: Shared,
}

impl Flush for CompleteFlush {
    type Item = CompleteItem;
    type Output = ();
    const NAME: &'static str = "complete";

    fn tenant(item: &CompleteItem) -> TenantId {
        item.completion.tenant_id
    }

    fn weight(item: &CompleteItem) -> usize {
        super::by_bytes(item.completion.bytes)
    }

    async fn flush(&self, items: &[CompleteItem]) -> Result<Vec<Result<(), Error>>, Error> {
        let now = self.shared.clock.now();
        // A token that its holder names twice is completed once; the repetition hears the same.
        let first: HashMap<Held, &CompleteItem> = items
            .iter()
            .rev()
            .map(|item| (held(&item.completion), item))
            .collect();
        let mut completions: Vec<_> = first.values().map(|item| &item.completion).collect();
        completions.sort_by_key(|completion| completion.token);
        let mut tx = self.shared.lane_transaction().await?;
        let rows = storage::complete(&mut tx, &completions, now).await?;
        let done: HashSet<Held> = rows.iter().map(held_by).collect();
        let made = rows.iter().filter_map(|row| {
            let completion = &first.get(&held_by(row))?.completion;
            Some(Made {
                tenant_id: completion.tenant_id,
                task_id: completion.token.task_id,
                attempt: row.attempt,
                artifacts: &completion.artifacts,
            })
        });
        let made: Vec<_> = made.collect();
        storage::insert_artifacts(&mut tx, &made, now).await?;
        let ended_tasks: Vec<_> = done
            .iter()
            .map(|(tenant, token)| (*tenant, token.task_id))
            .collect();
        let released = release::after_completion(&mut tx, &ended_tasks, now).await?;
        let ended = missed(&mut tx, items, &done).await?;
        let events = rows
            .iter()
            .filter_map(|row| {
                let item = first.get(&held_by(row))?;
                Some(events::completed(row, &item.actor, now))
            })
            .collect();
        self.shared.append(&mut tx, events).await?;
        tx.commit().await?;
        if !rows.is_empty() {
            self.shared.wake.notify();
        }
        self.shared.limits.ended();
        self.shared.announce_unblocked(&released, now);
        self.shared
            .ends
            .ring(ended_tasks.iter().map(|(_, task)| *task));
        let charges = rows
            .iter()
            .filter_map(|row| charge(&row.place, row.assign_time, now));
        self.shared.dispatch.charge(charges.collect());
        let answer = |item: &CompleteItem| {
            let held = held(&item.completion);
            if done.contains(&held) || was_completed(&ended, held) {
                Ok(())
            } else {
                Err(Error::LeaseLost(held.1.task_id))
            }
        };
        Ok(items.iter().map(answer).collect())
    }
}

/// A lease and whose it is: a stranger who knows a token is nobody.
type Held = (TenantId, LeaseToken);

fn held(completion: &Completion) -> Held {
    (completion.tenant_id, completion.token)
}

fn held_by(row: &CompletedRow) -> Held {
    let token = LeaseToken {
        task_id: TaskId::from_uuid(row.task_id),
        fence: row.fence,
    };
    (TenantId::from_uuid(row.tenant_id), token)
}

/// How the attempts ended that were not held any more.
async fn missed(
    connection: &mut sqlx::PgConnection,
    items: &[CompleteItem],
    done: &HashSet<Held>,
) -> Result<Vec<EndedRow>, Error> {
    let missed: Vec<Held> = items
        .iter()
        .map(|item| held(&item.completion))
        .filter(|held| !done.contains(held))
        .collect();
    if missed.is_empty() {
        return Ok(Vec::new());
    }
    storage::ended_attempts(connection, &missed).await
}

fn was_completed(ended: &[EndedRow], (tenant, token): Held) -> bool {
    ended.iter().any(|row| {
        row.is_of(tenant, token) && row.attempt_end == Some(AttemptEnd::Completed.number())
    })
}
