//! The agent's work stream: takes tasks, runs them, reports what became of them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Result, bail};
use reeve_contracts::task::v1::work_request::Message as Say;
use reeve_contracts::task::v1::work_response::Message as Hear;
use reeve_contracts::task::v1::work_service_client::WorkServiceClient;
use reeve_contracts::task::v1::{
    CompleteBatch, CompleteTaskRequest, Credit, FailBatch, FailTaskRequest, Heartbeat, Hello,
    Lease, LeaseRenewal, LeaseVerdict, ProgressBatch, ReportProgressRequest, TaskError,
    WorkRequest, WorkResponse,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use super::AgentRunArgs;
use super::exec::{Finished, Outcome, Progress, execute};
use super::presence::Presence;
use crate::client::session::{Service, Session, answer};

/// How long running tasks may take to finish once the agent stops.
const FINISH: Duration = Duration::from_secs(25);

/// Runs tasks; outlives the streams over which they come.
pub struct Worker {
    session: Session,
    presence: Presence,
    args: AgentRunArgs,
    running: HashMap<String, CancellationToken>,
    // Outcomes that no Ack has confirmed; they are sent again on the next stream, where the
    // service recognises those it knows.
    unconfirmed: BTreeMap<i64, Say>,
    sequence: i64,
    finished: (mpsc::Sender<Finished>, mpsc::Receiver<Finished>),
    progress: (mpsc::Sender<Progress>, mpsc::Receiver<Progress>),
}

impl Worker {
    /// A worker that runs nothing yet.
    pub fn new(session: Session, presence: Presence, args: AgentRunArgs) -> Self {
        Self {
            session,
            presence,
            args,
            running: HashMap::new(),
            unconfirmed: BTreeMap::new(),
            sequence: 0,
            finished: mpsc::channel(256),
            progress: mpsc::channel(256),
        }
    }

    /// One stream, from Hello until it ends or `stop`.
    pub async fn session(&mut self, stop: &CancellationToken) -> Result<()> {
        let (say, said) = mpsc::channel::<WorkRequest>(256);
        self.say(&say, self.hello()).await?;
        for (_, again) in std::mem::take(&mut self.unconfirmed) {
            self.report(&say, again).await?;
        }
        let mut client = WorkServiceClient::new(self.session.channel(Service::TaskQueue)?);
        let request = self.session.stream(ReceiverStream::new(said));
        let mut hear = answer(client.work(request).await)?;
        let heartbeat = self.welcome(&mut hear).await?;
        let free = self.args.concurrency - i32::try_from(self.running.len()).unwrap_or(i32::MAX);
        if free > 0 {
            self.say(&say, Say::Credit(Credit { tasks: free })).await?;
        }
        let mut heartbeats = tokio::time::interval(heartbeat);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                heard = hear.message() => match heard {
                    Ok(Some(heard)) => self.hear(heard),
                    Ok(None) => return Ok(()),
                    Err(status) => return Err(reeve_status::Fault::from(&status).into()),
                },
                Some(finished) = self.finished.1.recv() => {
                    self.settle(&say, finished).await?;
                    self.say(&say, Say::Credit(Credit { tasks: 1 })).await?;
                }
                Some(progress) = self.progress.1.recv() => {
                    self.say(&say, Say::Progress(progress_batch(progress))).await?;
                }
                _ = heartbeats.tick() => self.say(&say, self.held()).await?,
            }
        }
    }

    /// Lets running tasks finish and reports them over unary calls, since the stream is gone.
    pub async fn finish(&mut self) -> Result<()> {
        let deadline = tokio::time::Instant::now() + FINISH;
        while !self.running.is_empty() {
            tokio::select! {
                Some(finished) = self.finished.1.recv() => {
                    self.running.remove(&finished.lease_token);
                    let say = outcome(finished);
                    self.sequence += 1;
                    self.unconfirmed.insert(self.sequence, say);
                }
                () = tokio::time::sleep_until(deadline) => {
                    tracing::warn!(tasks = self.running.len(), "gave up waiting; the leases will lapse");
                    break;
                }
            }
        }
        let mut client = WorkServiceClient::new(self.session.channel(Service::TaskQueue)?);
        for (_, say) in std::mem::take(&mut self.unconfirmed) {
            match say {
                Say::Complete(batch) => {
                    for item in batch.items {
                        answer(client.complete_task(self.session.request(item)).await)?;
                    }
                }
                Say::Fail(batch) => {
                    for item in batch.items {
                        answer(client.fail_task(self.session.request(item)).await)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn hello(&self) -> Say {
        Say::Hello(Hello {
            agent_id: self.presence.agent_id().to_owned(),
            queues: self.args.queues.clone(),
            lease_duration: None,
            held_lease_tokens: self.running.keys().cloned().collect(),
            start: true,
        })
    }

    fn held(&self) -> Say {
        Say::Heartbeat(Heartbeat {
            lease_tokens: self.running.keys().cloned().collect(),
        })
    }

    async fn welcome(&mut self, hear: &mut Streaming<WorkResponse>) -> Result<Duration> {
        let first = hear
            .message()
            .await
            .map_err(|status| reeve_status::Fault::from(&status))?;
        let Some(Hear::Welcome(welcome)) = first.and_then(|heard| heard.message) else {
            bail!("the task queue did not say welcome");
        };
        self.judge(&welcome.held);
        let heartbeat = welcome
            .heartbeat_duration
            .as_ref()
            .and_then(reeve_wellknown::std_duration);
        Ok(heartbeat
            .filter(|every| !every.is_zero())
            .unwrap_or(Duration::from_secs(10)))
    }

    fn hear(&mut self, heard: WorkResponse) {
        match heard.message {
            Some(Hear::Assign(assign)) => assign
                .leases
                .into_iter()
                .for_each(|lease| self.start(lease)),
            Some(Hear::Ack(ack)) => {
                self.unconfirmed.remove(&ack.sequence);
                self.judge(&ack.renewals);
                for failure in ack.failures {
                    tracing::warn!(
                        reason = failure.reason,
                        "a report was refused: {}",
                        failure.message
                    );
                }
            }
            Some(Hear::Cancel(cancel)) => self.judge(&cancel.leases),
            Some(Hear::Welcome(_) | Hear::Drain(_)) | None => {}
        }
    }

    /// Stops what was cancelled and what runs under a lost lease.
    fn judge(&mut self, renewals: &[LeaseRenewal]) {
        for renewal in renewals {
            let verdict = LeaseVerdict::try_from(renewal.verdict).unwrap_or_default();
            if matches!(verdict, LeaseVerdict::Cancel | LeaseVerdict::Lost)
                && let Some(cancel) = self.running.get(&renewal.lease_token)
            {
                cancel.cancel();
            }
        }
    }

    fn start(&mut self, lease: Lease) {
        let cancel = CancellationToken::new();
        self.running
            .insert(lease.lease_token.clone(), cancel.clone());
        self.presence.busy_with(self.running.len());
        let finished = self.finished.0.clone();
        let work = execute(
            self.args.exec.clone(),
            lease,
            self.progress.0.clone(),
            cancel,
        );
        drop(reeve_runtime::spawn("task", async move {
            // The receiver lives as long as the worker.
            let _ = finished.send(work.await).await;
        }));
    }

    async fn settle(&mut self, say: &mpsc::Sender<WorkRequest>, finished: Finished) -> Result<()> {
        self.running.remove(&finished.lease_token);
        self.presence.busy_with(self.running.len());
        self.report(say, outcome(finished)).await
    }

    /// Says what must be confirmed.
    async fn report(&mut self, say: &mpsc::Sender<WorkRequest>, message: Say) -> Result<()> {
        self.sequence += 1;
        self.unconfirmed.insert(self.sequence, message.clone());
        let request = WorkRequest {
            sequence: self.sequence,
            message: Some(message),
        };
        send(say, request).await
    }

    async fn say(&mut self, say: &mpsc::Sender<WorkRequest>, message: Say) -> Result<()> {
        self.sequence += 1;
        send(
            say,
            WorkRequest {
                sequence: self.sequence,
                message: Some(message),
            },
        )
        .await
    }
}

async fn send(say: &mpsc::Sender<WorkRequest>, request: WorkRequest) -> Result<()> {
    if say.send(request).await.is_err() {
        bail!("the stream has ended");
    }
    Ok(())
}

fn outcome(finished: Finished) -> Say {
    let Finished {
        lease_token,
        outcome,
        usage,
    } = finished;
    match outcome {
        Outcome::Completed(result) => Say::Complete(CompleteBatch {
            items: vec![CompleteTaskRequest {
                lease_token,
                result: Some(result),
                message: String::new(),
                usage,
            }],
        }),
        Outcome::Failed {
            code,
            message,
            retryable,
        } => Say::Fail(FailBatch {
            items: vec![FailTaskRequest {
                lease_token,
                error: Some(TaskError {
                    code,
                    message,
                    details: None,
                }),
                retryable,
                retry_after_duration: None,
                usage,
            }],
        }),
    }
}

fn progress_batch(progress: Progress) -> ProgressBatch {
    let item = ReportProgressRequest {
        lease_token: progress.lease_token,
        percent: progress.percent,
        message: progress.message,
        checkpoint: None,
        usage: Vec::new(),
    };
    ProgressBatch { items: vec![item] }
}
