//! Hands out tasks within the credit.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use reeve_contracts::task::v1 as proto;
use reeve_contracts::task::v1::work_response::Message as Say;
use reeve_status::Reason;

use super::Session;
use crate::dispatch::Waiter;
use crate::domain::{AgentInfo, LeaseToken};
use crate::grpc::portions::portions;
use crate::grpc::render;
use crate::operations::{self, News, Post};

impl Session {
    /// Hands out tasks until the session is over or the agent leaves.
    /// `news` of the agent was subscribed to before its first lease was known here.
    pub(super) async fn feed(self: Arc<Self>, agent: Arc<AgentInfo>, mut news: News) {
        let shared = &self.queue.shared;
        let who = (self.ask.tenant_id, self.ask.agent_id);
        let mut post = Post::of(&self.queue, &self.ask, agent).await;
        let mut waiter = shared.dispatch.wait(who.1, post.lanes());
        let mut told = false;
        while !self.is_closing() {
            match shared.agents.active(who.0, who.1).await {
                Ok(now) => {
                    told = false;
                    if let Some(next) = post.next(&self.queue, &self.ask, now).await {
                        post = next;
                        waiter = shared.dispatch.wait(who.1, post.lanes());
                    }
                }
                Err(fault) if fault.is_retryable() => {}
                Err(_) => {
                    if !std::mem::replace(&mut told, true) {
                        self.say_drain(Reason::AgentNotActive, None).await;
                    }
                    waiter.disarm();
                    self.rest(None, &mut news).await;
                    continue;
                }
            }
            let credit = self.credit.load(Ordering::Acquire);
            if credit == 0 {
                waiter.disarm();
                self.wait_for_credit(&mut news).await;
                continue;
            }
            waiter.arm(credit);
            if !self.hand_out(&post, credit, &mut waiter).await {
                self.rest(Some(&mut waiter), &mut news).await;
            }
        }
    }

    fn is_closing(&self) -> bool {
        self.over.is_cancelled()
            || self.leaving.is_cancelled()
            || self.queue.shared.drain.is_cancelled()
    }

    async fn closing(&self) {
        tokio::select! {
            () = self.over.cancelled() => {}
            () = self.leaving.cancelled() => {}
            () = self.queue.shared.drain.cancelled() => {}
        }
    }

    /// Waits for credit, or for news of the agent, which may have ceased to be ACTIVE.
    async fn wait_for_credit(&self, news: &mut News) {
        tokio::select! {
            () = self.credited.notified() => {}
            () = news.come() => {}
            () = self.closing() => {}
        }
    }

    /// Leases and assigns; false when there was nothing.
    async fn hand_out(&self, post: &Post, credit: usize, waiter: &mut Waiter) -> bool {
        let mut leases = match operations::pull(&self.queue, &self.ask, post, credit).await {
            Ok(leases) => leases,
            Err(fault) => {
                tracing::debug!(%fault, "no tasks now");
                return false;
            }
        };
        waiter.looked();
        if leases.is_empty() {
            return false;
        }
        // The agent may be slow to read what it is assigned.
        waiter.disarm();
        operations::hand_on(&self.queue, &leases, credit.min(reeve_redis::POP_LIMIT));
        let now = self.queue.shared.clock.now();
        let grants = leases.open();
        let tokens: Vec<_> = grants.iter().map(|grant| grant.token).collect();
        let rendered = grants.into_iter().map(|grant| render::lease(grant, now));
        let mut tokens = tokens.into_iter();
        for portion in portions(rendered.collect()) {
            let count = portion.len();
            if !self
                .assign(portion, tokens.by_ref().take(count).collect())
                .await
            {
                // What the agent has not heard of goes back with `leases`.
                return false;
            }
            leases.told(count);
        }
        // Cancellations that came before the leases were known here have rung in vain.
        self.held_more.notify_one();
        true
    }

    /// Assigns what fits into a message; false when the agent is gone or leaves.
    async fn assign(&self, leases: Vec<proto::Lease>, tokens: Vec<LeaseToken>) -> bool {
        self.holds(tokens.iter().copied());
        // Afterwards, so that whatever is leased while the agent says goodbye is seen by one of both.
        let leaves = self.leaving.is_cancelled();
        let spent = |credit: usize| Some(credit.saturating_sub(tokens.len()));
        let _ = self
            .credit
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, spent);
        let told = !leaves && self.say(Say::Assign(proto::Assign { leases })).await;
        if !told {
            self.lets_go(tokens);
        }
        told
    }

    /// Waits to be woken, or for news of what the agent may take, for a while.
    async fn rest(&self, waiter: Option<&mut Waiter>, news: &mut News) {
        let woken = async {
            match waiter {
                Some(waiter) => waiter.woken().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = woken => {}
            () = news.come() => {}
            () = tokio::time::sleep(self.queue.shared.config.poll_period) => {}
            () = self.closing() => {}
        }
    }
}
