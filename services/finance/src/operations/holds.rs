//! Ending holds.

use chrono::{DateTime, Utc};
use reeve_ids::{HoldId, TenantId};
use reeve_money::Cost;

use super::Context;
use crate::domain::budget::{Hold, HoldClosed, Movement};
use crate::error::Error;
use crate::storage::budgets::{self, Movements};

impl Context {
    /// Ends a hold with what was spent.
    pub async fn commit_hold(
        &self,
        tenant: TenantId,
        id: HoldId,
        actual: Cost,
    ) -> Result<Hold, Error> {
        let hold = self
            .end_hold(tenant, id, |hold, now| {
                let currency = hold.amount.currency();
                if currency != actual.currency() {
                    let subject = format!("hold/{id}");
                    return Err(Error::currencies(subject, currency, actual.currency()));
                }
                hold.commit(actual, now)
                    .map_err(|HoldClosed(state)| Error::HoldClosed { id, state })
            })
            .await?;
        if hold.overrun() {
            self.counters.overruns.inc();
        }
        Ok(hold)
    }

    /// Gives a hold back.
    pub async fn release_hold(&self, tenant: TenantId, id: HoldId) -> Result<Hold, Error> {
        self.end_hold(tenant, id, |hold, now| {
            hold.release(now)
                .map_err(|HoldClosed(state)| Error::HoldClosed { id, state })
        })
        .await
    }

    async fn end_hold(
        &self,
        tenant: TenantId,
        id: HoldId,
        end: impl FnOnce(&mut Hold, DateTime<Utc>) -> Result<Option<Movement>, Error>,
    ) -> Result<Hold, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        let mut hold = budgets::lock_hold(&mut tx, tenant, id)
            .await?
            .ok_or_else(|| Error::not_found("hold", id))?;
        if let Some(movement) = end(&mut hold, self.now())? {
            budgets::save_holds(&mut tx, std::slice::from_ref(&hold)).await?;
            let mut movements = Movements::default();
            movements.add(&hold.path, movement);
            budgets::apply(&mut tx, &movements).await?;
        }
        tx.commit().await?;
        Ok(hold)
    }
}
