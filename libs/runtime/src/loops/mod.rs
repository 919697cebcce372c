//! Supervised loops: work that a service does by itself, at a period or when woken.
//!
//! A tick that fails or panics is logged, counted and tried again after a growing pause; it never
//! ends the process and never ends the loop. When the server drains, the tick in progress finishes
//! and no other starts; a loop that is the [`last`](Loop::last) goes on until the calls have ended.

mod alone;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::{BoxFuture, select_all};
use rand::Rng as _;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::metrics::{LoopOutcome, Metrics};
use crate::service::BoxError;
use crate::supervise::panic_text;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What a tick found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There may be more to do: tick again at once.
    More,
    /// Nothing is left: wait for the period or a wake-up.
    Idle,
}

impl From<()> for Progress {
    fn from((): ()) -> Self {
        Self::Idle
    }
}

impl From<bool> for Progress {
    /// True for "there is more".
    fn from(more: bool) -> Self {
        if more { Self::More } else { Self::Idle }
    }
}

type Tick =
    Box<dyn FnMut(CancellationToken) -> BoxFuture<'static, Result<Progress, BoxError>> + Send>;

/// One supervised loop.
pub struct Loop {
    name: &'static str,
    period: Duration,
    wakers: Vec<Arc<Notify>>,
    last: bool,
    tick: Tick,
}

impl Loop {
    /// Ticks every `period`, give or take a tenth, so that replicas do not tick together; the first
    /// time at once. `tick` returns `Ok(())`, or a [`Progress`] to go on without a pause.
    pub fn new<F, R, P, E>(name: &'static str, period: Duration, mut tick: F) -> Self
    where
        F: FnMut() -> R + Send + 'static,
        R: Future<Output = Result<P, E>> + Send + 'static,
        P: Into<Progress>,
        E: Into<BoxError>,
    {
        Self::stoppable(name, period, move |_| tick())
    }

    /// As [`Loop::new`], for a tick that waits long and must end early when `stop` is cancelled: a
    /// consumer that blocks on a stream, for example.
    pub fn stoppable<F, R, P, E>(name: &'static str, period: Duration, mut tick: F) -> Self
    where
        F: FnMut(CancellationToken) -> R + Send + 'static,
        R: Future<Output = Result<P, E>> + Send + 'static,
        P: Into<Progress>,
        E: Into<BoxError>,
    {
        let tick = move |stop| {
            let work = tick(stop);
            async move { work.await.map(Into::into).map_err(Into::into) }.boxed()
        };
        Self {
            name,
            period,
            wakers: Vec::new(),
            last: false,
            tick: Box::new(tick),
        }
    }

    /// Also ticks when notified; a loop may have several such wakers.
    #[must_use]
    pub fn woken_by(mut self, waker: Arc<Notify>) -> Self {
        self.wakers.push(waker);
        self
    }

    /// Goes on during the drain until no call is under way, and then ticks until nothing is left: for
    /// a loop that carries away what calls leave behind, as the relay of events does.
    #[must_use]
    pub fn last(mut self) -> Self {
        self.last = true;
        self
    }

    /// Whether the loop outlasts the calls.
    pub(crate) fn is_last(&self) -> bool {
        self.last
    }

    /// The name in logs and metrics.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken, metrics: Metrics) {
        let mut failures = 0_u32;
        while !stop.is_cancelled() {
            match self.turn(&stop, &metrics).await {
                Some(Progress::More) => {
                    failures = 0;
                    tokio::task::yield_now().await;
                }
                Some(Progress::Idle) => {
                    failures = 0;
                    rest(&stop, &self.wakers, self.period).await;
                }
                None => {
                    failures = failures.saturating_add(1);
                    pause(&stop, backoff(failures)).await;
                }
            }
        }
        while self.last && self.turn(&stop, &metrics).await == Some(Progress::More) {}
    }

    /// One tick; nothing when it failed.
    async fn turn(&mut self, stop: &CancellationToken, metrics: &Metrics) -> Option<Progress> {
        // At the level of the gravest event in it: a filter that hides the span hides its name.
        let span = tracing::error_span!("loop", "loop" = self.name);
        let started = Instant::now();
        let work = (self.tick)(stop.clone()).instrument(span.clone());
        let outcome = AssertUnwindSafe(work).catch_unwind().await;
        let (label, progress) = span.in_scope(|| judge(outcome));
        metrics.observe_loop(self.name, label, started.elapsed());
        progress
    }
}

fn judge(
    outcome: Result<Result<Progress, BoxError>, Box<dyn Any + Send>>,
) -> (LoopOutcome, Option<Progress>) {
    match outcome {
        Ok(Ok(progress)) => (LoopOutcome::Ok, Some(progress)),
        Ok(Err(error)) => {
            tracing::warn!(error = %chain(&*error), "the loop's tick failed and is tried again");
            (LoopOutcome::Error, None)
        }
        Err(panic) => {
            tracing::error!(panic = panic_text(&*panic), "the loop's tick panicked");
            (LoopOutcome::Panic, None)
        }
    }
}

async fn rest(stop: &CancellationToken, wakers: &[Arc<Notify>], period: Duration) {
    let woken = async {
        if wakers.is_empty() {
            std::future::pending::<()>().await;
        }
        select_all(wakers.iter().map(|waker| Box::pin(waker.notified()))).await;
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = woken => {}
        () = tokio::time::sleep(jittered(period, 0.1)) => {}
    }
}

impl fmt::Debug for Loop {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Loop({} every {:?})", self.name, self.period)
    }
}

async fn pause(stop: &CancellationToken, length: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(length) => {}
    }
}

fn backoff(failures: u32) -> Duration {
    let doubled =
        FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(16)));
    jittered(doubled.min(LONGEST_PAUSE), 0.2)
}

/// `length`, give or take `share` of it.
pub(crate) fn jittered(length: Duration, share: f64) -> Duration {
    length.mul_f64(1.0 + rand::rng().random_range(-share..=share))
}

/// An error with its causes, for a log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
