//! The agent's work stream: takes tasks, runs them, reports what became of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reeve_contracts::task::v1::work_request::Message as Say;
use reeve_contracts::task::v1::work_response::Message as Hear;
use reeve_contracts::task::v1::work_service_client::WorkServiceClient;
use reeve_contracts::task::v1::{
    Credit, Goodbye, Heartbeat, Hello, Lease, ProgressBatch, RenewLeasesRequest,
    ReportProgressRequest, WorkRequest, WorkResponse,
};
use reeve_status::{Fault, Reason};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, Streaming};

use super::AgentRunArgs;
use super::exec::{Finished, Progress, execute};
use super::halt::Halt;
use super::held::{Held, Refusal, Report};
use super::presence::Presence;
use super::program::Lifeline;
use crate::client::session::{Service, Session};

/// How often progress is passed on, and a report that was refused for the moment sent again.
const PULSE: Duration = Duration::from_millis(500);
/// How long killed programs and the last words to task-queue may take.
const LAST: Duration = Duration::from_secs(5);
/// Reports on progress in one message.
const BATCH: usize = 256;

/// Runs tasks; outlives the streams over which they come.
pub struct Worker {
    session: Session,
    presence: Presence,
    args: AgentRunArgs,
    halt: Halt,
    lifeline: Arc<Lifeline>,
    held: Held,
    finished: (mpsc::Sender<Finished>, mpsc::Receiver<Finished>),
    progress: (mpsc::Sender<Progress>, mpsc::Receiver<Progress>),
    // The newest of each task that has not been passed on.
    latest: BTreeMap<String, Progress>,
}

/// How a stream ended.
pub struct Ended {
    /// Why; nothing when the agent left.
    pub fault: Option<Fault>,
    /// Whether something came of it.
    pub was_useful: bool,
}

/// One stream, as the agent sees it.
struct Stream {
    say: mpsc::UnboundedSender<WorkRequest>,
    sequence: i64,
    /// Tasks that the server may still assign.
    credit: i32,
    /// The report on progress that was not answered yet: one at a time is fast enough.
    progress: Option<i64>,
    was_useful: bool,
}

/// Where the agent stands on a stream.
#[derive(PartialEq)]
enum Phase {
    Working,
    /// Takes nothing new.
    Finishing,
    /// Has stopped what ran.
    Abandoning,
}

impl Worker {
    /// A worker that runs nothing yet.
    pub fn new(
        session: Session,
        presence: Presence,
        args: AgentRunArgs,
        lifeline: Arc<Lifeline>,
        halt: Halt,
    ) -> Self {
        Self {
            session,
            presence,
            args,
            halt,
            lifeline,
            held: Held::default(),
            finished: mpsc::channel(256),
            progress: mpsc::channel(256),
            latest: BTreeMap::new(),
        }
    }

    /// Whether there is nothing left to do or to say.
    pub fn is_idle(&self) -> bool {
        self.held.is_empty()
    }

    /// One stream, from Hello until it breaks or the agent has left.
    pub async fn session(&mut self) -> Ended {
        let (say, said) = mpsc::unbounded_channel();
        let mut stream = Stream {
            say,
            sequence: 0,
            credit: 0,
            progress: None,
            was_useful: false,
        };
        let ended = self.converse(&mut stream, said).await;
        let fault = ended.as_ref().err().map(Fault::from);
        let refusal = ended.as_ref().err().and_then(refusal_of);
        self.held.interrupted(refusal.as_ref());
        Ended {
            fault,
            was_useful: stream.was_useful,
        }
    }

    async fn converse(
        &mut self,
        stream: &mut Stream,
        said: mpsc::UnboundedReceiver<WorkRequest>,
    ) -> Result<(), Status> {
        let halt = self.halt.clone();
        let opening = timeout(self.session.timeout(), self.open(stream, said));
        let Some(opened) = halt.now.run_until_cancelled(opening).await else {
            return Ok(());
        };
        let (mut hear, heartbeat) =
            opened.map_err(|_| Status::unavailable("the task queue did not say welcome"))??;
        let mut last_beat = None;
        let mut pulse = interval(PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut phase = Phase::Working;
        let mut deadline = Instant::now();
        loop {
            self.say_what_is_due(stream);
            let beat = self.held.beat().map_or(heartbeat, |own| own.min(heartbeat));
            let next_beat = last_beat.map_or_else(Instant::now, |last| last + beat);
            let is_over =
                self.held.is_empty() || (phase == Phase::Abandoning && Instant::now() >= deadline);
            if phase != Phase::Working && is_over {
                return leave(stream, said_all(hear)).await;
            }
            tokio::select! {
                heard = hear.message() => match heard? {
                    Some(heard) => self.hear(stream, heard, &phase),
                    None => return Err(Status::unavailable("the task queue ended the stream")),
                },
                Some(finished) = self.finished.1.recv() => self.end(finished),
                Some(progress) = self.progress.1.recv() => self.note(progress),
                () = sleep_until(next_beat) => {
                    last_beat = Some(Instant::now());
                    let lease_tokens = self.held.tokens();
                    stream.say(Say::Heartbeat(Heartbeat { lease_tokens }));
                }
                _ = pulse.tick() => {
                    self.held.pulse();
                    self.say_progress(stream);
                }
                () = halt.stop.cancelled(), if phase == Phase::Working => {
                    phase = Phase::Finishing;
                    stream.say(Say::Goodbye(Goodbye { return_leases: false }));
                }
                () = halt.now.cancelled(), if phase != Phase::Abandoning => {
                    phase = Phase::Abandoning;
                    deadline = Instant::now() + LAST;
                    self.held.abandon();
                }
            }
        }
    }

    /// Says Hello and hears Welcome; how often to send heartbeats comes with it.
    async fn open(
        &mut self,
        stream: &mut Stream,
        said: mpsc::UnboundedReceiver<WorkRequest>,
    ) -> Result<(Streaming<WorkResponse>, Duration), Status> {
        stream.say(Say::Hello(Hello {
            agent_id: self.presence.agent_id(),
            queues: self.args.queues.clone(),
            held_lease_tokens: self.held.tokens(),
            start: true,
            ..Hello::default()
        }));
        let mut client = self.client()?;
        let request = self.session.stream(UnboundedReceiverStream::new(said));
        let mut hear = client.work(request).await?.into_inner();
        let first = hear.message().await?;
        let Some(Hear::Welcome(welcome)) = first.and_then(|heard| heard.message) else {
            return Err(Status::unavailable("the task queue did not say welcome"));
        };
        self.held.judge(&welcome.held);
        let heartbeat = welcome.heartbeat_duration.as_ref();
        let heartbeat = heartbeat
            .and_then(reeve_wellknown::std_duration)
            .filter(|every| !every.is_zero());
        Ok((hear, heartbeat.unwrap_or(Duration::from_secs(10))))
    }

    fn client(&self) -> Result<WorkServiceClient<tonic::transport::Channel>, Status> {
        let channel = self.session.channel(Service::TaskQueue);
        let channel = channel.map_err(|error| Status::unavailable(format!("{error:#}")))?;
        Ok(WorkServiceClient::new(channel))
    }

    /// Reports that are new or may be repeated, and credit for the slots that are free. A slot is
    /// free when its report is stored: no agent gathers more reports than it has slots.
    fn say_what_is_due(&mut self, stream: &mut Stream) {
        for (sequence, report) in self.held.send(&mut stream.sequence) {
            stream.send(sequence, report.into());
        }
        let held = i32::try_from(self.held.len()).unwrap_or(i32::MAX);
        let free = self.args.concurrency - held.saturating_add(stream.credit);
        if free > 0 && !self.halt.stop.is_cancelled() {
            stream.credit += free;
            stream.say(Say::Credit(Credit { tasks: free }));
        }
    }

    fn say_progress(&mut self, stream: &mut Stream) {
        if stream.progress.is_some() || self.latest.is_empty() {
            return;
        }
        let mut items = Vec::new();
        while items.len() < BATCH
            && let Some((_, progress)) = self.latest.pop_first()
        {
            items.push(ReportProgressRequest {
                lease_token: progress.lease_token,
                percent: progress.percent,
                message: progress.message,
                ..ReportProgressRequest::default()
            });
        }
        stream.say(Say::Progress(ProgressBatch { items }));
        stream.progress = Some(stream.sequence);
    }

    fn hear(&mut self, stream: &mut Stream, heard: WorkResponse, phase: &Phase) {
        match heard.message {
            Some(Hear::Assign(assign)) => {
                stream.was_useful = true;
                for lease in assign.leases {
                    stream.credit -= 1;
                    // What comes after goodbye is given back with the last word.
                    if *phase == Phase::Working {
                        self.start(lease);
                    }
                }
            }
            Some(Hear::Ack(ack)) => {
                stream.was_useful = true;
                self.held.judge(&ack.renewals);
                if stream.progress == Some(ack.sequence) {
                    stream.progress = None;
                } else if !self.held.acknowledge(ack.sequence, &ack.failures) {
                    // A heartbeat: a lease that is not renewed is lost.
                    tracing::debug!(failures = ack.failures.len(), "a heartbeat was answered");
                }
            }
            Some(Hear::Cancel(cancel)) => self.held.judge(&cancel.leases),
            Some(Hear::Drain(drain)) => {
                tracing::info!(reason = drain.reason, "no tasks come for now");
            }
            Some(Hear::Welcome(_)) | None => {}
        }
    }

    fn start(&mut self, lease: Lease) {
        let cancel = CancellationToken::new();
        let lasts = lease.lease_duration.as_ref();
        let lasts = lasts.and_then(reeve_wellknown::std_duration);
        self.held
            .begin(lease.lease_token.clone(), lasts, cancel.clone());
        self.presence.busy_with(self.held.running());
        let finished = self.finished.0.clone();
        let work = execute(
            self.args.exec.clone(),
            lease,
            Arc::clone(&self.lifeline),
            self.progress.0.clone(),
            cancel,
        );
        drop(reeve_runtime::spawn("task", async move {
            // The receiver lives as long as the worker.
            let _ = finished.send(work.await).await;
        }));
    }

    fn end(&mut self, finished: Finished) {
        self.latest.remove(&finished.lease_token);
        self.held.end(finished);
        self.presence.busy_with(self.held.running());
    }

    fn note(&mut self, progress: Progress) {
        self.latest.insert(progress.lease_token.clone(), progress);
    }

    /// Renews and reports with calls of their own. An agent that takes no tasks for the moment may
    /// open no stream, and may finish what it holds all the same.
    pub async fn by_calls(&mut self) -> Result<(), Status> {
        while let Ok(finished) = self.finished.1.try_recv() {
            self.end(finished);
        }
        if self.held.is_empty() {
            return Ok(());
        }
        let mut client = self.client()?;
        let renew = RenewLeasesRequest {
            lease_tokens: self.held.tokens(),
            ..RenewLeasesRequest::default()
        };
        let renewed = client.renew_leases(self.session.request(renew)).await?;
        self.held.judge(&renewed.into_inner().renewals);
        for (token, report) in self.held.reports() {
            let stored = match report {
                Report::Complete(item) => {
                    let answer = client.complete_task(self.session.request(item)).await;
                    answer.map(drop)
                }
                Report::Fail(item) => {
                    let answer = client.fail_task(self.session.request(item)).await;
                    answer.map(drop)
                }
                Report::Suspend(item) => {
                    let answer = client.suspend_task(self.session.request(*item)).await;
                    answer.map(drop)
                }
            };
            match stored {
                Ok(()) => self.held.stored(&token),
                Err(status) => self.held.refused(&token, &refusal(&status)),
            }
        }
        Ok(())
    }

    /// Stops every program, when no stream is there over which tasks could be given back.
    pub async fn abandon(&mut self) {
        self.held.abandon();
        let all = async {
            while self.held.running() > 0
                && let Some(finished) = self.finished.1.recv().await
            {
                self.held.end(finished);
            }
        };
        let _ = timeout(LAST, all).await;
        if !self.held.is_empty() {
            tracing::warn!(
                reports = self.held.len(),
                "what was not reported is done again"
            );
        }
    }
}

impl Stream {
    fn say(&mut self, message: Say) {
        self.sequence += 1;
        self.send(self.sequence, message);
    }

    fn send(&self, sequence: i64, message: Say) {
        // When the other side is gone, what it said last comes from the stream.
        let _ = self.say.send(WorkRequest {
            sequence,
            message: Some(message),
        });
    }
}

/// Gives back what the stream still holds, and waits until task-queue has heard it.
async fn leave(
    stream: &mut Stream,
    heard: impl Future<Output = Result<(), Status>>,
) -> Result<(), Status> {
    let return_leases = true;
    stream.say(Say::Goodbye(Goodbye { return_leases }));
    // Dropping the last sender ends the request side.
    stream.say = mpsc::unbounded_channel().0;
    timeout(LAST, heard).await.unwrap_or(Ok(()))
}

async fn said_all(mut hear: Streaming<WorkResponse>) -> Result<(), Status> {
    while hear.message().await?.is_some() {}
    Ok(())
}

fn refusal(status: &Status) -> Refusal {
    let fault = Fault::from(status);
    Refusal {
        code: status.code(),
        reason: fault.reason().as_str().to_owned(),
        message: fault.message().to_owned(),
    }
}

/// Why the service ended a stream over what it was told; nothing when it ended for another reason,
/// or broke.
fn refusal_of(status: &Status) -> Option<Refusal> {
    let refusal = refusal(status);
    // A connection that broke has no details.
    let is_answer = !status.details().is_empty();
    let is_over_a_message = match status.code() {
        Code::InvalidArgument | Code::OutOfRange | Code::Internal => true,
        Code::ResourceExhausted => refusal.reason == Reason::PayloadTooLarge.as_str(),
        _ => false,
    };
    (is_answer && is_over_a_message).then_some(refusal)
}
