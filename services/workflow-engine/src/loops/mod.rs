//! What the service does by itself.

mod task_news;

use std::sync::Arc;
use std::time::Duration;

use reeve_events::{Consumer, Relay};
use reeve_runtime::{Loop, Progress};

use crate::config::EngineConfig;
use crate::error::Error;
use crate::operations::Engine;

pub use task_news::TaskNewsHandler;

/// Every loop of the service.
pub fn all(
    engine: &Arc<Engine>,
    config: &EngineConfig,
    relay: Relay,
    consumer: Consumer<TaskNewsHandler>,
) -> Vec<Loop> {
    let wake = engine.wake.relay();
    let expiring = relay.clone();
    let relaying = Loop::new("relay", Duration::from_secs(1), move || {
        let relay = relay.clone();
        async move { relay.tick().await }
    });
    let consumer = Arc::new(consumer);
    let commands = Arc::clone(&engine.commands);
    vec![
        relaying.woken_by(wake).last(),
        Loop::new("expire-events", Duration::from_secs(600), move || {
            let relay = expiring.clone();
            async move { relay.expire().await }
        }),
        // A tick waits on the stream for up to a second, so it must not be what a drain waits for.
        Loop::stoppable("task-news", Duration::ZERO, move |stop| {
            let consumer = Arc::clone(&consumer);
            async move {
                tokio::select! {
                    applied = consumer.tick() => applied.map(Progress::from),
                    () = stop.cancelled() => Ok(Progress::Idle),
                }
            }
        }),
        every(
            engine,
            "commands",
            config.command_period,
            |engine| async move { engine.relay_commands().await.map(Progress::from) },
        )
        .woken_by(commands),
        every(engine, "timers", config.timer_period, |engine| async move {
            engine.fire_timers().await.map(Progress::from)
        }),
        every(
            engine,
            "wakefulness",
            Duration::from_secs(15),
            |engine| async move { engine.count_asleep().await.map(|_| Progress::Idle) },
        ),
    ]
}

fn every<F, R>(engine: &Arc<Engine>, name: &'static str, period: Duration, tick: F) -> Loop
where
    F: Fn(Arc<Engine>) -> R + Send + 'static,
    R: Future<Output = Result<Progress, Error>> + Send + 'static,
{
    let engine = Arc::clone(engine);
    Loop::new(name, period, move || tick(Arc::clone(&engine)))
}
