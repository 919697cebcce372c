//! The lane of completions, the hottest end of a task.

use std::collections::HashMap;

use reeve_events::Actor;
use reeve_ids::{TaskId, TenantId, Uuid};

use super::Flush;
use crate::Error;
use crate::core::Shared;
use crate::domain::{AttemptEnd, LeaseToken};
use crate::operations::{events, release};
use crate::storage::{self, Completion, EndedRow};

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

    async fn flush(&self, items: &[CompleteItem]) -> Result<Vec<Result<(), Error>>, Error> {
        let now = self.shared.clock.now();
        // A token that is named twice is completed once; the repetition hears the same answer.
        let first: HashMap<LeaseToken, &CompleteItem> = items
            .iter()
            .rev()
            .map(|item| (item.completion.token, item))
            .collect();
        let mut completions: Vec<_> = first.values().map(|item| &item.completion).collect();
        completions.sort_by_key(|completion| completion.token);
        let mut tx = self.shared.lane_transaction().await?;
        let rows = storage::complete(&mut tx, &completions, now).await?;
        let done: Vec<Uuid> = rows.iter().map(|row| row.task_id).collect();
        let released = release::after_completion(&mut tx, &done, now).await?;
        let ended = self.missed(&mut tx, items, &rows).await?;
        let token = |id: Uuid, fence| LeaseToken {
            task_id: TaskId::from_uuid(id),
            fence,
        };
        let events = rows
            .iter()
            .filter_map(|row| {
                let item = first.get(&token(row.task_id, row.fence))?;
                Some(events::completed(row, &item.actor, now))
            })
            .collect();
        self.shared.append(&mut tx, events).await?;
        tx.commit().await?;
        if !rows.is_empty() {
            self.shared.wake.notify();
        }
        self.shared.announce_unblocked(&released, now);
        let done: std::collections::HashSet<_> = rows
            .iter()
            .map(|row| token(row.task_id, row.fence))
            .collect();
        let answer = |item: &CompleteItem| {
            let token = item.completion.token;
            if done.contains(&token) || was_completed(&ended, token) {
                Ok(())
            } else {
                Err(Error::LeaseLost(token.task_id))
            }
        };
        Ok(items.iter().map(answer).collect())
    }
}

impl CompleteFlush {
    /// How the attempts ended that were not held any more.
    async fn missed(
        &self,
        connection: &mut sqlx::PgConnection,
        items: &[CompleteItem],
        rows: &[storage::CompletedRow],
    ) -> Result<Vec<EndedRow>, Error> {
        let done: std::collections::HashSet<_> =
            rows.iter().map(|row| (row.task_id, row.fence)).collect();
        let missed: Vec<(TenantId, LeaseToken)> = items
            .iter()
            .map(|item| (item.completion.tenant_id, item.completion.token))
            .filter(|(_, token)| !done.contains(&(token.task_id.uuid(), token.fence)))
            .collect();
        if missed.is_empty() {
            return Ok(Vec::new());
        }
        storage::ended_attempts(connection, &missed).await
    }
}

fn was_completed(ended: &[EndedRow], token: LeaseToken) -> bool {
    ended.iter().any(|row| {
        row.task_id == token.task_id.uuid()
            && row.fence == token.fence
            && row.attempt_end == Some(AttemptEnd::Completed.number())
    })
}
