//! `task_life_batched`: create, lease and complete, in batches and over work streams.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use reeve_contracts::task::v1::task_service_client::TaskServiceClient;
use reeve_contracts::task::v1::work_request::Message as Say;
use reeve_contracts::task::v1::work_response::Message as Hear;
use reeve_contracts::task::v1::work_service_client::WorkServiceClient;
use reeve_contracts::task::v1::{
    BatchCreateTasksRequest, CompleteBatch, CompleteTaskRequest, Credit, Hello, WorkRequest,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;

use crate::report::{Figure, Report};
use reeve_bench::Platform;
use reeve_bench::{Session, task};

const BATCH: usize = 500;
const CREATORS: usize = 4;
const AGENTS: usize = 4;
const CREDIT: i32 = 2_000;
/// How many completions go into one message.
const COMPLETIONS: usize = 256;

/// One round: creators and agents at the same time, until every task is completed.
pub async fn measure(
    session: &Session,
    platform: &Platform,
    tasks: usize,
    report: &mut Report,
) -> Result<()> {
    let target = ">= 35,000/s; plain SQL in batches 97,000/s";
    let figure = round(session, platform, tasks, "task_life_batched", target).await?;
    report.add(figure);
    Ok(())
}

/// The same while a transaction is held open in PostgreSQL, so that no row version can be cleaned away.
pub async fn measure_held(
    session: &Session,
    platform: &Platform,
    tasks: usize,
    report: &mut Report,
) -> Result<()> {
    let held = platform.hold_transaction().await?;
    let target = "< 20 % less than task_life_batched";
    let figure = round(session, platform, tasks, "task_life_held", target).await?;
    held.end().await?;
    report.add(figure);
    Ok(())
}

async fn round(
    session: &Session,
    platform: &Platform,
    tasks: usize,
    name: &'static str,
    target: &'static str,
) -> Result<Figure> {
    let capability = format!("batched-{}", uuid::Uuid::now_v7().simple());
    let (done, mut completed) = mpsc::channel::<usize>(1_024);
    let mut agents = JoinSet::new();
    for _ in 0..AGENTS {
        let agent_id = session.agent(&capability).await?;
        agents.spawn(work(session.clone(), agent_id, done.clone()));
    }
    drop(done);
    let meter = platform.meter().await?;
    let began = Instant::now();
    let mut creators = JoinSet::new();
    for creator in 0..CREATORS {
        let share = tasks / CREATORS + usize::from(creator < tasks % CREATORS);
        creators.spawn(create(session.clone(), capability.clone(), share));
    }
    let mut count = 0;
    while count < tasks {
        let stuck = tokio::time::sleep(Duration::from_secs(60));
        count += tokio::select! {
            more = completed.recv() => more.context("every agent has ended")?,
            Some(ended) = agents.join_next() => bail!("an agent has ended: {:?}", ended?),
            () = stuck => bail!("stuck at {count} of {tasks} tasks"),
        };
    }
    let elapsed = began.elapsed();
    while let Some(created) = creators.join_next().await {
        created??;
    }
    ensure!(count == tasks, "{count} completions of {tasks} tasks");
    let rate = tasks as f64 / elapsed.as_secs_f64();
    let figure = Figure::new(name, rate, "tasks/s", target);
    let spent = meter.read().await?;
    agents.abort_all();
    Ok(figure.durable(&platform.durability).spent(&spent, tasks))
}

/// Creates tasks in batches.
pub async fn create(session: Session, capability: String, count: usize) -> Result<()> {
    let mut client = TaskServiceClient::new(session.queue().await?);
    let mut left = count;
    while left > 0 {
        let size = left.min(BATCH);
        let requests = (0..size).map(|_| task(&capability)).collect();
        client
            .batch_create_tasks(session.request(BatchCreateTasksRequest { requests }))
            .await?;
        left -= size;
    }
    Ok(())
}

/// An agent that completes at once whatever it gets, and counts what was acknowledged.
async fn work(session: Session, agent_id: String, done: mpsc::Sender<usize>) -> Result<()> {
    let (say, said) = mpsc::channel(64);
    let hello = Hello {
        agent_id,
        start: true,
        ..Hello::default()
    };
    let mut sequence = 0;
    let mut message = |message| {
        sequence += 1;
        WorkRequest {
            sequence,
            message: Some(message),
        }
    };
    // Completions that are not acknowledged yet, by the sequence of their message.
    let mut sent = HashMap::new();
    say.send(message(Say::Hello(hello))).await?;
    say.send(message(Say::Credit(Credit { tasks: CREDIT })))
        .await?;
    let mut client = WorkServiceClient::new(session.queue().await?);
    let mut hear = client
        .work(session.request(ReceiverStream::new(said)))
        .await?
        .into_inner();
    while let Some(heard) = hear.message().await? {
        match heard.message {
            Some(Hear::Assign(assign)) => {
                let assigned = i32::try_from(assign.leases.len())?;
                let mut items: Vec<_> = assign
                    .leases
                    .into_iter()
                    .map(|lease| CompleteTaskRequest {
                        lease_token: lease.lease_token,
                        result: Some(prost_types::Struct::default()),
                        ..CompleteTaskRequest::default()
                    })
                    .collect();
                while !items.is_empty() {
                    let rest = items.split_off(items.len().min(COMPLETIONS));
                    let items = std::mem::replace(&mut items, rest);
                    let count = items.len();
                    let batch = message(Say::Complete(CompleteBatch { items }));
                    sent.insert(batch.sequence, count);
                    say.send(batch).await?;
                }
                say.send(message(Say::Credit(Credit { tasks: assigned })))
                    .await?;
            }
            Some(Hear::Ack(ack)) => {
                ensure!(
                    ack.failures.is_empty(),
                    "a completion was refused: {:?}",
                    ack.failures
                );
                if let Some(count) = sent.remove(&ack.sequence) {
                    done.send(count).await?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}
