//! What the service does by itself.

mod record;

use std::time::Duration;

use reeve_auth::ServiceTokens;
use reeve_events::{Consumer, Feed, Log, Relay};
use reeve_runtime::{Deps, Loop, Peer};
use tokio_util::sync::CancellationToken;

use crate::clients::task_queue::TaskQueue;
use crate::config::Config;
use crate::operations::Operations;
use crate::operations::change::SOURCE;
use record::Recorder;

/// Between two batches of one source. Nobody waits for the log; an incident may open so much later.
const RECORD_REST: Duration = Duration::from_millis(50);
/// How often a consumer looks again when it found nothing; each look waits a second by itself.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How often the rules look by themselves, for events that another replica recorded.
const RULES_PERIOD: Duration = Duration::from_secs(1);

/// Every loop of the service.
pub fn all(config: &Config, deps: &Deps, operations: &Operations) -> Vec<Loop> {
    let relay = Relay::new(
        deps.database.clone(),
        &deps.redis,
        SOURCE,
        deps.wake.clone(),
    );
    let expiring = relay.clone();
    let relaying = Loop::new("relay", Duration::from_secs(1), move || {
        let relay = relay.clone();
        async move { relay.tick().await }
    });
    let mut loops = vec![
        relaying.woken_by(deps.wake.relay()).last(),
        Loop::new("expire-events", Duration::from_secs(600), move || {
            let relay = expiring.clone();
            async move { relay.expire().await }
        }),
        rules(operations),
        breaches(config, operations),
        evidence(config, deps, operations),
    ];
    loops.extend(consumers(config, deps, operations));
    loops
}

/// One consumer for each service's log, this one's included.
fn consumers(config: &Config, deps: &Deps, operations: &Operations) -> Vec<Loop> {
    let tokens = ServiceTokens::new(config.common.auth.service_token_secret.expose());
    let peer = |peer: &Peer| Feed::Peer {
        channel: peer.channel(),
        tokens: tokens.clone(),
        caller: SOURCE,
    };
    let own = Feed::Own(Log::new(deps.database.clone()));
    let sources = [
        (
            "record-agent-registry",
            "agent-registry",
            peer(&deps.peers.agent_registry),
        ),
        (
            "record-task-queue",
            "task-queue",
            peer(&deps.peers.task_queue),
        ),
        (
            "record-workflow-engine",
            "workflow-engine",
            peer(&deps.peers.workflow_engine),
        ),
        ("record-finance", "finance", peer(&deps.peers.finance)),
        ("record-incident", SOURCE, own),
    ];
    let consume = |(name, source, feed)| {
        let handler = Recorder::new(operations.clone(), source);
        let database = deps.database.clone();
        let consumer = Consumer::new(database, &deps.redis, feed, source, "event-log", handler);
        consuming(name, consumer.resting(RECORD_REST), operations.clone())
    };
    sources.into_iter().map(consume).collect()
}

fn consuming(name: &'static str, consumer: Consumer<Recorder>, operations: Operations) -> Loop {
    let consumer = std::sync::Arc::new(consumer);
    Loop::stoppable(name, LOOK_AGAIN, move |stop: CancellationToken| {
        let (consumer, operations) = (consumer.clone(), operations.clone());
        async move {
            // A tick waits for events. Dropping one rolls its transaction back.
            let recorded = tokio::select! {
                recorded = consumer.tick() => recorded?,
                () = stop.cancelled() => return Ok::<_, reeve_events::Error>(false),
            };
            if recorded {
                operations.log_has_grown();
            }
            Ok(recorded)
        }
    })
}

fn rules(operations: &Operations) -> Loop {
    let (waker, operations) = (operations.grown().rules(), operations.clone());
    let applying = Loop::new("apply-rules", RULES_PERIOD, move || {
        let operations = operations.clone();
        async move { operations.apply_rules().await }
    });
    applying.woken_by(waker)
}

fn breaches(config: &Config, operations: &Operations) -> Loop {
    let operations = operations.clone();
    Loop::new("record-breaches", config.response.sweep_period, move || {
        let operations = operations.clone();
        async move { operations.record_breaches().await }
    })
}

fn evidence(config: &Config, deps: &Deps, operations: &Operations) -> Loop {
    let task_queue = TaskQueue::new(deps.peers.task_queue.clone());
    let (waker, operations) = (operations.grown().evidence(), operations.clone());
    let collecting = Loop::new(
        "collect-evidence",
        config.evidence.retry_period,
        move || {
            let (operations, task_queue) = (operations.clone(), task_queue.clone());
            async move { operations.collect_evidence(&task_queue).await }
        },
    );
    collecting.woken_by(waker)
}
