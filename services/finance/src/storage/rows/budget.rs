use chrono::{DateTime, Utc};
use reeve_ids::{BudgetId, HoldId, TaskId, TenantId, Uuid};
use reeve_money::{Cost, Decimal};
use serde::Serialize;
use sqlx::FromRow;

use super::{Result, cost, currency, word};
use crate::domain::budget::{Budget, BudgetScope, Hold, HoldState};

/// A row of budget.
#[derive(Debug, Clone, FromRow, Serialize)]
#[allow(missing_docs)]
pub struct BudgetRow {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub name: String,
    pub parent_id: Option<Uuid>,
    pub path: Vec<Uuid>,
    pub scope: String,
    pub scope_id: String,
    pub currency: String,
    pub cap: Decimal,
    pub spent: Decimal,
    pub reserved: Decimal,
    pub exhaust_time: Option<DateTime<Utc>>,
    pub create_time: DateTime<Utc>,
}

/// A row of hold.
#[derive(Debug, Clone, FromRow, Serialize)]
#[allow(missing_docs)]
pub struct HoldRow {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub budget_id: Uuid,
    pub path: Vec<Uuid>,
    pub task_id: Option<Uuid>,
    pub attempt: i32,
    pub currency: String,
    pub amount: Decimal,
    pub state: String,
    pub actual: Option<Decimal>,
    pub expire_time: DateTime<Utc>,
    pub create_time: DateTime<Utc>,
    pub close_time: Option<DateTime<Utc>>,
}

impl From<&Budget> for BudgetRow {
    fn from(budget: &Budget) -> Self {
        Self {
            id: budget.id.uuid(),
            tenant_id: budget.tenant_id.uuid(),
            name: budget.name.clone(),
            parent_id: budget.parent_id().map(BudgetId::uuid),
            path: budget.path.iter().map(|id| id.uuid()).collect(),
            scope: budget.scope.as_str().to_owned(),
            scope_id: budget.scope_id.clone(),
            currency: budget.currency().code().to_owned(),
            cap: budget.cap.decimal(),
            spent: budget.spent.decimal(),
            reserved: budget.reserved.decimal(),
            exhaust_time: budget.exhaust_time,
            create_time: budget.create_time,
        }
    }
}

impl BudgetRow {
    /// The budget.
    pub fn budget(self) -> Result<Budget> {
        let currency = currency("budget", &self.currency)?;
        let amount = |amount| cost("budget", amount, currency);
        Ok(Budget {
            id: BudgetId::from_uuid(self.id),
            tenant_id: TenantId::from_uuid(self.tenant_id),
            name: self.name,
            path: self.path.into_iter().map(BudgetId::from_uuid).collect(),
            scope: word("budget", BudgetScope::from_word, &self.scope)?,
            scope_id: self.scope_id,
            cap: amount(self.cap)?,
            spent: amount(self.spent)?,
            reserved: amount(self.reserved)?,
            exhaust_time: self.exhaust_time,
            create_time: self.create_time,
        })
    }
}

impl From<&Hold> for HoldRow {
    fn from(hold: &Hold) -> Self {
        Self {
            id: hold.id.uuid(),
            tenant_id: hold.tenant_id.uuid(),
            budget_id: hold.budget_id.uuid(),
            path: hold.path.iter().map(|id| id.uuid()).collect(),
            task_id: hold.task_id.map(TaskId::uuid),
            attempt: hold.attempt,
            currency: hold.amount.currency().code().to_owned(),
            amount: hold.amount.decimal(),
            state: hold.state.as_str().to_owned(),
            actual: hold.actual.map(Cost::decimal),
            expire_time: hold.expire_time,
            create_time: hold.create_time,
            close_time: hold.close_time,
        }
    }
}

impl HoldRow {
    /// The hold.
    pub fn hold(self) -> Result<Hold> {
        let currency = currency("hold", &self.currency)?;
        Ok(Hold {
            id: HoldId::from_uuid(self.id),
            tenant_id: TenantId::from_uuid(self.tenant_id),
            budget_id: BudgetId::from_uuid(self.budget_id),
            path: self.path.into_iter().map(BudgetId::from_uuid).collect(),
            task_id: self.task_id.map(TaskId::from_uuid),
            attempt: self.attempt,
            amount: cost("hold", self.amount, currency)?,
            state: word("hold", HoldState::from_word, &self.state)?,
            actual: self
                .actual
                .map(|actual| cost("hold", actual, currency))
                .transpose()?,
            expire_time: self.expire_time,
            create_time: self.create_time,
            close_time: self.close_time,
        })
    }
}
