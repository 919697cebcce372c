//! Ending holds, and the events of their life.

use chrono::{DateTime, Utc};
use reeve_events::{Actor, NewEvent};
use reeve_ids::HoldId;
use reeve_money::Cost;
use serde_json::json;

use super::{Call, Context, append};
use crate::domain::budget::{Hold, HoldClosed, HoldState, Movement};
use crate::error::Error;
use crate::storage::budgets::{self, Movements};

impl Context {
    /// Ends a hold with what was spent.
    pub async fn commit_hold(&self, call: Call, id: HoldId, actual: Cost) -> Result<Hold, Error> {
        let (hold, moved) = self
            .end_hold(call, id, |hold, now| {
                let currency = hold.amount.currency();
                if currency != actual.currency() {
                    let subject = format!("hold/{id}");
                    return Err(Error::currencies(subject, currency, actual.currency()));
                }
                hold.commit(actual, now)
                    .map_err(|HoldClosed(state)| Error::HoldClosed { id, state })
            })
            .await?;
        if moved && hold.overrun() {
            self.counters.overruns.inc();
        }
        Ok(hold)
    }

    /// Gives a hold back.
    pub async fn release_hold(&self, call: Call, id: HoldId) -> Result<Hold, Error> {
        let released = self.end_hold(call, id, |hold, now| {
            hold.release(now)
                .map_err(|HoldClosed(state)| Error::HoldClosed { id, state })
        });
        Ok(released.await?.0)
    }

    /// The hold as it is then, and whether this call ended it.
    async fn end_hold(
        &self,
        call: Call,
        id: HoldId,
        end: impl FnOnce(&mut Hold, DateTime<Utc>) -> Result<Option<Movement>, Error>,
    ) -> Result<(Hold, bool), Error> {
        let (now, tenant) = (self.now(), call.tenant_id);
        let mut tx = self.database.tenant(tenant).await?;
        let repeated = self.claim(&mut tx, &call, id.uuid()).await?.is_some();
        let mut hold = budgets::lock_hold(&mut tx, tenant, id)
            .await?
            .ok_or_else(|| Error::not_found("hold", id))?;
        if repeated {
            return Ok((hold, false));
        }
        let movement = end(&mut hold, now)?;
        if let Some(movement) = movement {
            budgets::save_holds(&mut tx, std::slice::from_ref(&hold)).await?;
            append(&mut tx, vec![told(&hold, call.actor, now)]).await?;
            let mut movements = Movements::default();
            movements.add(tenant, &hold.path, movement);
            budgets::apply(&mut tx, &movements).await?;
        }
        self.commit(tx).await?;
        Ok((hold, movement.is_some()))
    }
}

/// The event of what just became of a hold.
pub(super) fn told(hold: &Hold, actor: Actor, now: DateTime<Utc>) -> NewEvent {
    let kind = match (hold.state, hold.actual) {
        (HoldState::Held, _) => "hold.reserved",
        // Also the late commit of an expired one.
        (HoldState::Committed, _) | (_, Some(_)) => "hold.committed",
        (HoldState::Released, None) => "hold.released",
        (HoldState::Expired, None) => "hold.expired",
    };
    let data = json!({
        "budget_id": hold.budget_id.to_string(),
        "task_id": hold.task_id.map(|id| id.to_string()),
        "attempt": hold.attempt,
        "state": hold.state.as_str(),
        "amount": hold.amount.amount(),
        "actual": hold.actual.map(Cost::amount),
        "overrun": hold.overrun(),
        "currency_code": hold.amount.currency().code(),
    });
    NewEvent::new(hold.tenant_id, actor, now, kind, ("hold", hold.id)).with(data)
}
