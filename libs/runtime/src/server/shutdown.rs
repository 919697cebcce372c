//! How a process is told to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Asks servers to stop; clones ask and are asked together. The first request drains, the second
/// stops at once.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    begun: CancellationToken,
    forced: CancellationToken,
}

impl Shutdown {
    /// One that only [`Shutdown::begin`] and [`Shutdown::force`] trigger.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that SIGTERM and SIGINT trigger: once to drain, twice to stop at once.
    ///
    /// # Errors
    /// When the signals cannot be watched.
    pub fn on_signals() -> std::io::Result<Self> {
        let shutdown = Self::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let asked = shutdown.clone();
        crate::spawn("signals", async move {
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                if asked.is_begun() {
                    tracing::warn!(signal = name, "stopping at once");
                    asked.force();
                } else {
                    tracing::info!(signal = name, "draining; a second signal stops at once");
                    asked.begin();
                }
            }
        });
        Ok(shutdown)
    }

    /// Begins the drain.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Stops at once.
    pub fn force(&self) {
        self.begun.cancel();
        self.forced.cancel();
    }

    /// Whether the drain has begun.
    pub fn is_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Waits until the drain begins.
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// Waits until the servers must stop at once.
    pub async fn forced(&self) {
        self.forced.cancelled().await;
    }
}
