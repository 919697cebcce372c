//! What the service does by itself. Every loop may run in any number of replicas: rows are taken
//! with SKIP LOCKED, the cursor moves by compare-and-set.

mod tasks;

use std::sync::Arc;
use std::time::Duration;

use reeve_events::{Consumer, Feed, Relay};
use reeve_postgres::Database;
use reeve_redis::Redis;
use reeve_runtime::Loop;

use crate::config::LoopsConfig;
use crate::operations::Context;
use tasks::Tasks;

/// How often the relay looks when nobody wakes it.
const RELAY_PERIOD: Duration = Duration::from_millis(500);
/// How often old events and request ids are dropped.
const CLEANING_PERIOD: Duration = Duration::from_secs(600);
/// Between two batches of task events: a budget gets back what a task did not use so much later.
const COSTS_REST: Duration = Duration::from_millis(25);
/// How often the consumer begins anew; it waits for events by itself.
const CONSUMER_PERIOD: Duration = Duration::from_millis(50);

/// Where the task queue's events are read.
pub struct Source {
    /// The schema.
    pub database: Database,
    /// Their stream.
    pub redis: Redis,
    /// Their owner.
    pub feed: Feed,
}

/// Every loop.
pub fn all(
    context: &Arc<Context>,
    relay: Relay,
    source: Source,
    config: &LoopsConfig,
) -> Vec<Loop> {
    let waker = context.wake.relay();
    let cleaner = relay.clone();
    let consumer = Consumer::new(
        source.database,
        &source.redis,
        source.feed,
        "task-queue",
        "costs",
        Tasks::new(Arc::clone(context)),
    );
    let consumer = Arc::new(consumer.resting(COSTS_REST));
    let wake = context.wake.clone();
    vec![
        Loop::new("relay", RELAY_PERIOD, move || {
            let relay = relay.clone();
            async move { relay.tick().await }
        })
        .woken_by(waker)
        .last(),
        Loop::new("relay-cleaning", CLEANING_PERIOD, move || {
            let relay = cleaner.clone();
            async move { relay.expire().await }
        }),
        Loop::new("task-costs", CONSUMER_PERIOD, move || {
            let (consumer, wake) = (Arc::clone(&consumer), wake.clone());
            async move {
                let applied = consumer.tick().await?;
                if applied {
                    wake.notify();
                }
                Ok::<_, reeve_events::Error>(applied)
            }
        }),
        every(
            context,
            "hold-expiry",
            config.hold_expiry_period,
            |context| async move { context.expire_holds().await },
        ),
        every(
            context,
            "overdue",
            config.overdue_period,
            |context| async move { context.mark_overdue().await },
        ),
        every(
            context,
            "late-pricing",
            config.late_pricing_period,
            |context| async move { context.price_unpriced().await },
        ),
        every(
            context,
            "request-cleaning",
            CLEANING_PERIOD,
            |context| async move { context.clean_requests().await },
        ),
    ]
}

fn every<R>(
    context: &Arc<Context>,
    name: &'static str,
    period: Duration,
    tick: impl Fn(Arc<Context>) -> R + Send + 'static,
) -> Loop
where
    R: Future<Output = Result<bool, crate::error::Error>> + Send + 'static,
{
    let context = Arc::clone(context);
    Loop::new(name, period, move || tick(Arc::clone(&context)))
}
