//! `task_life_unary`: one RPC for each verb, sixty-four clients.

use std::time::Instant;

use anyhow::{Context as _, Result};
use reeve_contracts::task::v1::task_service_client::TaskServiceClient;
use reeve_contracts::task::v1::work_service_client::WorkServiceClient;
use reeve_contracts::task::v1::{CompleteTaskRequest, LeaseTasksRequest};
use tokio::task::JoinSet;

use crate::report::{Figure, Report};
use crate::samples::Samples;
use reeve_bench::Platform;
use reeve_bench::{Session, task};

const CLIENTS: usize = 64;

/// One round: each client creates a task, leases one and completes it, one call after the other.
pub async fn measure(
    session: &Session,
    platform: &Platform,
    tasks: usize,
    report: &mut Report,
) -> Result<()> {
    let capability = format!("unary-{}", uuid::Uuid::now_v7().simple());
    let agent_id = session.agent(&capability).await?;
    let channel = session.queue().await?;
    let meter = platform.meter().await?;
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (session, channel) = (session.clone(), channel.clone());
        let (capability, agent_id) = (capability.clone(), agent_id.clone());
        clients.spawn(async move {
            let mut samples = Samples::default();
            for _ in 0..tasks / CLIENTS {
                let began = Instant::now();
                live(&session, &channel, &capability, &agent_id).await?;
                samples.push(began.elapsed());
            }
            anyhow::Ok(samples)
        });
    }
    let (mut lives, mut all) = (0, Samples::default());
    while let Some(samples) = clients.join_next().await {
        let mut samples = samples??;
        lives += samples.len();
        all.append(&mut samples);
    }
    let figure = Figure::new(
        "task_life_unary",
        lives as f64 / began.elapsed().as_secs_f64(),
        "tasks/s",
        ">= 6,000/s; unary gRPC alone 57,000 calls/s",
    );
    let spent = meter.read().await?;
    let figure = figure.durable(&platform.durability).spent(&spent, lives);
    report.add(figure.latencies(&mut all));
    Ok(())
}

async fn live(
    session: &Session,
    channel: &tonic::transport::Channel,
    capability: &str,
    agent_id: &str,
) -> Result<()> {
    let mut tasks = TaskServiceClient::new(channel.clone());
    let mut work = WorkServiceClient::new(channel.clone());
    tasks.create_task(session.request(task(capability))).await?;
    let lease = LeaseTasksRequest {
        agent_id: agent_id.to_owned(),
        max_tasks: 1,
        wait_duration: Some(prost_types::Duration {
            seconds: 20,
            nanos: 0,
        }),
        start: true,
        ..LeaseTasksRequest::default()
    };
    let leased = work.lease_tasks(session.request(lease)).await?.into_inner();
    let lease = leased
        .leases
        .into_iter()
        .next()
        .context("no task came within 20 s")?;
    let complete = CompleteTaskRequest {
        lease_token: lease.lease_token,
        result: Some(prost_types::Struct::default()),
        ..CompleteTaskRequest::default()
    };
    work.complete_task(session.request(complete)).await?;
    Ok(())
}
