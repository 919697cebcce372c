//! Acting on timers whose time has come.

use chrono::TimeDelta;

use super::engine::{Author, Engine};
use super::held::Held;
use crate::domain::event::Event;
use crate::error::Error;
use crate::storage::rows::DueTimer;
use crate::storage::timers;

/// How long a timer waits that could not be acted on.
const PAUSE: TimeDelta = TimeDelta::seconds(2);
/// How long, when not even failing its execution worked.
const HOPELESS: TimeDelta = TimeDelta::minutes(5);
/// Timers that one pass reads.
const BATCH: i64 = 100;

impl Engine {
    /// Fires what is due; true when there may be more.
    ///
    /// # Errors
    /// When the database is away. A timer that cannot be acted on is put off.
    pub async fn fire_timers(&self) -> Result<bool, Error> {
        let due = timers::due(self.database.internal_pool(), self.now(), BATCH).await?;
        let more = i64::try_from(due.len()).is_ok_and(|read| read == BATCH);
        for timer in due {
            let fired = self.fire(&timer).await;
            let fired = self.or_abandon(timer.tenant, timer.execution_id, fired);
            if let Err(error) = fired.await {
                tracing::warn!(%error, execution = %timer.execution_id, "a timer waits");
                self.put_off(&timer, &error).await?;
            }
        }
        Ok(more)
    }

    /// Lets a timer wait, so that those behind it have their turn. While the database is away this
    /// fails too.
    async fn put_off(&self, timer: &DueTimer, error: &Error) -> Result<(), Error> {
        let pause = if error.is_permanent() {
            HOPELESS
        } else {
            PAUSE
        };
        let mut tx = self.database.tenant(timer.tenant).await?;
        timers::postpone(&mut tx, timer, self.now() + pause).await?;
        tx.commit().await?;
        Ok(())
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
