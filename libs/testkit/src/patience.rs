//! Waiting for a condition. A sleep long enough for a loaded machine is too long for every other,
//! and a sleep too short makes a test that sometimes fails.

use std::env;
use std::fmt::Display;
use std::panic::Location;
use std::time::Duration;

use tokio::time::{Instant, sleep};

const PATIENCE_VARIABLE: &str = "REEVE_TEST_PATIENCE_SECONDS";
/// Only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// What an attempt may answer: whether it held, and if not, why.
pub trait Outcome {
    /// What the test goes on with.
    type Value;

    /// The value, or the reason to try again.
    ///
    /// # Errors
    /// The reason, for the panic of the last attempt.
    fn into_result(self) -> Result<Self::Value, String>;
}

impl Outcome for bool {
    type Value = ();

    fn into_result(self) -> Result<(), String> {
        if self {
            Ok(())
        } else {
            Err("it was false".to_owned())
        }
    }
}

impl<T> Outcome for Option<T> {
    type Value = T;

    fn into_result(self) -> Result<T, String> {
        self.ok_or_else(|| "there was nothing".to_owned())
    }
}

impl<T, E: Display> Outcome for Result<T, E> {
    type Value = T;

    fn into_result(self) -> Result<T, String> {
        self.map_err(|error| error.to_string())
    }
}

/// Repeats `attempt` until it answers true, something or Ok. An attempt that hangs counts as one
/// that failed. `REEVE_TEST_PATIENCE_SECONDS` changes how long it goes on (60).
///
/// # Panics
/// When patience runs out; the message has the caller's line and the last reason.
#[track_caller]
pub fn eventually<A, F, O>(attempt: A) -> impl Future<Output = O::Value>
where
    A: FnMut() -> F,
    F: Future<Output = O>,
    O: Outcome,
{
    within(patience(), Location::caller(), attempt)
}

async fn within<A, F, O>(
    patience: Duration,
    place: &'static Location<'static>,
    mut attempt: A,
) -> O::Value
where
    A: FnMut() -> F,
    F: Future<Output = O>,
    O: Outcome,
{
    let deadline = Instant::now() + patience;
    let mut pause = FIRST_PAUSE;
    let mut last = None;
    loop {
        let reason = match tokio::time::timeout_at(deadline, attempt()).await {
            Ok(outcome) => match outcome.into_result() {
                Ok(value) => return value,
                Err(reason) => reason,
            },
            // The reason before tells more than that time was up.
            Err(_) => last
                .take()
                .unwrap_or_else(|| "it did not answer".to_owned()),
        };
        if Instant::now() + pause >= deadline {
            panic!("{place}: not within {patience:?}: {reason}");
        }
        last = Some(reason);
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn patience() -> Duration {
    let seconds = env::var(PATIENCE_VARIABLE)
        .ok()
        .and_then(|seconds| seconds.parse().ok());
    seconds.map_or(PATIENCE, Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn goes_on_until_there_is_something() {
        let attempts = AtomicU32::new(0);
        let value = eventually(|| async {
            let attempt = attempts.fetch_add(1, Ordering::Relaxed);
            (attempt == 3).then_some(attempt)
        });
        assert_eq!(value.await, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "the last reason")]
    async fn says_why_it_gave_up() {
        let attempt = || async { Err::<(), _>("the last reason") };
        within(SHORT, Location::caller(), attempt).await;
    }

    #[tokio::test]
    #[should_panic(expected = "did not answer")]
    async fn gives_up_on_an_attempt_that_hangs() {
        within(SHORT, Location::caller(), std::future::pending::<bool>).await;
    }
}
