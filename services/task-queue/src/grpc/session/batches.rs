//! What an agent says on its stream, message by message.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use reeve_contracts::task::v1 as proto;
use reeve_contracts::task::v1::work_request::Message as Said;
use reeve_contracts::task::v1::work_response::Message as Say;
use reeve_status::{Fault, Reason};

use super::order::{Order, Place};
use super::{MOST_CREDIT, Session};
use crate::domain::{LeaseToken, State};
use crate::grpc::{parse_delegation, parse_gate, parse_work, render, render_delegation};
use crate::operations::{DelegationAsk, delegate};
use crate::storage::Renewed;

/// Items of one message.
const MOST: usize = 256;
/// Leases of one heartbeat.
const MOST_HELD: usize = 10_000;

type Work = BoxFuture<'static, ()>;
type Answers<T> = Result<Vec<Result<T, Fault>>, Fault>;

/// Items of a batch, those that were well formed apart from those that were not.
struct Sorted<T> {
    texts: Vec<String>,
    good: Vec<(usize, T)>,
    bad: Vec<proto::ItemFailure>,
}

impl<T> Sorted<T> {
    fn new<I>(
        items: Vec<I>,
        token: impl Fn(&I) -> String,
        parse: impl Fn(I) -> Result<T, Fault>,
    ) -> Self {
        let texts: Vec<_> = items.iter().map(token).collect();
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for (index, item) in items.into_iter().enumerate() {
            match parse(item) {
                Ok(item) => good.push((index, item)),
                Err(fault) => bad.push(render::failure(index, texts[index].clone(), &fault)),
            }
        }
        Self { texts, good, bad }
    }

    /// Puts the good ones to work; the failures of all, and what the others were told.
    async fn settle<O, F>(self, work: impl FnOnce(Vec<T>) -> F) -> (Vec<proto::ItemFailure>, Vec<O>)
    where
        F: Future<Output = Answers<O>>,
    {
        let Self {
            texts,
            good,
            mut bad,
        } = self;
        let (indices, items): (Vec<_>, Vec<_>) = good.into_iter().unzip();
        let mut done = Vec::with_capacity(indices.len());
        let answers = match work(items).await {
            Ok(answers) => answers,
            Err(fault) => indices.iter().map(|_| Err(fault.clone())).collect(),
        };
        for (index, answer) in indices.into_iter().zip(answers) {
            match answer {
                Ok(answer) => done.push(answer),
                Err(fault) => bad.push(render::failure(index, texts[index].clone(), &fault)),
            }
        }
        bad.sort_by_key(|failure| failure.index);
        (bad, done)
    }
}

fn parse_token(text: String) -> Result<LeaseToken, Fault> {
    parse_work::token(&text)
}

impl Session {
    /// What is to be done about a message, and when; nothing when that was done at once.
    pub(super) fn hear(
        self: Arc<Self>,
        request: proto::WorkRequest,
    ) -> Result<Option<(Place, Work)>, Fault> {
        let sequence = request.sequence;
        let message = request
            .message
            .ok_or_else(|| Fault::invalid("message", "is required"))?;
        let unnumbered = matches!(message, Said::Hello(_) | Said::Credit(_) | Said::Goodbye(_));
        if sequence <= 0 && !unnumbered {
            return Err(Fault::invalid("sequence", "must be above 0"));
        }
        check_size(&message)?;
        let place = match &message {
            Said::Goodbye(_) => Order::enter_last(&self.order),
            other => Order::enter(&self.order, leases_of(other)),
        };
        let work = match message {
            Said::Hello(_) => return Err(Fault::invalid("message", "must not be hello again")),
            Said::Credit(credit) => {
                self.add_credit(&credit)?;
                return Ok(None);
            }
            Said::Goodbye(goodbye) => {
                self.leaving.cancel();
                self.leave(goodbye).boxed()
            }
            Said::Heartbeat(beat) => self.beat(sequence, beat).boxed(),
            Said::Accept(batch) => self
                .advance(sequence, batch.lease_tokens, State::Accepted)
                .boxed(),
            Said::Start(batch) => self
                .advance(sequence, batch.lease_tokens, State::InProgress)
                .boxed(),
            Said::Progress(batch) => self.progress(sequence, batch.items).boxed(),
            Said::Complete(batch) => self.complete(sequence, batch.items).boxed(),
            Said::Fail(batch) => self.fail(sequence, batch.items).boxed(),
            Said::Reject(batch) => self.reject(sequence, batch.items).boxed(),
            Said::Suspend(batch) => self.suspend(sequence, batch.items).boxed(),
            Said::Delegate(batch) => self.delegate(sequence, batch.items).boxed(),
        };
        Ok(Some((place, work)))
    }

    fn add_credit(&self, credit: &proto::Credit) -> Result<(), Fault> {
        let more = usize::try_from(credit.tasks).unwrap_or_default();
        if !(1..=MOST_CREDIT).contains(&more) {
            return Err(Fault::invalid("credit.tasks", "must be from 1 to 10000"));
        }
        let add = |have: usize| Some((have + more).min(MOST_CREDIT));
        let _ = self
            .credit
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
        self.credited.notify_one();
        Ok(())
    }

    async fn ack(&self, ack: proto::Ack) {
        self.say(Say::Ack(ack)).await;
    }

    async fn beat(self: Arc<Self>, sequence: i64, beat: proto::Heartbeat) {
        let sorted = Sorted::new(beat.lease_tokens, String::clone, parse_token);
        let session = &self;
        let (failures, renewed) = sorted
            .settle(|tokens| async move { session.renew(tokens).await })
            .await;
        let changed = renewed
            .into_iter()
            .filter(|(_, one)| one.as_ref().is_none_or(|renewed| renewed.cancel_requested));
        let renewals = changed.map(|(token, one)| render::renewal(token.to_string(), one));
        let renewals = render::without_long_reasons(renewals.collect());
        self.ack(proto::Ack {
            sequence,
            failures,
            renewals,
            ..Default::default()
        })
        .await;
    }

    /// Renews leases; knows from then on of those that are held, and forgets those that are lost.
    async fn renew(&self, tokens: Vec<LeaseToken>) -> Answers<(LeaseToken, Option<Renewed>)> {
        let renewed = self.report().renew(&tokens, self.ask.lease_ms).await?;
        let of = |held: bool| {
            let each = tokens.iter().zip(&renewed);
            each.filter_map(move |(token, one)| {
                let one = one.as_ref().ok()?;
                (one.is_some() == held).then_some(*token)
            })
        };
        self.lets_go(of(false));
        self.holds(of(true));
        let each = tokens.into_iter().zip(renewed);
        Ok(each
            .map(|(token, one)| one.map(|one| (token, one)))
            .collect())
    }

    async fn advance(self: Arc<Self>, sequence: i64, texts: Vec<String>, target: State) {
        let sorted = Sorted::new(texts, String::clone, parse_token);
        let session = &self;
        let (failures, _) = sorted
            .settle(|tokens| async move { session.report().advance(&tokens, target).await })
            .await;
        self.ack_items(sequence, failures, Vec::new()).await;
    }

    async fn progress(self: Arc<Self>, sequence: i64, items: Vec<proto::ReportProgressRequest>) {
        let tenant = self.ask.tenant_id;
        let token = |item: &proto::ReportProgressRequest| item.lease_token.clone();
        let sorted = Sorted::new(items, token, |item| parse_work::progress(item, tenant));
        let session = &self;
        let (failures, _) = sorted
            .settle(|reports| async move { session.report().progress(reports).await })
            .await;
        self.ack_items(sequence, failures, Vec::new()).await;
    }

    async fn complete(self: Arc<Self>, sequence: i64, items: Vec<proto::CompleteTaskRequest>) {
        let tenant = self.ask.tenant_id;
        let token = |item: &proto::CompleteTaskRequest| item.lease_token.clone();
        let sorted = Sorted::new(items, token, |item| parse_work::completion(item, tenant));
        let session = &self;
        let work = |items| async move { session.report().complete(items).await };
        let (failures, _) = self.end(sorted, |one| Some(one.token), work).await;
        self.ack_items(sequence, failures, Vec::new()).await;
    }

    async fn fail(self: Arc<Self>, sequence: i64, items: Vec<proto::FailTaskRequest>) {
        let token = |item: &proto::FailTaskRequest| item.lease_token.clone();
        let sorted = Sorted::new(items, token, parse_work::failure);
        let session = &self;
        let work = |items| async move { session.report().fail(items).await };
        let (failures, ended) = self.end(sorted, |one| Some(one.token), work).await;
        let states = ended.iter().map(|one| render::state(one.state).into());
        self.ack_items(sequence, failures, states.collect()).await;
    }

    async fn reject(self: Arc<Self>, sequence: i64, items: Vec<proto::RejectTaskRequest>) {
        let token = |item: &proto::RejectTaskRequest| item.lease_token.clone();
        let sorted = Sorted::new(items, token, parse_work::rejection);
        let session = &self;
        let work = |items| async move { session.report().reject(items).await };
        let (failures, _) = self.end(sorted, |one| Some(one.token), work).await;
        self.ack_items(sequence, failures, Vec::new()).await;
    }

    async fn suspend(self: Arc<Self>, sequence: i64, items: Vec<proto::SuspendTaskRequest>) {
        let token = |item: &proto::SuspendTaskRequest| item.lease_token.clone();
        let sorted = Sorted::new(items, token, parse_gate::suspend);
        let session = &self;
        let work = |items| async move { session.report().suspend(items).await };
        let (failures, ended) = self.end(sorted, |one| Some(one.token), work).await;
        let states = ended.iter().map(|one| render::state(one.state).into());
        self.ack_items(sequence, failures, states.collect()).await;
    }

    /// Each in a transaction of its own: they are few, and each may go to another agent.
    async fn delegate(self: Arc<Self>, sequence: i64, items: Vec<proto::DelegateTaskRequest>) {
        let token = |item: &proto::DelegateTaskRequest| item.lease_token.clone();
        let sorted = Sorted::new(items, token, parse_delegation::delegate);
        let session = &self;
        let work = |asks: Vec<DelegationAsk>| async move {
            let mut made = Vec::with_capacity(asks.len());
            for ask in &asks {
                made.push(delegate(&session.queue, &session.caller, ask).await);
            }
            Ok(made)
        };
        let (failures, made) = self.end(sorted, |ask| ask.by.lease(), work).await;
        let short = |made| proto::TaskDelegation {
            metadata: None,
            ..render_delegation::delegation(made)
        };
        self.ack(proto::Ack {
            sequence,
            failures,
            delegations: made.into_iter().map(short).collect(),
            ..Default::default()
        })
        .await;
    }

    /// Gives back what the stream holds, if asked to. The feeder has seen `leaving` by then, or
    /// sees it after it has entered what it leased.
    async fn leave(self: Arc<Self>, goodbye: proto::Goodbye) {
        if goodbye.return_leases {
            self.return_all().await;
        }
    }

    /// Ends leases: lets go of them first, and takes those back whose end was refused.
    async fn end<T, O, F>(
        &self,
        sorted: Sorted<T>,
        lease: impl Fn(&T) -> Option<LeaseToken>,
        work: impl FnOnce(Vec<T>) -> F,
    ) -> (Vec<proto::ItemFailure>, Vec<O>)
    where
        F: Future<Output = Answers<O>>,
    {
        let tokens = sorted.good.iter().filter_map(|(_, one)| lease(one));
        let ending = self.ending(tokens.collect());
        let (failures, done) = sorted.settle(work).await;
        self.still_holds(ending, &failures);
        (failures, done)
    }

    async fn ack_items(&self, sequence: i64, failures: Vec<proto::ItemFailure>, states: Vec<i32>) {
        self.ack(proto::Ack {
            sequence,
            failures,
            states,
            ..Default::default()
        })
        .await;
    }

    /// Lets go of leases that are about to end, before they do: the crier must not take an end that
    /// the agent asked for for a loss. Answers those that were held.
    fn ending(&self, tokens: Vec<LeaseToken>) -> Vec<LeaseToken> {
        tokens
            .into_iter()
            .filter(|token| self.let_go(*token))
            .collect()
    }

    /// Takes those back whose end was refused and that are not lost.
    fn still_holds(&self, ending: Vec<LeaseToken>, failures: &[proto::ItemFailure]) {
        let lost = Reason::LeaseLost.as_str();
        let refused = failures.iter().filter(|failure| failure.reason != lost);
        let refused: HashSet<_> = refused
            .map(|failure| failure.lease_token.as_str())
            .collect();
        if refused.is_empty() {
            return;
        }
        let still = |token: &LeaseToken| refused.contains(token.to_string().as_str());
        self.holds(ending.into_iter().filter(still));
        self.held_more.notify_one();
    }
}

/// The leases that a message says something about, where the order matters.
fn leases_of(message: &Said) -> Vec<LeaseToken> {
    fn all<'a>(tokens: impl Iterator<Item = &'a String>) -> Vec<LeaseToken> {
        tokens.filter_map(|token| token.parse().ok()).collect()
    }
    match message {
        Said::Hello(_) | Said::Credit(_) | Said::Goodbye(_) | Said::Heartbeat(_) => Vec::new(),
        Said::Accept(batch) => all(batch.lease_tokens.iter()),
        Said::Start(batch) => all(batch.lease_tokens.iter()),
        Said::Progress(batch) => all(batch.items.iter().map(|item| &item.lease_token)),
        Said::Complete(batch) => all(batch.items.iter().map(|item| &item.lease_token)),
        Said::Fail(batch) => all(batch.items.iter().map(|item| &item.lease_token)),
        Said::Reject(batch) => all(batch.items.iter().map(|item| &item.lease_token)),
        Said::Suspend(batch) => all(batch.items.iter().map(|item| &item.lease_token)),
        Said::Delegate(batch) => all(batch.items.iter().map(|item| &item.lease_token)),
    }
}

fn check_size(message: &Said) -> Result<(), Fault> {
    let (items, least, most) = match message {
        Said::Hello(_) | Said::Credit(_) | Said::Goodbye(_) => return Ok(()),
        // An agent that holds nothing says so.
        Said::Heartbeat(beat) => (beat.lease_tokens.len(), 0, MOST_HELD),
        Said::Accept(batch) => (batch.lease_tokens.len(), 1, MOST),
        Said::Start(batch) => (batch.lease_tokens.len(), 1, MOST),
        Said::Progress(batch) => (batch.items.len(), 1, MOST),
        Said::Complete(batch) => (batch.items.len(), 1, MOST),
        Said::Fail(batch) => (batch.items.len(), 1, MOST),
        Said::Reject(batch) => (batch.items.len(), 1, MOST),
        Said::Suspend(batch) => (batch.items.len(), 1, MOST),
        Said::Delegate(batch) => (batch.items.len(), 1, MOST),
    };
    if (least..=most).contains(&items) {
        return Ok(());
    }
    let rule = format!("must have {least} to {most} items");
    Err(Fault::invalid("message", rule))
}
