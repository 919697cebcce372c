//! Ending holds that nobody ended in time.

use reeve_events::Actor;

use super::holds::told;
use super::{Context, SERVICE, append};
use crate::error::Error;
use crate::storage::budgets::{self, Movements};

/// Holds that one pass takes.
const BATCH: i64 = 500;

impl Context {
    /// Frees what expired; true when there may be more.
    pub async fn expire_holds(&self) -> Result<bool, Error> {
        let now = self.now();
        let mut tx = self.database.internal().await?;
        let mut holds = budgets::lock_expired(&mut tx, now, BATCH).await?;
        if holds.is_empty() {
            return Ok(false);
        }
        let mut movements = Movements::default();
        let mut events = Vec::with_capacity(holds.len());
        for hold in &mut holds {
            if let Some(movement) = hold.expire(now) {
                movements.add(hold.tenant_id, &hold.path, movement);
                events.push(told(hold, Actor::service(SERVICE), now));
            }
        }
        budgets::save_holds(&mut tx, &holds).await?;
        budgets::apply(&mut tx, &movements).await?;
        append(&mut tx, events).await?;
        self.commit(tx).await?;
        self.counters
            .expiries
            .inc_by(u64::try_from(holds.len()).unwrap_or(0));
        Ok(i64::try_from(holds.len()).is_ok_and(|count| count == BATCH))
    }
}
