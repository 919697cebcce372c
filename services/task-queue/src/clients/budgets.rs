//! finance: money before work.

use chrono::{DateTime, TimeDelta, Utc};
use reeve_contracts::finance::v1::budget_service_client::BudgetServiceClient;
use reeve_contracts::finance::v1::{HoldState, ReleaseHoldRequest, ReserveBudgetRequest};
use reeve_contracts::r#type::v1::Money;
use reeve_ids::{HoldId, TaskId, TenantId};
use reeve_runtime::Peer;
use reeve_status::{Fault, Reason};

use crate::domain::{Budget, Hold};

/// Why there is no hold.
#[derive(Debug)]
pub enum Refusal {
    /// The budget does not allow it now.
    Exhausted,
    /// The hold of this request is over; another request has to be made.
    Over,
    /// It never will: no such budget, or another currency.
    Impossible(Fault),
    /// Nobody knows now.
    Unknown(Fault),
}

/// Money to be set aside.
#[derive(Debug, Clone, Copy)]
pub struct Reservation<'a> {
    /// Whose.
    pub tenant_id: TenantId,
    /// For which task.
    pub task_id: TaskId,
    /// As it stands.
    pub version: i32,
    /// For which of its attempts.
    pub attempt: i32,
    /// Out of which budget, and how much.
    pub budget: &'a Budget,
    /// The trace that the task belongs to; may be empty.
    pub traceparent: &'a str,
}

/// Asks finance.
#[derive(Debug, Clone)]
pub struct Budgets {
    peer: Peer,
    hold_duration: TimeDelta,
}

impl Budgets {
    /// Asks for holds that last `hold_duration` if nobody ends them.
    pub fn new(peer: Peer, hold_duration: TimeDelta) -> Self {
        Self {
            peer,
            hold_duration,
        }
    }

    /// Sets money aside for the next attempt of a task. Until the task changes, a repetition gives
    /// the same hold, so a crash before it was noted costs nothing; afterwards it is another
    /// request, because the hold may be over.
    ///
    /// # Errors
    /// When the budget refuses or finance is away.
    pub async fn reserve(
        &self,
        ask: &Reservation<'_>,
        now: DateTime<Utc>,
    ) -> Result<Hold, Refusal> {
        let (budget, task_id) = (ask.budget, ask.task_id);
        let message = ReserveBudgetRequest {
            request_id: format!("{task_id}/{}", ask.version),
            budget_id: budget.id.to_string(),
            amount: Some(Money {
                amount: budget.amount.clone(),
                currency_code: budget.currency.clone(),
            }),
            task_id: task_id.to_string(),
            attempt: ask.attempt,
            hold_duration: Some(reeve_wellknown::duration(self.hold_duration)),
        };
        let traceparent = Some(ask.traceparent).filter(|text| !text.is_empty());
        let request = self.peer.request_in(ask.tenant_id, traceparent, message);
        let answer = BudgetServiceClient::new(self.peer.channel())
            .reserve_budget(request)
            .await;
        let hold = answer.map_err(|status| refusal(&status))?.into_inner().hold;
        let unreadable = || Refusal::Unknown(Fault::internal());
        let hold = hold.ok_or_else(unreadable)?;
        if hold.state() != HoldState::Held {
            return Err(Refusal::Over);
        }
        let until = hold
            .expire_time
            .as_ref()
            .and_then(reeve_wellknown::datetime);
        Ok(Hold {
            id: hold.id.parse().map_err(|_| unreadable())?,
            expire_time: until.unwrap_or(now + self.hold_duration),
        })
    }

    /// Gives a hold back that no attempt will use.
    pub async fn release(&self, tenant: TenantId, hold: HoldId) {
        let message = ReleaseHoldRequest {
            hold_id: hold.to_string(),
            ..ReleaseHoldRequest::default()
        };
        let request = self.peer.request(tenant, message);
        let answer = BudgetServiceClient::new(self.peer.channel())
            .release_hold(request)
            .await;
        if let Err(status) = answer {
            tracing::warn!(%hold, status = status.message(), "a hold runs until it expires");
        }
    }
}

fn refusal(status: &tonic::Status) -> Refusal {
    let fault = Fault::from(status);
    match status.code() {
        tonic::Code::ResourceExhausted if fault.reason() == Reason::BudgetExhausted => {
            Refusal::Exhausted
        }
        tonic::Code::NotFound | tonic::Code::FailedPrecondition | tonic::Code::InvalidArgument => {
            Refusal::Impossible(fault)
        }
        _ => Refusal::Unknown(fault),
    }
}
