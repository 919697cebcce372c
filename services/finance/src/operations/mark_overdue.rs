//! Marking what fell due.

use reeve_events::{Actor, NewEvent};

use super::invoices::facts;
use super::{Context, SERVICE, append};
use crate::error::Error;
use crate::storage::invoices;

/// Invoices that one pass takes.
const BATCH: i64 = 200;

impl Context {
    /// Marks invoices that fell due as overdue; true when there may be more.
    pub async fn mark_overdue(&self) -> Result<bool, Error> {
        let now = self.now();
        let mut tx = self.database.internal().await?;
        let due = invoices::lock_due(&mut tx, now, BATCH).await?;
        let count = due.len();
        if count == 0 {
            return Ok(false);
        }
        let mut events = Vec::with_capacity(count);
        for mut invoice in due {
            let id = invoice.id;
            let fell = invoice
                .fall_due(now)
                .map_err(|f| Error::forbidden("invoice", id, f))?;
            if fell {
                invoices::save(&mut tx, &mut invoice).await?;
                let (tenant, actor) = (invoice.tenant_id, Actor::service(SERVICE));
                let event = NewEvent::new(tenant, actor, now, "invoice.overdue", ("invoice", id));
                events.push(event.with(facts(&invoice)));
            }
        }
        append(&mut tx, events).await?;
        self.commit(tx).await?;
        Ok(i64::try_from(count).is_ok_and(|count| count == BATCH))
    }
}
