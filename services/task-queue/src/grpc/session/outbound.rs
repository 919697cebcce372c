//! What goes out to an agent, and what of it never does: assignments that lie in the channel when
//! the connection ends were heard by nobody, so their leases go back.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use reeve_contracts::task::v1 as proto;
use reeve_contracts::task::v1::work_response::Message as Say;
use reeve_events::Actor;
use reeve_ids::TenantId;
use tokio::sync::mpsc;
use tonic::Status;

use crate::domain::LeaseToken;
use crate::lanes::{Lane, Leases, SettleFlush};

/// The out-bound side of a stream.
pub struct Outbound {
    messages: mpsc::Receiver<Result<proto::WorkResponse, Status>>,
    tenant_id: TenantId,
    actor: Actor,
    settle: Lane<SettleFlush>,
}

impl Outbound {
    /// What the session says.
    pub fn new(
        messages: mpsc::Receiver<Result<proto::WorkResponse, Status>>,
        (tenant_id, actor): (TenantId, Actor),
        settle: Lane<SettleFlush>,
    ) -> Self {
        Self {
            messages,
            tenant_id,
            actor,
            settle,
        }
    }
}

impl Stream for Outbound {
    type Item = Result<proto::WorkResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.messages.poll_recv(context)
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.messages.close();
        let mut unheard = Vec::new();
        while let Ok(message) = self.messages.try_recv() {
            if let Ok(Some(Say::Assign(assign))) = message.map(|response| response.message) {
                let tokens = assign.leases.iter();
                let tokens = tokens.filter_map(|lease| lease.lease_token.parse().ok());
                unheard.extend(tokens.map(|token: LeaseToken| (self.tenant_id, token)));
            }
        }
        drop(Leases::of_tokens(unheard, &self.settle, &self.actor));
    }
}
