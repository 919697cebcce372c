//! `BudgetService`.

use chrono::TimeDelta;
use reeve_contracts::finance::v1::budget_service_server::BudgetService;
use reeve_contracts::finance::v1::{
    self as proto, CommitHoldRequest, CommitHoldResponse, CreateBudgetRequest,
    CreateBudgetResponse, GetBudgetRequest, GetBudgetResponse, ListBudgetsRequest,
    ListBudgetsResponse, ListHoldsRequest, ListHoldsResponse, ReleaseHoldRequest,
    ReleaseHoldResponse, ReserveBudgetRequest, ReserveBudgetResponse,
};
use reeve_ids::{HoldId, Uuid};
use reeve_money::Cost;
use reeve_postgres::page;
use reeve_runtime::answer;
use reeve_status::{Fault, Violations};
use tonic::{Request, Response};

use super::{Answer, Shared, asked, call, open, parse, render, required};
use crate::domain::budget::BudgetScope;
use crate::operations::budgets::{NewBudget, NewHold};
use crate::storage::budgets::{BudgetFilter, HoldFilter};

/// The RPCs.
pub struct BudgetApi(pub Shared);

impl BudgetApi {
    /// Full name of the service.
    pub const NAME: &'static str = "reeve.finance.v1.BudgetService";
}

#[tonic::async_trait]
impl BudgetService for BudgetApi {
    async fn create_budget(
        &self,
        request: Request<CreateBudgetRequest>,
    ) -> Answer<CreateBudgetResponse> {
        let (caller, message) = open(request)?;
        let new = parse_budget(&message)?;
        let call = call(&caller, "CreateBudget", &message.request_id, &message);
        let budget = self.0.create_budget(call, new).await.map_err(Fault::from)?;
        Ok(Response::new(CreateBudgetResponse {
            budget: Some(render::budget(&budget)),
        }))
    }

    async fn get_budget(&self, request: Request<GetBudgetRequest>) -> Answer<GetBudgetResponse> {
        let (tenant, id) = asked(request, "budget_id", |message| &message.budget_id)?;
        let budget = self.0.get_budget(tenant, id).await.map_err(Fault::from)?;
        Ok(Response::new(GetBudgetResponse {
            budget: Some(render::budget(&budget)),
        }))
    }

    async fn list_budgets(
        &self,
        request: Request<ListBudgetsRequest>,
    ) -> Answer<ListBudgetsResponse> {
        let (caller, message) = open(request)?;
        let mut v = Violations::new();
        let scope = proto::BudgetScope::try_from(message.scope).map(|scope| scope.as_str_name());
        let filter = BudgetFilter {
            parent_id: parse::optional_id(&mut v, "parent_id", &message.parent_id),
            scope: parse::filter_word(&mut v, "scope", scope, "BUDGET_SCOPE_"),
        };
        v.finish()?;
        let bound = format!("{filter:?}");
        let (page, size) = parse::page::<Uuid>(message.page_size, &message.page_token, &bound)?;
        let budgets = self.0.list_budgets(caller.tenant(), filter, page).await;
        let budgets = budgets.map_err(Fault::from)?;
        let (budgets, next) = answer::page(budgets, size, render::budget, |one| one.id.uuid());
        Ok(Response::new(ListBudgetsResponse {
            budgets,
            next_page_token: next
                .map(|key| page::encode(&key, &bound))
                .unwrap_or_default(),
        }))
    }

    async fn reserve_budget(
        &self,
        request: Request<ReserveBudgetRequest>,
    ) -> Answer<ReserveBudgetResponse> {
        let (caller, message) = open(request)?;
        let new = parse_hold(&message)?;
        let call = call(&caller, "ReserveBudget", &message.request_id, &message);
        let hold = self
            .0
            .reserve_budget(call, new)
            .await
            .map_err(Fault::from)?;
        Ok(Response::new(ReserveBudgetResponse {
            hold: Some(render::hold(&hold)),
        }))
    }

    async fn commit_hold(&self, request: Request<CommitHoldRequest>) -> Answer<CommitHoldResponse> {
        let (caller, message) = open(request)?;
        let (id, actual) = parse_commit(&message)?;
        let call = call(&caller, "CommitHold", &message.request_id, &message);
        let ended = self.0.commit_hold(call, id, actual).await;
        let hold = ended.map_err(Fault::from)?;
        Ok(Response::new(CommitHoldResponse {
            hold: Some(render::hold(&hold)),
        }))
    }

    async fn release_hold(
        &self,
        request: Request<ReleaseHoldRequest>,
    ) -> Answer<ReleaseHoldResponse> {
        let (caller, message) = open(request)?;
        let mut v = Violations::new();
        parse::request_id(&mut v, &message.request_id);
        let id = required(parse::id(&mut v, "hold_id", &message.hold_id), v)?;
        let call = call(&caller, "ReleaseHold", &message.request_id, &message);
        let hold = self.0.release_hold(call, id).await.map_err(Fault::from)?;
        Ok(Response::new(ReleaseHoldResponse {
            hold: Some(render::hold(&hold)),
        }))
    }

    async fn list_holds(&self, request: Request<ListHoldsRequest>) -> Answer<ListHoldsResponse> {
        let (caller, message) = open(request)?;
        let mut v = Violations::new();
        let state = proto::HoldState::try_from(message.state).map(|state| state.as_str_name());
        let filter = HoldFilter {
            budget_id: parse::optional_id(&mut v, "budget_id", &message.budget_id),
            task_id: parse::optional_id(&mut v, "task_id", &message.task_id),
            state: parse::filter_word(&mut v, "state", state, "HOLD_STATE_"),
        };
        v.finish()?;
        let bound = format!("{filter:?}");
        let (page, size) = parse::page::<Uuid>(message.page_size, &message.page_token, &bound)?;
        let holds = self
            .0
            .list_holds(caller.tenant(), filter, page)
            .await
            .map_err(Fault::from)?;
        let (holds, next) = answer::page(holds, size, render::hold, |hold| hold.id.uuid());
        Ok(Response::new(ListHoldsResponse {
            holds,
            next_page_token: next
                .map(|key| page::encode(&key, &bound))
                .unwrap_or_default(),
        }))
    }
}

fn parse_budget(message: &CreateBudgetRequest) -> Result<NewBudget, Fault> {
    let mut v = Violations::new();
    parse::request_id(&mut v, &message.request_id);
    let name = parse::text(&mut v, "name", &message.name, (1, 100));
    let parent_id = parse::optional_id(&mut v, "parent_id", &message.parent_id);
    let scope = proto::BudgetScope::try_from(message.scope).map(|scope| scope.as_str_name());
    let scope = parse::needed_word(
        &mut v,
        "scope",
        scope,
        "BUDGET_SCOPE_",
        BudgetScope::from_word,
    );
    let scope_id = parse::text(&mut v, "scope_id", &message.scope_id, (0, 200));
    let limit = parse::money(&mut v, "limit", message.limit.as_ref());
    let zero = limit.is_some_and(|limit| limit.minor() == 0);
    v.check(!zero, "limit.amount", "must be more than zero");
    match (scope, limit) {
        (Some(scope), Some(limit)) => {
            v.finish()?;
            Ok(NewBudget {
                name,
                parent_id,
                scope,
                scope_id,
                limit,
            })
        }
        _ => Err(v.into_fault()),
    }
}

fn parse_hold(message: &ReserveBudgetRequest) -> Result<NewHold, Fault> {
    let mut v = Violations::new();
    parse::needed_request_id(&mut v, &message.request_id);
    let budget_id = parse::id(&mut v, "budget_id", &message.budget_id);
    let amount = parse::cost(&mut v, "amount", message.amount.as_ref());
    let zero = amount.is_some_and(Cost::is_zero);
    v.check(!zero, "amount.amount", "must be more than zero");
    let task_id = parse::optional_id(&mut v, "task_id", &message.task_id);
    let right = if message.task_id.is_empty() {
        message.attempt == 0
    } else {
        message.attempt >= 1
    };
    v.check(
        right,
        "attempt",
        "must be from 1 with a task, and 0 without one",
    );
    let bounds = (TimeDelta::seconds(1), TimeDelta::days(31));
    let duration = match &message.hold_duration {
        None => Some(TimeDelta::hours(1)),
        Some(given) => parse::span(&mut v, "hold_duration", given, bounds),
    };
    match (budget_id, amount, duration) {
        (Some(budget_id), Some(amount), Some(duration)) => {
            v.finish()?;
            Ok(NewHold {
                budget_id,
                amount,
                task_id,
                attempt: message.attempt,
                duration,
            })
        }
        _ => Err(v.into_fault()),
    }
}

fn parse_commit(message: &CommitHoldRequest) -> Result<(HoldId, Cost), Fault> {
    let mut v = Violations::new();
    parse::request_id(&mut v, &message.request_id);
    let id = parse::id(&mut v, "hold_id", &message.hold_id);
    let actual = parse::cost(&mut v, "actual", message.actual.as_ref());
    match (id, actual) {
        (Some(id), Some(actual)) => v.finish().map(|()| (id, actual)),
        _ => Err(v.into_fault()),
    }
}
