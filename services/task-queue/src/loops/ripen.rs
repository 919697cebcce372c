//! Puts tasks into their lanes when their time comes.

use std::time::Duration;

use reeve_runtime::{BoxError, Progress};
use tokio_util::sync::CancellationToken;

use crate::core::Shared;

/// The longest nap, in case the clock is not the one that the timer goes by.
const NAP: Duration = Duration::from_millis(250);

/// Waits for the next task whose time comes, and takes what is ripe.
///
/// # Errors
/// Never.
pub async fn tick(shared: Shared, stop: CancellationToken) -> Result<Progress, BoxError> {
    let ripener = shared.dispatch.ripener();
    let ripe = ripener.take(shared.clock.now());
    if !ripe.is_empty() {
        shared.dispatch.admit(&ripe).await;
        return Ok(Progress::More);
    }
    let next = ripener.next_in(shared.clock.now());
    let nap = async {
        match next {
            Some(next) => tokio::time::sleep(next.min(NAP)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = nap => {}
        () = ripener.added().notified() => {}
        () = stop.cancelled() => return Ok(Progress::Idle),
    }
    Ok(Progress::More)
}
