//! Fires schedules when their time comes.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use reeve_runtime::Progress;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::core::Shared;
use crate::operations::schedule::{ReadSpec, fire_due};

/// The longest nap, in case the clock is not the one that the timer goes by.
const NAP: Duration = Duration::from_millis(250);
/// The shortest, while another replica handles what is due.
const SHORTEST: Duration = Duration::from_millis(20);
/// After so long the database is asked again when the next time comes: another replica, that made a
/// schedule, may have died with what it knew.
const REFRESH: Duration = Duration::from_secs(5);

/// Handles what is due, and waits until the next time comes or a schedule was changed here.
///
/// # Errors
/// When PostgreSQL is away.
pub async fn tick(
    shared: Shared,
    read: ReadSpec,
    stop: CancellationToken,
) -> Result<Progress, Error> {
    let fired = fire_due(&shared, read).await?;
    if !fired.more {
        wait(&shared, fired.next, &stop).await;
    }
    let over = stop.is_cancelled();
    Ok(if over { Progress::Idle } else { Progress::More })
}

async fn wait(shared: &Shared, next: Option<DateTime<Utc>>, stop: &CancellationToken) {
    let until = Instant::now() + REFRESH;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let now = shared.clock.now();
        let ahead = next.map_or(NAP, |next| (next - now).to_std().unwrap_or_default());
        let nap = tokio::time::sleep(ahead.clamp(SHORTEST, NAP).min(left));
        tokio::select! {
            () = nap => {}
            () = shared.schedules.notified() => return,
            () = stop.cancelled() => return,
        }
        let come = next.is_some_and(|next| next <= shared.clock.now());
        if come || left.is_zero() {
            return;
        }
    }
}
