//! Agents on a work stream. When it breaks, what they had said and not heard back of is said again by
//! calls, which must come out as if it had never broken.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use reeve_bench::Session;
use reeve_contracts::task::v1::work_request::Message as Say;
use reeve_contracts::task::v1::work_response::Message as Hear;
use reeve_contracts::task::v1::work_service_client::WorkServiceClient;
use reeve_contracts::task::v1::{
    Ack, CompleteBatch, Credit, FailBatch, Hello, TaskState, WorkRequest, WorkResponse,
};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::agents::{Held, LEASE, SILENCE, end, is_given_up};
use crate::history::History;
use crate::presence::Presence;

const CREDIT: i32 = 64;
/// One in so many messages an agent falls silent.
const FREEZES: u32 = 40;

/// Works until it is stopped.
pub async fn run(
    session: Session,
    history: Arc<History>,
    number: usize,
    seed: u64,
    mut stopped: watch::Receiver<bool>,
) -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    let presence = Presence::new(&session, number).await?;
    while !*stopped.borrow() {
        let mut stream = Stream {
            history: &history,
            sequence: 0,
            open: HashMap::new(),
        };
        let worked = tokio::select! {
            worked = stream.work(&session, &presence, &mut random) => worked,
            _ = stopped.changed() => Ok(()),
        };
        // Whatever was said and not answered is settled before anything else.
        let open: Vec<_> = stream.open.into_values().flatten().collect();
        for held in open {
            end(&session, &history, &held).await?;
        }
        if let Err(status) = worked {
            if is_given_up(&status) {
                presence.register().await?;
            }
            history.repeated();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

struct Stream<'a> {
    history: &'a History,
    sequence: i64,
    /// What was said and not heard back of, by the message's number.
    open: HashMap<i64, Vec<Held>>,
}

impl Stream<'_> {
    fn message(&mut self, message: Say) -> WorkRequest {
        self.sequence += 1;
        WorkRequest {
            sequence: self.sequence,
            message: Some(message),
        }
    }

    async fn work(
        &mut self,
        session: &Session,
        presence: &Presence,
        random: &mut StdRng,
    ) -> Result<(), Status> {
        let (say, said) = mpsc::channel(256);
        let gone = |_| Status::unavailable("the stream has ended");
        let hello = Hello {
            agent_id: presence.id(),
            lease_duration: LEASE.try_into().ok(),
            start: true,
            ..Hello::default()
        };
        say.send(self.message(Say::Hello(hello)))
            .await
            .map_err(gone)?;
        let credit = Credit { tasks: CREDIT };
        say.send(self.message(Say::Credit(credit)))
            .await
            .map_err(gone)?;
        let channel = session.lasting_queue();
        let mut client = WorkServiceClient::new(channel);
        let opened = client.work(session.request(ReceiverStream::new(said)));
        let mut heard = tokio::time::timeout(Duration::from_secs(10), opened)
            .await
            .map_err(|_| Status::deadline_exceeded("no stream"))??
            .into_inner();
        loop {
            // A connection whose other end is frozen is given up.
            let next = tokio::time::timeout(Duration::from_secs(15), heard.message()).await;
            let Ok(next) = next else {
                return Ok(());
            };
            let Some(WorkResponse {
                message: Some(message),
            }) = next?
            else {
                return Ok(());
            };
            match message {
                Hear::Assign(assign) => {
                    if random.random_ratio(1, FREEZES) {
                        self.history.silence();
                        presence.fall_silent(SILENCE).await;
                    }
                    let held: Vec<_> = assign.leases.into_iter().map(Held::of).collect();
                    let credit = i32::try_from(held.len()).unwrap_or(CREDIT);
                    let (fail, complete): (Vec<_>, Vec<_>) =
                        held.into_iter().partition(|held| held.fails);
                    for (held, fails) in [(fail, true), (complete, false)] {
                        if held.is_empty() {
                            continue;
                        }
                        let batch = if fails {
                            let items = held.iter().map(Held::failure).collect();
                            Say::Fail(FailBatch { items })
                        } else {
                            let items = held.iter().map(Held::completion).collect();
                            Say::Complete(CompleteBatch { items })
                        };
                        let message = self.message(batch);
                        self.open.insert(message.sequence, held);
                        say.send(message).await.map_err(gone)?;
                    }
                    let credit = Credit { tasks: credit };
                    say.send(self.message(Say::Credit(credit)))
                        .await
                        .map_err(gone)?;
                }
                Hear::Ack(ack) => self.answered(&ack),
                Hear::Drain(drain) if drain.reason == "AGENT_NOT_ACTIVE" => {
                    presence
                        .register()
                        .await
                        .map_err(|error| Status::unavailable(error.to_string()))?;
                }
                Hear::Drain(_) => return Ok(()),
                Hear::Welcome(_) | Hear::Cancel(_) => {}
            }
        }
    }

    fn answered(&mut self, ack: &Ack) {
        let Some(held) = self.open.remove(&ack.sequence) else {
            return;
        };
        let mut states = ack.states.iter();
        let mut again = Vec::new();
        for (at, held) in held.into_iter().enumerate() {
            let failure = ack
                .failures
                .iter()
                .find(|failure| usize::try_from(failure.index).is_ok_and(|index| index == at));
            match failure {
                Some(failure) if failure.reason == "LEASE_LOST" => self.history.lost(),
                // Refused for a reason that may pass: it is said again when the stream ends.
                Some(_) => again.push(held),
                None if held.fails => {
                    let is_over = states.next() == Some(&i32::from(TaskState::Failed));
                    if is_over {
                        self.history.failed(&held.task, &held.token);
                    }
                }
                None => self.history.completed(&held.task, &held.token),
            }
        }
        if !again.is_empty() {
            self.open.insert(-ack.sequence, again);
        }
    }
}
