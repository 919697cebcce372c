//! What the service does by itself.

mod lapse;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use reeve_auth::ApiKey;
use reeve_events::{Event, Relay};
use reeve_ids::AgentId;
use reeve_runtime::{Loop, Progress};
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::operations::{Context, bootstrap, lapse as leases};
use crate::storage::{requests, statuses};
use lapse::Lapse;

/// Reports that one statement writes.
const REPORTS: usize = 2_000;
/// How often the last uses of keys are written down.
const KEY_USES_PERIOD: Duration = Duration::from_secs(60);
/// How long a request_id is remembered.
const REMEMBERED: TimeDelta = TimeDelta::hours(24);

/// Every loop of the service.
pub fn all(context: &Arc<Context>, relay: Relay, tenant: String, key: Option<ApiKey>) -> Vec<Loop> {
    let heartbeat = &context.heartbeat;
    let lapse = Arc::new(Lapse::new(Arc::clone(context)));
    let wake = context.wake.relay();
    let expiring = relay.clone();
    let relaying = Loop::new("relay", Duration::from_secs(1), move || {
        let relay = relay.clone();
        async move { relay.tick().await }
    });
    vec![
        relaying.woken_by(wake).last(),
        Loop::new("expire-events", Duration::from_secs(600), move || {
            let relay = expiring.clone();
            async move { relay.expire().await }
        }),
        stoppable(context, "follow-log", Duration::ZERO, follow_log),
        every(
            context,
            "renew-leases",
            heartbeat.renew_period,
            renew_leases,
        ),
        stoppable(context, "write-reports", Duration::ZERO, write_reports),
        Loop::new("lapse", heartbeat.sweep_period, move || {
            let lapse = Arc::clone(&lapse);
            async move { lapse.tick().await }
        }),
        every(
            context,
            "grant-missing-leases",
            heartbeat.lease,
            |context| async move {
                leases::grant_missing(&context)
                    .await
                    .map(|()| Progress::Idle)
            },
        ),
        stoppable(context, "write-key-uses", Duration::ZERO, write_key_uses),
        every(
            context,
            "purge-requests",
            Duration::from_secs(600),
            purge_requests,
        ),
        every(
            context,
            "bootstrap",
            Duration::from_secs(3_600),
            move |context| {
                let (tenant, key) = (tenant.clone(), key.clone());
                async move {
                    bootstrap::ensure(&context, &tenant, key.as_ref())
                        .await
                        .map(|()| Progress::Idle)
                }
            },
        ),
    ]
}

fn every<F, R>(context: &Arc<Context>, name: &'static str, period: Duration, tick: F) -> Loop
where
    F: Fn(Arc<Context>) -> R + Send + 'static,
    R: Future<Output = Result<Progress, Error>> + Send + 'static,
{
    let context = Arc::clone(context);
    Loop::new(name, period, move || tick(Arc::clone(&context)))
}

fn stoppable<F, R>(context: &Arc<Context>, name: &'static str, period: Duration, tick: F) -> Loop
where
    F: Fn(Arc<Context>, CancellationToken) -> R + Send + 'static,
    R: Future<Output = Result<Progress, Error>> + Send + 'static,
{
    let context = Arc::clone(context);
    Loop::stoppable(name, period, move |stop| tick(Arc::clone(&context), stop))
}

/// Reads this service's own events: watches wait for them, and the fleet must not outlive them.
async fn follow_log(context: Arc<Context>, stop: CancellationToken) -> Result<Progress, Error> {
    let seen = |event: &Event| outdate(&context, event);
    tokio::select! {
        followed = context.tail.follow(seen) => followed.map(Progress::from),
        () = stop.cancelled() => Ok(Progress::Idle),
    }
}

fn outdate(context: &Context, event: &Event) {
    let Some(id) = event
        .resource_id
        .parse::<AgentId>()
        .ok()
        .filter(|_| event.resource_type == "agent")
    else {
        return;
    };
    let etag = event.data.as_ref().and_then(|data| data.fields.get("etag"));
    let version = match etag.and_then(|value| value.kind.as_ref()) {
        Some(prost_types::value::Kind::StringValue(text)) => text.parse().ok(),
        _ => None,
    };
    match version.filter(|_| event.r#type != "agent.deleted") {
        Some(version) => context.fleet.outdate(id, version),
        None => context.fleet.forget(id),
    }
}

/// Every heartbeat since the last tick, as one batch, and the leases that nobody owes any more.
/// While Redis is away they are kept.
async fn renew_leases(context: Arc<Context>) -> Result<Progress, Error> {
    context
        .counters
        .fleet
        .set(i64::try_from(context.fleet.size()).unwrap_or(i64::MAX));
    let (renewals, releases) = (context.fleet.take_renewals(), context.fleet.take_releases());
    if renewals.is_empty() && releases.is_empty() {
        return Ok(Progress::Idle);
    }
    let span = context
        .lease_span()
        .to_std()
        .unwrap_or(context.heartbeat.lease);
    let batch: Vec<_> = renewals
        .iter()
        .map(|(id, epoch)| (leases::lease_name(*id, *epoch), span))
        .collect();
    let released: Vec<_> = releases
        .iter()
        .map(|(id, epoch)| leases::lease_name(*id, *epoch))
        .collect();
    let written = async {
        context.leases.renew(&batch).await?;
        context.leases.remove(&released).await
    };
    match written.await {
        Ok(_) => Ok(Progress::Idle),
        Err(error) => {
            context.fleet.return_renewals(renewals);
            for (id, epoch) in releases {
                context.fleet.release(id, epoch);
            }
            if error.is_transient() {
                Ok(Progress::Idle)
            } else {
                Err(error.into())
            }
        }
    }
}

/// The last reports since the last tick, as few batches; once more when the server stops.
async fn write_reports(context: Arc<Context>, stop: CancellationToken) -> Result<Progress, Error> {
    tokio::select! {
        () = tokio::time::sleep(context.heartbeat.report_period) => {}
        () = stop.cancelled() => {}
    }
    loop {
        let reports = context.fleet.take_reports(REPORTS);
        if reports.is_empty() {
            return Ok(Progress::Idle);
        }
        if let Err(error) = statuses::save_batch(&context.database, &reports).await {
            context.fleet.return_reports(reports);
            return Err(error.into());
        }
    }
}

/// When keys were last used, about once a minute; once more when the server stops.
async fn write_key_uses(context: Arc<Context>, stop: CancellationToken) -> Result<Progress, Error> {
    tokio::select! {
        () = tokio::time::sleep(KEY_USES_PERIOD) => {}
        () = stop.cancelled() => {}
    }
    context
        .credentials
        .save_uses()
        .await
        .map(|()| Progress::Idle)
}

async fn purge_requests(context: Arc<Context>) -> Result<Progress, Error> {
    let before = context.now() - REMEMBERED;
    let purged = requests::purge(context.database.internal_pool(), before).await?;
    Ok((purged > 0).into())
}
