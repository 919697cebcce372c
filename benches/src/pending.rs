//! `redis_bytes_per_ready_task` and `ready_queue_rebuild`: what ready tasks take in Redis, and how long
//! it takes to put them back when it has lost them all.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use redis::aio::MultiplexedConnection;
use reeve_bench::{Platform, Session};
use reeve_contracts::task::v1::task_service_client::TaskServiceClient;
use reeve_contracts::task::v1::{BulkCancelTasksRequest, BulkScope, TaskFilter};

use crate::batched::create;
use crate::report::{Figure, Report};

/// How long a refill may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// One round: tasks that nobody can do are created, forgotten by Redis, put back, and cancelled.
pub async fn measure(
    session: &Session,
    platform: &Platform,
    tasks: usize,
    report: &mut Report,
) -> Result<()> {
    let kind = format!("pending-{}", uuid::Uuid::now_v7().simple());
    let client = redis::Client::open(platform.queue_variable("REEVE_REDIS__URL")?)?;
    let mut redis = client.get_multiplexed_async_connection().await?;
    let before = used(&mut redis).await?;
    create(session.clone(), kind.clone(), tasks).await?;
    let lane = lane(&mut redis, &kind, tasks).await?;
    let bytes = (used(&mut redis).await? - before) as f64 / tasks as f64;
    let target = "bounded by what is ready";
    report.add(Figure::new(
        "redis_bytes_per_ready_task",
        bytes,
        "bytes",
        target,
    ));

    let () = redis::cmd("FLUSHALL").query_async(&mut redis).await?;
    let began = Instant::now();
    while held(&mut redis, &lane).await? < tasks {
        ensure!(
            began.elapsed() < PATIENCE,
            "the ready queue is not refilled"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let target = "100,000 tasks in < 5 s";
    report.add(Figure::new("ready_queue_rebuild", seconds, "s", target));
    cancel(session, &kind).await
}

/// The key of the lane, once it holds them all.
async fn lane(redis: &mut MultiplexedConnection, kind: &str, tasks: usize) -> Result<String> {
    let began = Instant::now();
    loop {
        let keys: Vec<String> = redis::cmd("KEYS")
            .arg(format!("*lane:*/{kind}"))
            .query_async(redis)
            .await?;
        if let Some(lane) = keys.into_iter().next()
            && held(redis, &lane).await? == tasks
        {
            return Ok(lane);
        }
        ensure!(began.elapsed() < PATIENCE, "the tasks are not in Redis");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn held(redis: &mut MultiplexedConnection, lane: &str) -> Result<usize> {
    Ok(redis::cmd("ZCARD").arg(lane).query_async(redis).await?)
}

async fn used(redis: &mut MultiplexedConnection) -> Result<i64> {
    let info: String = redis::cmd("INFO").arg("memory").query_async(redis).await?;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    Ok(line
        .context("Redis does not say what it uses")?
        .trim()
        .parse()?)
}

pub async fn cancel(session: &Session, kind: &str) -> Result<()> {
    let mut client = TaskServiceClient::new(session.queue().await?);
    let mut continuation = String::new();
    loop {
        let request = BulkCancelTasksRequest {
            filter: Some(TaskFilter {
                types: vec![kind.to_owned()],
                ..TaskFilter::default()
            }),
            reason: "the round is over".to_owned(),
            scope: Some(BulkScope {
                max_tasks: 10_000,
                continuation,
                ..BulkScope::default()
            }),
        };
        let answer = client.bulk_cancel_tasks(session.request(request)).await?;
        continuation = answer.into_inner().continuation;
        if continuation.is_empty() {
            return Ok(());
        }
    }
}
