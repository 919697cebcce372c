//! Ending holds that nobody ended in time.

use super::Context;
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
        let mut movements = Movements::default();
        for hold in &mut holds {
            if let Some(movement) = hold.expire(now) {
                movements.add(&hold.path, movement);
            }
        }
        budgets::save_holds(&mut tx, &holds).await?;
        budgets::apply(&mut tx, &movements).await?;
        tx.commit().await?;
        self.counters
            .expiries
            .inc_by(u64::try_from(holds.len()).unwrap_or(0));
        Ok(i64::try_from(holds.len()).is_ok_and(|count| count == BATCH))
    }
}
