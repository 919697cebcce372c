//! What the service does by itself.

mod admission;
mod agents;
mod brake;
mod demands;
mod due;
mod limits;
mod offers;
mod pace;
mod ready;
mod ripen;
mod schedules;

use std::sync::Arc;
use std::time::Duration;

use reeve_auth::ServiceTokens;
use reeve_events::{Consumer, Feed, Relay};
use reeve_redis::Redis;
use reeve_runtime::Loop;

use crate::operations::schedule::ReadSpec;
use crate::{NAME, Queue};

pub use admission::Admissions;
pub use agents::AgentEvents;
pub use due::DueTasks;
pub use limits::LimitSweep;
pub use ready::ReadySweep;

/// Every loop of the service.
pub fn all(
    queue: &Queue,
    redis: &Redis,
    relay: Relay,
    tokens: ServiceTokens,
    registry: tonic::transport::Channel,
    read: ReadSpec,
) -> Vec<Loop> {
    let shared = &queue.shared;
    let config = &shared.config;
    let due = Arc::new(DueTasks::new(queue.clone()));
    let sweep = Arc::new(ReadySweep::new(shared.clone()));
    let throttled = Arc::new(LimitSweep::new(shared.clone()));
    let admissions = Arc::new(Admissions::new(shared.clone()));
    let feed = Feed::Peer {
        channel: registry,
        tokens,
        caller: NAME,
    };
    let consumer = Arc::new(Consumer::new(
        shared.database.clone(),
        redis,
        feed,
        "agent-registry",
        "leases",
        AgentEvents::new(queue.clone()),
    ));
    let expiry = relay.clone();
    let relay_wake = shared.wake.relay();
    let ripening = shared.clone();
    let offering = shared.clone();
    let firing = shared.clone();
    let forgetting = shared.clone();
    vec![
        Loop::new("relay", Duration::from_millis(500), move || {
            let relay = relay.clone();
            async move { relay.tick().await }
        })
        .woken_by(relay_wake)
        .last(),
        Loop::new("expire events", Duration::from_secs(600), move || {
            let relay = expiry.clone();
            async move { relay.expire().await }
        }),
        Loop::new("expire demands", Duration::from_secs(3_600), move || {
            let shared = forgetting.clone();
            async move { demands::tick(&shared).await }
        }),
        Loop::new("due", config.sweep_period, move || {
            let due = Arc::clone(&due);
            async move { due.tick().await }
        }),
        Loop::new(
            "ready queues",
            config.reconcile_period.min(Duration::from_secs(1)),
            move || {
                let sweep = Arc::clone(&sweep);
                async move { sweep.tick().await }
            },
        ),
        Loop::new("offers", Duration::from_secs(1), move || {
            offers::tick(offering.clone())
        }),
        Loop::stoppable("ripen", Duration::from_secs(1), move |stop| {
            ripen::tick(ripening.clone(), stop)
        }),
        Loop::new("limits", Duration::from_millis(250), move || {
            let throttled = Arc::clone(&throttled);
            async move { throttled.tick().await }
        })
        .woken_by(Arc::clone(shared.limits.wake())),
        Loop::stoppable("schedules", Duration::from_secs(5), move |stop| {
            schedules::tick(firing.clone(), read, stop)
        }),
        Loop::stoppable("admission", Duration::from_secs(1), move |stop| {
            let admissions = Arc::clone(&admissions);
            async move { admissions.tick(stop).await }
        })
        .woken_by(Arc::clone(&shared.admission)),
        Loop::stoppable("agent events", Duration::from_millis(250), move |stop| {
            let consumer = Arc::clone(&consumer);
            async move {
                tokio::select! {
                    more = consumer.tick() => more,
                    () = stop.cancelled() => Ok(false),
                }
            }
        }),
    ]
}
