//! `enqueue_to_start`: tasks created at a fixed rate, whatever the answers; latency from the moment
//! at which a task should have been created until an agent has it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reeve_contracts::task::v1::task_service_client::TaskServiceClient;
use reeve_contracts::task::v1::work_request::Message as Say;
use reeve_contracts::task::v1::work_response::Message as Hear;
use reeve_contracts::task::v1::work_service_client::WorkServiceClient;
use reeve_contracts::task::v1::{
    CompleteBatch, CompleteTaskRequest, CreateTaskRequest, Credit, Hello, WorkRequest,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

use crate::report::{Figure, Report};
use crate::samples::Samples;
use reeve_bench::Platform;
use reeve_bench::{Session, task};

const LABEL: &str = "intended";

/// One round at a rate.
pub async fn measure(
    session: &Session,
    platform: &Platform,
    rate: u32,
    seconds: u32,
    report: &mut Report,
) -> Result<()> {
    let capability = format!("open-{}", uuid::Uuid::now_v7().simple());
    let agent_id = session.agent(&capability).await?;
    let intended: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
    let (arrived, mut arrivals) = mpsc::channel(65_536);
    let mut agent = JoinSet::new();
    agent.spawn(work(
        session.clone(),
        agent_id,
        Arc::clone(&intended),
        arrived,
    ));

    let channel = session.queue().await?;
    let meter = platform.meter().await?;
    let (began, count) = (Instant::now(), rate * seconds);
    let mut creations = JoinSet::new();
    for number in 0..count {
        let due = began + Duration::from_secs(1) * number / rate;
        tokio::time::sleep_until(due).await;
        let label = number.to_string();
        intended
            .lock()
            .expect("no holder panics")
            .insert(label.clone(), due);
        let (session, channel) = (session.clone(), channel.clone());
        let mut request: CreateTaskRequest = task(&capability);
        if let Some(spec) = &mut request.spec {
            spec.labels.insert(LABEL.to_owned(), label);
        }
        creations.spawn(async move {
            TaskServiceClient::new(channel)
                .create_task(session.request(request))
                .await
        });
    }
    while let Some(created) = creations.join_next().await {
        created??;
    }
    let mut samples = Samples::default();
    while samples.len() < usize::try_from(count)? {
        let wait = tokio::time::timeout(Duration::from_secs(30), arrivals.recv());
        let latency = wait
            .await
            .with_context(|| format!("{} of {count} tasks arrived", samples.len()))?;
        samples.push(latency.context("the agent has ended")?);
    }
    ensure!(
        samples.len() == usize::try_from(count)?,
        "a task arrived twice"
    );
    let figure = Figure::new(
        "enqueue_to_start",
        samples.percentile(0.5),
        "ms",
        "at 1,000/s: p50 < 3 ms, p99 < 15 ms",
    );
    let spent = meter.read().await?;
    let figure = figure.durable(&platform.durability);
    report.add(figure.spent(&spent, samples.len()).latencies(&mut samples));
    Ok(())
}

async fn work(
    session: Session,
    agent_id: String,
    intended: Arc<Mutex<HashMap<String, Instant>>>,
    arrived: mpsc::Sender<Duration>,
) -> Result<()> {
    let (say, said) = mpsc::channel(1_024);
    let mut sequence = 0;
    let mut message = |message| {
        sequence += 1;
        WorkRequest {
            sequence,
            message: Some(message),
        }
    };
    let hello = Hello {
        agent_id,
        start: true,
        ..Hello::default()
    };
    say.send(message(Say::Hello(hello))).await?;
    say.send(message(Say::Credit(Credit { tasks: 5_000 })))
        .await?;
    let mut client = WorkServiceClient::new(session.queue().await?);
    let mut hear = client
        .work(session.request(ReceiverStream::new(said)))
        .await?
        .into_inner();
    while let Some(heard) = hear.message().await? {
        let Some(Hear::Assign(assign)) = heard.message else {
            continue;
        };
        let now = Instant::now();
        let credit = i32::try_from(assign.leases.len())?;
        let mut items = Vec::new();
        for lease in assign.leases {
            let spec = lease
                .task
                .and_then(|task| task.spec)
                .context("a lease without its task")?;
            let label = spec.labels.get(LABEL).context("a task without its label")?;
            let due = intended.lock().expect("no holder panics").remove(label);
            arrived
                .send(now - due.context("a task arrived twice")?)
                .await?;
            items.push(CompleteTaskRequest {
                lease_token: lease.lease_token,
                result: Some(prost_types::Struct::default()),
                ..CompleteTaskRequest::default()
            });
        }
        for chunk in items.chunks(256) {
            let batch = CompleteBatch {
                items: chunk.to_vec(),
            };
            say.send(message(Say::Complete(batch))).await?;
        }
        say.send(message(Say::Credit(Credit { tasks: credit })))
            .await?;
    }
    Ok(())
}
