//! One agent's work stream.
//!
//! Three things run side by side until the stream ends: the reader takes the agent's messages and
//! has each answered by a task of its own, so that their items meet in the lanes, in order for each
//! lease; the feeder hands out tasks within the credit; the crier tells of cancellations. They share
//! only the out-bound channel, the credit and the set of leases.

use std::collections::HashSet;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use futures::stream::BoxStream;
use reeve_auth::Caller;
use reeve_contracts::task::v1 as proto;
use reeve_contracts::task::v1::work_request::Message as Said;
use reeve_contracts::task::v1::work_response::Message as Say;
use reeve_events::Actor;
use reeve_status::{Fault, Reason, Violations};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::{parse, render};
use crate::core::Shared;
use crate::domain::{AgentInfo, LeaseToken};
use crate::operations::{LeaseAsk, News, Report};
use crate::{Error, Queue};

mod batches;
mod crier;
mod feeder;
mod order;
mod outbound;

use order::Order;
use outbound::Outbound;

/// Messages that the server may be ahead of the agent.
const AHEAD: usize = 64;
/// Messages of the agent that may be at work at the same time; then reading pauses.
const AT_WORK: usize = 64;
const MOST_CREDIT: usize = 10_000;
/// How long the stream goes on after it was said that the server drains, at most.
const LAST_WORDS: TimeDelta = TimeDelta::seconds(1);

type Out = mpsc::Sender<Result<proto::WorkResponse, Status>>;

/// What the parts of a session share.
struct Session {
    queue: Queue,
    caller: Caller,
    ask: LeaseAsk,
    out: Out,
    credit: AtomicUsize,
    credited: Notify,
    /// Leases that this stream handed out or was told of, and that have not ended on it.
    held: Mutex<HashSet<LeaseToken>>,
    /// Notified when there are more of them.
    held_more: Notify,
    order: Arc<Order>,
    over: CancellationToken,
    /// Cancelled when the agent leaves and wants no more.
    leaving: CancellationToken,
}

/// Begins a session; the stream ends with it.
pub fn open(
    queue: Queue,
    caller: Caller,
    inbound: Streaming<proto::WorkRequest>,
) -> BoxStream<'static, Result<proto::WorkResponse, Status>> {
    let (out, messages) = mpsc::channel(AHEAD);
    let who = (caller.tenant(), Actor::from(&caller));
    let outbound = Outbound::new(messages, who, queue.lanes.settle.clone());
    reeve_runtime::spawn("work stream", async move {
        if let Err(fault) = converse(queue, caller, inbound, out.clone()).await {
            let _ = out.send(Err(fault.into())).await;
        }
    });
    Box::pin(outbound)
}

async fn converse(
    queue: Queue,
    caller: Caller,
    mut inbound: Streaming<proto::WorkRequest>,
    out: Out,
) -> Result<(), Fault> {
    let first = inbound.next().await.transpose();
    let first = first.map_err(|status| reeve_runtime::inbound_fault(&status))?;
    let Some(Said::Hello(hello)) = first.and_then(|first| first.message) else {
        return Err(Fault::invalid(
            "message",
            "must be hello, since it is the first",
        ));
    };
    let (ask, tokens) = parse_hello(&caller, hello)?;
    let agent = queue
        .shared
        .agents
        .active(ask.tenant_id, ask.agent_id)
        .await?;
    let session = Arc::new(Session {
        queue,
        caller,
        ask,
        out,
        credit: AtomicUsize::new(0),
        credited: Notify::new(),
        held: Mutex::default(),
        held_more: Notify::new(),
        order: Arc::default(),
        over: CancellationToken::new(),
        leaving: CancellationToken::new(),
    });
    let _end = session.over.clone().drop_guard();
    // Before any lease is known here, so that no cancellation is missed.
    let topic = Shared::agent_topic(session.ask.tenant_id, session.ask.agent_id);
    let wakeup = session.queue.shared.wakeups.subscribe(&topic);
    let news = News::of(&session.queue, &session.ask);
    session.welcome(&agent, &tokens).await?;
    let feeder = reeve_runtime::spawn("work feeder", Arc::clone(&session).feed(agent, news));
    let crier = reeve_runtime::spawn("work crier", Arc::clone(&session).cry(wakeup));
    let read = session.read(inbound).await;
    session.over.cancel();
    // What they were doing is finished or was not begun.
    let _ = futures::join!(feeder, crier);
    read
}

fn parse_hello(caller: &Caller, hello: proto::Hello) -> Result<(LeaseAsk, Vec<LeaseToken>), Fault> {
    let mut v = Violations::new();
    let parsed = v.within("hello", |v| {
        let agent_id = parse::required(v, "agent_id", &hello.agent_id);
        let queues = parse::queues(v, hello.queues);
        let lease_ms = parse::lease(v, "lease_duration", hello.lease_duration.as_ref());
        let tokens = if hello.held_lease_tokens.is_empty() {
            Vec::new()
        } else {
            parse::tokens(v, "held_lease_tokens", &hello.held_lease_tokens, 1_000)
        };
        let ask = LeaseAsk {
            tenant_id: caller.tenant(),
            agent_id: agent_id?,
            actor: Actor::from(caller),
            queues,
            lease_ms,
            start: hello.start,
        };
        Some((ask, tokens))
    });
    parse::finish(v, parsed)
}

impl Session {
    fn report(&self) -> Report<'_> {
        Report {
            queue: &self.queue,
            tenant_id: self.ask.tenant_id,
            actor: self.ask.actor.clone(),
        }
    }

    /// Says something; false when the agent has gone.
    async fn say(&self, message: Say) -> bool {
        self.out
            .send(Ok(proto::WorkResponse {
                message: Some(message),
            }))
            .await
            .is_ok()
    }

    async fn say_drain(&self, reason: Reason, end: Option<DateTime<Utc>>) {
        let reason = reason.as_str().to_owned();
        let end_time = end.map(reeve_wellknown::timestamp);
        self.say(Say::Drain(proto::Drain { reason, end_time }))
            .await;
    }

    fn leases(&self) -> MutexGuard<'_, HashSet<LeaseToken>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holds(&self, tokens: impl IntoIterator<Item = LeaseToken>) {
        self.leases().extend(tokens);
    }

    fn lets_go(&self, tokens: impl IntoIterator<Item = LeaseToken>) {
        let mut held = self.leases();
        for token in tokens {
            held.remove(&token);
        }
    }

    /// As [`Session::lets_go`]; whether it was held.
    fn let_go(&self, token: LeaseToken) -> bool {
        self.leases().remove(&token)
    }

    fn held(&self) -> Vec<LeaseToken> {
        self.leases().iter().copied().collect()
    }

    async fn welcome(&self, agent: &AgentInfo, tokens: &[LeaseToken]) -> Result<(), Fault> {
        let renewed = self.report().renew(tokens, self.ask.lease_ms).await?;
        let mut held = Vec::with_capacity(tokens.len());
        for (token, renewed) in tokens.iter().zip(renewed) {
            let renewed = renewed?;
            self.holds(renewed.is_some().then_some(*token));
            held.push(render::renewal(token.to_string(), renewed));
        }
        let lease = TimeDelta::milliseconds(self.ask.lease_ms);
        let welcome = proto::Welcome {
            capabilities: agent.capability_names(),
            lease_duration: Some(reeve_wellknown::duration(lease)),
            heartbeat_duration: Some(reeve_wellknown::duration(lease / 3)),
            held,
        };
        self.say(Say::Welcome(welcome)).await;
        Ok(())
    }

    /// Reads until the agent ends its side, goes, or the server drains.
    async fn read(
        self: &Arc<Self>,
        mut inbound: Streaming<proto::WorkRequest>,
    ) -> Result<(), Fault> {
        let at_work = Arc::new(Semaphore::new(AT_WORK));
        let shared = &self.queue.shared;
        let result = loop {
            let said = tokio::select! {
                () = shared.drain.cancelled() => {
                    let end = shared.clock.now() + LAST_WORDS;
                    self.say_drain(Reason::Draining, Some(end)).await;
                    break Err(Fault::from(Error::Draining));
                }
                () = self.out.closed() => break Ok(()),
                said = inbound.next() => said,
            };
            let request = match said {
                None => break Ok(()),
                Some(Err(status)) => break Err(reeve_runtime::inbound_fault(&status)),
                Some(Ok(request)) => request,
            };
            let Ok(permit) = Arc::clone(&at_work).acquire_owned().await else {
                break Ok(());
            };
            match self.clone().hear(request) {
                Ok(Some((place, work))) => {
                    reeve_runtime::spawn("work message", async move {
                        let _permit = permit;
                        place.turn().await;
                        work.await;
                        drop(place);
                    });
                }
                Ok(None) => {}
                Err(fault) => break Err(fault),
            }
        };
        // Everything that was said is answered before the stream ends.
        let all = u32::try_from(AT_WORK).unwrap_or(u32::MAX);
        let _ = at_work.acquire_many(all).await;
        result
    }

    /// Gives back everything that the stream holds.
    async fn return_all(&self) {
        let held = self.held();
        self.lets_go(held.iter().copied());
        if let Err(fault) = self.report().give_back(&held).await {
            tracing::debug!(%fault, "the leases lapse by themselves");
        }
    }
}
