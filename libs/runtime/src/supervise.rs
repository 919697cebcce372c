//! Background work with a name, so that nothing fails in silence.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

/// Runs a future in the background. A panic in it is logged under `name` and ends that future
/// alone; `None` is then its result.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that spawns, so that it can watch"
)]
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<Option<F::Output>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let watched = async move {
        match AssertUnwindSafe(future).catch_unwind().await {
            Ok(output) => Some(output),
            Err(panic) => {
                tracing::error!(
                    task = name,
                    panic = panic_text(&*panic),
                    "background task panicked"
                );
                None
            }
        }
    };
    tokio::spawn(watched.in_current_span())
}

/// The message of a panic.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}
