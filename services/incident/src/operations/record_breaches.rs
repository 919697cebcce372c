//! Writing into the timeline that nobody responded in time.

use super::Operations;
use super::change::SOURCE;
use super::open_by_rule::Opened;
use crate::error::Error;
use crate::storage::incidents;

/// Incidents that one pass handles.
const BATCH: i64 = 100;

impl Operations {
    /// Records breaches of the response clock, each once a round; true when there may be more.
    pub async fn record_breaches(&self) -> Result<bool, Error> {
        let now = self.now();
        let mut tx = self.database.internal().await?;
        let overdue = incidents::lock_overdue(&mut tx, now, BATCH).await?;
        let full = i64::try_from(overdue.len()).is_ok_and(|count| count == BATCH);
        let mut opened = Opened::default();
        for mut incident in overdue {
            let now = now.max(incident.update_time);
            if let Some(entry) = incident.record_breach(now) {
                self.tell(&mut tx, &mut incident, vec![entry], now, &mut opened)
                    .await?;
            }
        }
        if opened.events.is_empty() {
            return Ok(false);
        }
        let count = u64::try_from(opened.events.len()).unwrap_or(u64::MAX);
        reeve_events::append(&mut tx, SOURCE, opened.events).await?;
        tx.commit().await?;
        self.counters.responses_overdue.inc_by(count);
        self.wake.notify();
        Ok(full)
    }
}
