//! Creating budgets and reserving from them.

use chrono::{DateTime, TimeDelta, Utc};
use reeve_events::NewEvent;
use reeve_ids::{BudgetId, HoldId, TaskId};
use reeve_money::{Cost, Money};
use serde_json::json;

use super::holds::told;
use super::{Call, Context, append};
use crate::domain::budget::{Budget, BudgetScope, Hold, HoldState, MOST_LEVELS, refusing};
use crate::error::Error;
use crate::storage::budgets;

/// A budget to create.
#[derive(Debug, Clone)]
pub struct NewBudget {
    /// For people.
    pub name: String,
    /// The enclosing budget.
    pub parent_id: Option<BudgetId>,
    /// What it limits.
    pub scope: BudgetScope,
    /// Which of them.
    pub scope_id: String,
    /// The limit.
    pub limit: Money,
}

/// Money to set aside.
#[derive(Debug, Clone, Copy)]
pub struct NewHold {
    /// From which budget.
    pub budget_id: BudgetId,
    /// How much.
    pub amount: Cost,
    /// For which task.
    pub task_id: Option<TaskId>,
    /// And which attempt.
    pub attempt: i32,
    /// For how long.
    pub duration: TimeDelta,
}

impl Context {
    /// Creates a budget.
    pub async fn create_budget(&self, call: Call, new: NewBudget) -> Result<Budget, Error> {
        let (now, tenant) = (self.now(), call.tenant_id);
        let id = BudgetId::new();
        let mut tx = self.database.tenant(tenant).await?;
        if let Some(made) = self.claim(&mut tx, &call, id.uuid()).await? {
            let made = BudgetId::from_uuid(made);
            let budget = budgets::get(&mut tx, tenant, made).await?;
            return budget.ok_or_else(|| Error::not_found("budget", made));
        }
        let mut path = vec![id];
        let currency = new.limit.currency();
        if let Some(parent) = new.parent_id {
            let parent = budgets::get(&mut tx, tenant, parent)
                .await?
                .ok_or_else(|| Error::not_found("budget", parent))?;
            if parent.currency() != currency {
                let subject = format!("budget/{}", parent.id);
                return Err(Error::currencies(subject, parent.currency(), currency));
            }
            path.extend(parent.path);
        }
        if path.len() > MOST_LEVELS {
            let description = format!("must not be nested deeper than {MOST_LEVELS} levels");
            return Err(Error::Invalid {
                field: "parent_id",
                description,
            });
        }
        let budget = Budget {
            id,
            tenant_id: tenant,
            name: new.name,
            path,
            scope: new.scope,
            scope_id: new.scope_id,
            cap: new.limit.cost(),
            spent: Cost::zero(currency),
            reserved: Cost::zero(currency),
            exhaust_time: None,
            create_time: now,
        };
        let inserted = budgets::insert(&mut tx, &budget).await;
        if inserted
            .as_ref()
            .is_err_and(|error| error.violates_unique("budget_name_unique"))
        {
            return Err(Error::Exists {
                kind: "budget",
                name: budget.name,
            });
        }
        inserted?;
        let event = NewEvent::new(tenant, call.actor, now, "budget.created", ("budget", id));
        let data = json!({
            "name": budget.name, "scope": budget.scope.as_str(), "scope_id": budget.scope_id,
            "limit": budget.cap.amount(), "currency_code": currency.code(),
            "parent_id": budget.parent_id().map(|id| id.to_string()),
        });
        append(&mut tx, vec![event.with(data)]).await?;
        self.commit(tx).await?;
        Ok(budget)
    }

    /// Sets money aside in a budget and every enclosing one, or in none. A repetition answers with
    /// the hold as it is by then, which may be over.
    pub async fn reserve_budget(&self, call: Call, new: NewHold) -> Result<Hold, Error> {
        let (now, tenant) = (self.now(), call.tenant_id);
        let id = HoldId::new();
        let mut tx = self.database.tenant(tenant).await?;
        if let Some(made) = self.claim(&mut tx, &call, id.uuid()).await? {
            let made = HoldId::from_uuid(made);
            let hold = budgets::get_hold(&mut tx, tenant, made).await?;
            return hold.ok_or_else(|| Error::not_found("hold", made));
        }
        let budget = budgets::get(&mut tx, tenant, new.budget_id)
            .await?
            .ok_or_else(|| Error::not_found("budget", new.budget_id))?;
        if budget.currency() != new.amount.currency() {
            let subject = format!("budget/{}", budget.id);
            return Err(Error::currencies(
                subject,
                budget.currency(),
                new.amount.currency(),
            ));
        }
        let hold = hold_of(id, &budget, new, now);
        budgets::insert_hold(&mut tx, &hold).await?;
        append(&mut tx, vec![told(&hold, call.actor.clone(), now)]).await?;
        // The contended rows come last, so that they are locked for one statement and the commit.
        let chain = budgets::lock(&mut tx, tenant, &budget.path).await?;
        let refusal = refusing(&budget.path, &chain, new.amount).cloned();
        let granted = match refusal {
            None => budgets::reserve(&mut tx, tenant, &budget.path, new.amount).await?,
            Some(_) => 0,
        };
        if granted < budget.path.len() {
            tx.rollback().await?;
            let budget = refusal.unwrap_or(budget);
            return Err(self.exhausted(&call, budget, new.amount, now).await?);
        }
        self.commit(tx).await?;
        self.counters.holds.inc();
        Ok(hold)
    }

    /// Notes the refusal, and raises it at most once a minute.
    async fn exhausted(
        &self,
        call: &Call,
        budget: Budget,
        asked: Cost,
        now: DateTime<Utc>,
    ) -> Result<Error, Error> {
        self.counters.refusals.inc();
        let tenant = call.tenant_id;
        let mut tx = self.database.tenant(tenant).await?;
        if budgets::exhaust(&mut tx, tenant, budget.id, now).await? {
            let resource = ("budget", budget.id);
            let actor = call.actor.clone();
            let event = NewEvent::new(tenant, actor, now, "budget.exhausted", resource);
            let data = json!({
                "name": budget.name, "scope": budget.scope.as_str(), "scope_id": budget.scope_id,
                "limit": budget.cap.amount(), "spent": budget.spent.amount(),
                "reserved": budget.reserved.amount(), "asked": asked.amount(),
                "currency_code": budget.currency().code(),
            });
            append(&mut tx, vec![event.with(data)]).await?;
        }
        self.commit(tx).await?;
        Ok(Error::BudgetExhausted {
            budget: Box::new(budget),
            asked,
        })
    }
}

fn hold_of(id: HoldId, budget: &Budget, new: NewHold, now: DateTime<Utc>) -> Hold {
    Hold {
        id,
        tenant_id: budget.tenant_id,
        budget_id: budget.id,
        path: budget.path.clone(),
        task_id: new.task_id,
        attempt: new.attempt,
        amount: new.amount,
        state: HoldState::Held,
        actual: None,
        expire_time: now + new.duration,
        create_time: now,
        close_time: None,
    }
}
