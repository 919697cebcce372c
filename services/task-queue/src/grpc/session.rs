//! One agent's work stream.
//!
//! Three things run side by side until the stream ends: the reader takes the agent's messages and
//! has each answered by a task of its own, so that their items meet in the lanes; the feeder hands
//! out tasks within the credit; the crier tells of cancellations. They share only the out-bound
//! channel, the credit and the set of leases.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::BoxStream;
use reeve_auth::Caller;
use reeve_contracts::task::v1 as proto;
use reeve_contracts::task::v1::work_request::Message as Said;
use reeve_contracts::task::v1::work_response::Message as Say;
use reeve_events::Actor;
use reeve_status::{Fault, Reason, Violations};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::{parse, render};
use crate::clients::AgentInfo;
use crate::core::Shared;
use crate::domain::LeaseToken;
use crate::operations::{self, LeaseAsk, Report};
use crate::{Error, Queue, storage};

mod batches;

/// Messages that the server may be ahead of the agent.
const AHEAD: usize = 64;
/// Messages of the agent that may be at work at the same time; then reading pauses.
const AT_WORK: usize = 64;
const MOST_CREDIT: usize = 10_000;

type Out = mpsc::Sender<Result<proto::WorkResponse, Status>>;

/// What the parts of a session share.
struct Session {
    queue: Queue,
    ask: LeaseAsk,
    out: Out,
    credit: AtomicUsize,
    credited: Notify,
    /// Leases that this stream handed out or was told of, and that have not ended on it.
    held: Mutex<HashSet<LeaseToken>>,
    over: CancellationToken,
    /// Cancelled when the agent leaves and wants to hold nothing.
    leaving: CancellationToken,
}

/// Begins a session; the stream ends with it.
pub fn open(
    queue: Queue,
    caller: Caller,
    inbound: Streaming<proto::WorkRequest>,
) -> BoxStream<'static, Result<proto::WorkResponse, Status>> {
    let (out, outbound) = mpsc::channel(AHEAD);
    reeve_runtime::spawn("work stream", async move {
        if let Err(fault) = converse(queue, caller, inbound, out.clone()).await {
            let _ = out.send(Err(fault.into())).await;
        }
    });
    Box::pin(ReceiverStream::new(outbound))
}

async fn converse(
    queue: Queue,
    caller: Caller,
    mut inbound: Streaming<proto::WorkRequest>,
    out: Out,
) -> Result<(), Fault> {
    let first = inbound
        .next()
        .await
        .transpose()
        .map_err(|status| Fault::from(&status))?;
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
        ask,
        out,
        credit: AtomicUsize::new(0),
        credited: Notify::new(),
        held: Mutex::default(),
        over: CancellationToken::new(),
        leaving: CancellationToken::new(),
    });
    let _end = session.over.clone().drop_guard();
    session.welcome(&agent, &tokens).await?;
    let feeder = reeve_runtime::spawn("work feeder", Arc::clone(&session).feed(agent));
    let crier = reeve_runtime::spawn("work crier", Arc::clone(&session).cry());
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

    fn holds(&self, tokens: impl IntoIterator<Item = LeaseToken>) {
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(tokens);
    }

    fn lets_go(&self, tokens: impl IntoIterator<Item = LeaseToken>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for token in tokens {
            held.remove(&token);
        }
    }

    fn held(&self) -> Vec<LeaseToken> {
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .copied()
            .collect()
    }

    async fn welcome(&self, agent: &AgentInfo, tokens: &[LeaseToken]) -> Result<(), Fault> {
        let renewed = self.report().renew(tokens, self.ask.lease_ms).await?;
        let mut held = Vec::with_capacity(tokens.len());
        for (token, renewed) in tokens.iter().zip(renewed) {
            let renewed = renewed?;
            self.holds(renewed.is_some().then_some(*token));
            held.push(render::renewal(token.to_string(), renewed));
        }
        let lease = chrono::TimeDelta::milliseconds(self.ask.lease_ms);
        let welcome = proto::Welcome {
            capabilities: agent.capabilities.clone(),
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
        let drain = self.queue.shared.drain.clone();
        let result = loop {
            let said = tokio::select! {
                () = drain.cancelled() => {
                    let reason = Reason::Draining.as_str().to_owned();
                    self.say(Say::Drain(proto::Drain { reason, end_time: None })).await;
                    break Err(Fault::from(Error::Draining));
                }
                () = self.out.closed() => break Ok(()),
                said = inbound.next() => said,
            };
            let request = match said {
                None => break Ok(()),
                // The connection broke; nobody is there to hear of it.
                Some(Err(_)) => break Ok(()),
                Some(Ok(request)) => request,
            };
            let Ok(permit) = Arc::clone(&at_work).acquire_owned().await else {
                break Ok(());
            };
            match self.clone().hear(request) {
                Ok(Some(work)) => {
                    reeve_runtime::spawn("work message", async move {
                        let _permit = permit;
                        work.await;
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

    /// Hands out tasks within the credit.
    async fn feed(self: Arc<Self>, mut agent: Arc<AgentInfo>) {
        let shared = &self.queue.shared;
        let mut waiter = shared.dispatch.wait(&self.ask.lanes(&agent));
        let mut told = false;
        while !self.over.is_cancelled() && !shared.drain.is_cancelled() {
            let credit = self.credit.load(Ordering::Acquire);
            if credit == 0 {
                tokio::select! {
                    () = self.credited.notified() => {}
                    () = self.over.cancelled() => {}
                    () = shared.drain.cancelled() => {}
                }
                continue;
            }
            match shared
                .agents
                .active(self.ask.tenant_id, self.ask.agent_id)
                .await
            {
                Ok(now) if now != agent => {
                    agent = now;
                    waiter = shared.dispatch.wait(&self.ask.lanes(&agent));
                    told = false;
                }
                Ok(_) => told = false,
                Err(fault) if fault.is_retryable() => {}
                Err(_) => {
                    if !std::mem::replace(&mut told, true) {
                        let reason = Reason::AgentNotActive.as_str().to_owned();
                        self.say(Say::Drain(proto::Drain {
                            reason,
                            end_time: None,
                        }))
                        .await;
                    }
                    self.rest(None).await;
                    continue;
                }
            }
            waiter.arm();
            if !self.hand_out(&agent, credit).await {
                self.rest(Some(&mut waiter)).await;
            }
            waiter.disarm();
        }
    }

    /// Leases and assigns; false when there was nothing.
    async fn hand_out(&self, agent: &Arc<AgentInfo>, credit: usize) -> bool {
        let grants = match operations::pull(&self.queue, &self.ask, agent, credit).await {
            Ok(grants) => grants,
            Err(fault) => {
                tracing::debug!(%fault, "no tasks now");
                return false;
            }
        };
        if grants.is_empty() {
            return false;
        }
        operations::hand_on(&self.queue, &grants, credit.min(reeve_redis::POP_LIMIT));
        self.credit.fetch_sub(grants.len(), Ordering::AcqRel);
        self.holds(grants.iter().map(|grant| grant.token));
        if self.leaving.is_cancelled() {
            // They were leased while the agent said goodbye.
            self.return_all().await;
            return false;
        }
        let now = self.queue.shared.clock.now();
        let leases = grants
            .into_iter()
            .map(|grant| render::lease(grant, now))
            .collect();
        self.say(Say::Assign(proto::Assign { leases })).await
    }

    /// Gives back everything that the stream holds.
    async fn return_all(&self) {
        let held = self.held();
        self.lets_go(held.iter().copied());
        if let Err(fault) = self.report().give_back(&held).await {
            tracing::debug!(%fault, "the leases lapse by themselves");
        }
    }

    /// Waits to be woken, for a while.
    async fn rest(&self, waiter: Option<&mut crate::dispatch::Waiter>) {
        let shared = &self.queue.shared;
        let woken = async {
            match waiter {
                Some(waiter) => waiter.woken().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = woken => {}
            () = tokio::time::sleep(shared.config.poll_period) => {}
            () = self.over.cancelled() => {}
            () = shared.drain.cancelled() => {}
        }
    }

    /// Tells of cancellations.
    async fn cry(self: Arc<Self>) {
        let shared = &self.queue.shared;
        let topic = Shared::agent_topic(self.ask.tenant_id, self.ask.agent_id);
        let mut wakeup = shared.wakeups.subscribe(&topic);
        let mut told = HashSet::new();
        loop {
            tokio::select! {
                () = wakeup.woken() => {}
                () = self.over.cancelled() => return,
            }
            match self.cancellations(&mut told).await {
                Ok(leases) if leases.is_empty() => {}
                Ok(leases) => {
                    self.say(Say::Cancel(proto::Cancel { leases })).await;
                }
                // The next heartbeat tells of it.
                Err(error) => tracing::debug!(%error, "cancellations are not known"),
            }
        }
    }

    /// Leases of this stream that are to be let go or were taken away, each told once.
    async fn cancellations(
        &self,
        told: &mut HashSet<LeaseToken>,
    ) -> Result<Vec<proto::LeaseRenewal>, Error> {
        let held = self.held();
        told.retain(|token| held.contains(token));
        let ids: Vec<_> = held.iter().map(|token| token.task_id).collect();
        let pool = self.queue.shared.database.internal_pool();
        let standing = storage::standing_of(pool, self.ask.tenant_id, &ids).await?;
        let mut leases = Vec::new();
        for token in held {
            let row = standing.iter().find(|row| row.is_of(token)).cloned();
            match &row {
                Some(row) if !row.cancel_requested => continue,
                None => self.lets_go([token]),
                Some(_) => {}
            }
            if told.insert(token) {
                leases.push(render::renewal(token.to_string(), row));
            }
        }
        Ok(leases)
    }
}
