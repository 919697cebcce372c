//! Acting on timers whose time has come.

use super::engine::{Author, Engine};
use super::held::Held;
use crate::domain::event::Event;
use crate::error::Error;
use crate::storage::rows::DueTimer;
use crate::storage::timers;

/// Timers that one pass reads.
const BATCH: i64 = 100;

impl Engine {
    /// Fires what is due; true when there may be more.
    ///
    /// # Errors
    /// When the database is away. A timer that cannot be acted on does not stop the others.
    pub async fn fire_timers(&self) -> Result<bool, Error> {
        let due = timers::due(self.database.internal_pool(), self.now(), BATCH).await?;
        let more = i64::try_from(due.len()).is_ok_and(|read| read == BATCH);
        let mut failed = None;
        for timer in due {
            if let Err(error) = self.fire(&timer).await {
                tracing::warn!(%error, execution = %timer.execution_id, "a timer waits");
                failed = Some(error);
            }
        }
        failed.map_or(Ok(more), Err)
    }

    async fn fire(&self, timer: &DueTimer) -> Result<(), Error> {
        // The execution before the timer: every transition locks in this order.
        let held = Held::lock(self, timer.tenant, timer.execution_id).await?;
        let Some(mut held) = held else { return Ok(()) };
        if !timers::take(&mut held.tx, timer, self.now()).await? {
            return Ok(());
        }
        let step = held.planned.plan.index_of(&timer.step_id);
        let event = Event::Timer {
            kind: timer.kind,
            step,
            attempt: timer.attempt,
        };
        held.apply(event, &Author::engine()).await?;
        held.commit().await?;
        Ok(())
    }
}
