//! `quiet_tenants_wait`: from creation to start for forty-nine quiet tenants, alone and beside one that
//! hands in as much as it can.

use std::time::Duration;

use anyhow::{Context as _, Result};
use reeve_bench::{Platform, Session, task};
use reeve_contracts::task::v1::task_service_client::TaskServiceClient;
use reeve_contracts::task::v1::work_service_client::WorkServiceClient;
use reeve_contracts::task::v1::{CompleteTaskRequest, LeaseTasksRequest};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::batched::create;
use crate::pending::cancel;
use crate::report::{Figure, Report};
use crate::samples::Samples;

/// Tenants that create a task now and then.
const QUIET: usize = 49;
/// How often each of them does.
const PAUSE: Duration = Duration::from_millis(500);
/// Clients of the noisy one, each with batches of 500, one after the other.
const NOISE: usize = 8;

/// The tenants, made once for all rounds.
pub struct Tenants {
    quiet: Vec<(Session, String)>,
    noisy: Session,
}

impl Tenants {
    /// Makes them, each with an agent.
    pub async fn new(session: &Session, platform: &Platform) -> Result<Self> {
        let mut quiet = Vec::new();
        for number in 0..QUIET {
            let tenant = session
                .of_new_tenant(platform, &format!("quiet-{number}"))
                .await?;
            let agent_id = tenant.agent("wait").await?;
            quiet.push((tenant, agent_id));
        }
        let noisy = session.of_new_tenant(platform, "noisy").await?;
        Ok(Self { quiet, noisy })
    }

    /// One round: the quiet ones alone, then beside the noisy one.
    pub async fn measure(&self, seconds: u32, report: &mut Report) -> Result<()> {
        let mut alone = self.waits(seconds).await?;
        let mut noise = JoinSet::new();
        for _ in 0..NOISE {
            let noisy = self.noisy.clone();
            noise.spawn(async move {
                loop {
                    create(noisy.clone(), "noise".to_owned(), 500).await?;
                }
                #[expect(unreachable_code, reason = "it says what the loop fails with")]
                anyhow::Ok(())
            });
        }
        let mut beside = self.waits(seconds).await?;
        noise.shutdown().await;
        // What waits is looked through for as long as it does, which would be measured with what follows.
        cancel(&self.noisy, "noise").await?;
        let target = "bounded; share of the noisy tenant's flood";
        let ratio = beside.percentile(0.99) / alone.percentile(0.99).max(0.001);
        report.add(
            Figure::new("quiet_tenants_wait", ratio, "x alone", target).latencies(&mut beside),
        );
        Ok(())
    }

    async fn waits(&self, seconds: u32) -> Result<Samples> {
        let until = Instant::now() + Duration::from_secs(u64::from(seconds));
        let mut tenants = JoinSet::new();
        for (session, agent_id) in self.quiet.clone() {
            tenants.spawn(one(session, agent_id, until));
        }
        let mut all = Samples::default();
        while let Some(samples) = tenants.join_next().await {
            all.append(&mut samples??);
        }
        Ok(all)
    }
}

/// A tenant whose agent waits for each task that it creates.
async fn one(session: Session, agent_id: String, until: Instant) -> Result<Samples> {
    let mut samples = Samples::default();
    let mut tasks = TaskServiceClient::new(session.lasting_queue());
    let mut work = WorkServiceClient::new(session.lasting_queue());
    while Instant::now() < until {
        let began = Instant::now();
        tasks.create_task(session.request(task("wait"))).await?;
        let lease = LeaseTasksRequest {
            agent_id: agent_id.clone(),
            wait_duration: Duration::from_secs(20).try_into().ok(),
            start: true,
            ..LeaseTasksRequest::default()
        };
        let leased = work.lease_tasks(session.request(lease)).await?.into_inner();
        let lease = leased.leases.into_iter().next().context("no task came")?;
        samples.push(began.elapsed());
        let complete = CompleteTaskRequest {
            lease_token: lease.lease_token,
            ..CompleteTaskRequest::default()
        };
        work.complete_task(session.request(complete)).await?;
        tokio::time::sleep_until(began + PAUSE).await;
    }
    Ok(samples)
}
