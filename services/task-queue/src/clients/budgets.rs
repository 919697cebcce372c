//! finance: money before work.

use chrono::TimeDelta;
use reeve_contracts::finance::v1::budget_service_client::BudgetServiceClient;
use reeve_contracts::finance::v1::{ReleaseHoldRequest, ReserveBudgetRequest};
use reeve_contracts::r#type::v1::Money;
use reeve_ids::{HoldId, TaskId, TenantId};
use reeve_runtime::Peer;
use reeve_status::{Fault, Reason};

use crate::domain::Budget;

/// Why there is no hold.
#[derive(Debug)]
pub enum Refusal {
    /// The budget does not allow it now.
    Exhausted,
    /// It never will: no such budget, or another currency.
    Impossible(Fault),
    /// Nobody knows now.
    Unknown(Fault),
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

    /// Sets money aside for one attempt. Repeating it for the same attempt gives the same hold.
    ///
    /// # Errors
    /// When the budget refuses or finance is away.
    pub async fn reserve(
        &self,
        (tenant, task): (TenantId, TaskId),
        attempt: i32,
        budget: &Budget,
        traceparent: &str,
    ) -> Result<HoldId, Refusal> {
        let message = ReserveBudgetRequest {
            request_id: format!("{task}/{attempt}"),
            budget_id: budget.id.to_string(),
            amount: Some(Money {
                amount: budget.amount.clone(),
                currency_code: budget.currency.clone(),
            }),
            task_id: task.to_string(),
            attempt,
            hold_duration: Some(reeve_wellknown::duration(self.hold_duration)),
        };
        let traceparent = (!traceparent.is_empty()).then_some(traceparent);
        let request = self.peer.request_in(tenant, traceparent, message);
        let answer = BudgetServiceClient::new(self.peer.channel())
            .reserve_budget(request)
            .await;
        let hold = answer.map_err(|status| refusal(&status))?.into_inner().hold;
        let id = hold.and_then(|hold| hold.id.parse().ok());
        id.ok_or_else(|| Refusal::Unknown(Fault::internal()))
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
