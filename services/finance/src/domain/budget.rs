//! Limits on spending, and money set aside.

use chrono::{DateTime, Utc};
use reeve_ids::{BudgetId, HoldId, TaskId, TenantId};
use reeve_money::{Cost, Currency, Decimal};

use super::words;

/// How deep budgets may nest.
pub const MOST_LEVELS: usize = 8;

words! {
    /// What kind of spender a budget limits.
    BudgetScope {
        /// The tenant.
        Tenant = "TENANT",
        /// A team.
        Team = "TEAM",
        /// A project.
        Project = "PROJECT",
        /// A workflow.
        Workflow = "WORKFLOW",
        /// An agent.
        Agent = "AGENT",
        /// A task.
        Task = "TASK",
    }
}

words! {
    /// The life of a hold.
    HoldState {
        /// The money is set aside.
        Held = "HELD",
        /// The actual cost was spent.
        Committed = "COMMITTED",
        /// Given back.
        Released = "RELEASED",
        /// Nobody ended it in time.
        Expired = "EXPIRED",
    }
}

/// A limit on spending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// The budget.
    pub id: BudgetId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// For people.
    pub name: String,
    /// This one and every enclosing one, to the root.
    pub path: Vec<BudgetId>,
    /// What it limits.
    pub scope: BudgetScope,
    /// Which of them.
    pub scope_id: String,
    /// The limit.
    pub cap: Cost,
    /// Money spent.
    pub spent: Cost,
    /// Money set aside.
    pub reserved: Cost,
    /// Last refusal.
    pub exhaust_time: Option<DateTime<Utc>>,
    /// When it was created.
    pub create_time: DateTime<Utc>,
}

impl Budget {
    /// The enclosing budget.
    pub fn parent_id(&self) -> Option<BudgetId> {
        self.path.get(1).copied()
    }

    /// What may still be reserved; negative after an overrun.
    pub fn available(&self) -> Decimal {
        self.cap.decimal() - self.spent.decimal() - self.reserved.decimal()
    }

    /// The currency.
    pub fn currency(&self) -> Currency {
        self.cap.currency()
    }
}

/// The budget that refuses `amount`: of several the innermost, which its owner knows best.
/// `chain` may be in any order.
pub fn refusing<'budgets>(
    path: &[BudgetId],
    chain: &'budgets [Budget],
    amount: Cost,
) -> Option<&'budgets Budget> {
    path.iter()
        .filter_map(|id| chain.iter().find(|budget| budget.id == *id))
        .find(|budget| budget.available() < amount.decimal())
}

/// Money set aside for one attempt of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The hold.
    pub id: HoldId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The budget that it was reserved from.
    pub budget_id: BudgetId,
    /// Every budget that it counts in.
    pub path: Vec<BudgetId>,
    /// The task that it pays for.
    pub task_id: Option<TaskId>,
    /// Its attempt.
    pub attempt: i32,
    /// Money set aside.
    pub amount: Cost,
    /// Where it is in its life.
    pub state: HoldState,
    /// What was spent.
    pub actual: Option<Cost>,
    /// When it ends by itself.
    pub expire_time: DateTime<Utc>,
    /// When it was reserved.
    pub create_time: DateTime<Utc>,
    /// When it ended.
    pub close_time: Option<DateTime<Utc>>,
}

/// How the end of a hold changes every budget that it counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Movement {
    /// Added to what is reserved.
    pub reserved: Decimal,
    /// Added to what is spent.
    pub spent: Decimal,
}

/// A hold that is over and cannot end as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldClosed(pub HoldState);

impl Hold {
    /// Whether more was spent than set aside.
    pub fn overrun(&self) -> bool {
        self.actual
            .is_some_and(|actual| actual.decimal() > self.amount.decimal())
    }

    /// Ends it with what was spent. Nothing moves when the same was said before.
    ///
    /// # Errors
    /// When it was given back, or ended with another amount.
    pub fn commit(
        &mut self,
        actual: Cost,
        now: DateTime<Utc>,
    ) -> Result<Option<Movement>, HoldClosed> {
        match (self.state, self.actual) {
            (HoldState::Held, _) => {
                let movement = Movement {
                    reserved: -self.amount.decimal(),
                    spent: actual.decimal(),
                };
                (self.state, self.actual, self.close_time) =
                    (HoldState::Committed, Some(actual), Some(now));
                Ok(Some(movement))
            }
            // The money is free again, and yet it was spent: truth first.
            (HoldState::Expired, None) => {
                self.actual = Some(actual);
                Ok(Some(Movement {
                    reserved: Decimal::ZERO,
                    spent: actual.decimal(),
                }))
            }
            (HoldState::Committed | HoldState::Expired, Some(before)) if before == actual => {
                Ok(None)
            }
            (state, _) => Err(HoldClosed(state)),
        }
    }

    /// Gives it back. Nothing moves when it is free already.
    ///
    /// # Errors
    /// When something was spent on it.
    pub fn release(&mut self, now: DateTime<Utc>) -> Result<Option<Movement>, HoldClosed> {
        match (self.state, self.actual) {
            (HoldState::Held, _) => Ok(Some(self.end(HoldState::Released, now))),
            (HoldState::Released | HoldState::Expired, None) => Ok(None),
            (state, _) => Err(HoldClosed(state)),
        }
    }

    /// Ends it because nobody did in time; nothing when it is over, or not due yet.
    pub fn expire(&mut self, now: DateTime<Utc>) -> Option<Movement> {
        let due = self.state == HoldState::Held && self.expire_time <= now;
        due.then(|| self.end(HoldState::Expired, now))
    }

    fn end(&mut self, state: HoldState, now: DateTime<Utc>) -> Movement {
        (self.state, self.close_time) = (state, Some(now));
        Movement {
            reserved: -self.amount.decimal(),
            spent: Decimal::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_780_000_000, 0).unwrap()
    }

    fn cost(amount: &str) -> Cost {
        Cost::parse(amount, "USD".parse().unwrap()).unwrap()
    }

    fn hold() -> Hold {
        let budget_id = BudgetId::new();
        Hold {
            id: HoldId::new(),
            tenant_id: TenantId::new(),
            budget_id,
            path: vec![budget_id],
            task_id: None,
            attempt: 0,
            amount: cost("5"),
            state: HoldState::Held,
            actual: None,
            expire_time: now() + TimeDelta::hours(1),
            create_time: now(),
            close_time: None,
        }
    }

    fn moved(reserved: i64, spent: i64) -> Option<Movement> {
        Some(Movement {
            reserved: reserved.into(),
            spent: spent.into(),
        })
    }

    #[test]
    fn a_commit_moves_once_and_books_an_overrun() {
        let mut hold = hold();
        assert_eq!(hold.commit(cost("7"), now()), Ok(moved(-5, 7)));
        assert!(hold.overrun());
        assert_eq!(hold.commit(cost("7"), now()), Ok(None));
        assert_eq!(
            hold.commit(cost("6"), now()),
            Err(HoldClosed(HoldState::Committed))
        );
        assert_eq!(hold.release(now()), Err(HoldClosed(HoldState::Committed)));
        assert_eq!(hold.expire(now() + TimeDelta::days(1)), None);
    }

    #[test]
    fn a_release_moves_once_and_forbids_a_commit() {
        let mut hold = hold();
        assert_eq!(hold.release(now()), Ok(moved(-5, 0)));
        assert_eq!(hold.release(now()), Ok(None));
        assert_eq!(
            hold.commit(cost("1"), now()),
            Err(HoldClosed(HoldState::Released))
        );
    }

    #[test]
    fn an_expired_hold_takes_one_late_commit() {
        let mut hold = hold();
        assert_eq!(hold.expire(now()), None);
        let later = now() + TimeDelta::hours(1);
        assert_eq!(hold.expire(later), moved(-5, 0));
        assert_eq!(hold.release(later), Ok(None));
        assert_eq!(hold.commit(cost("2"), later), Ok(moved(0, 2)));
        assert_eq!(hold.state, HoldState::Expired);
        assert_eq!(hold.commit(cost("2"), later), Ok(None));
        assert_eq!(
            hold.commit(cost("3"), later),
            Err(HoldClosed(HoldState::Expired))
        );
    }

    #[test]
    fn the_innermost_budget_that_is_short_refuses() {
        let (outer_id, inner_id) = (BudgetId::new(), BudgetId::new());
        let budget = |id: BudgetId, path: Vec<BudgetId>, cap: &str| Budget {
            id,
            tenant_id: TenantId::new(),
            name: String::new(),
            path,
            scope: BudgetScope::Team,
            scope_id: String::new(),
            cap: cost(cap),
            spent: cost("1"),
            reserved: cost("2"),
            exhaust_time: None,
            create_time: now(),
        };
        let path = vec![inner_id, outer_id];
        let chain = [
            budget(outer_id, vec![outer_id], "4"),
            budget(inner_id, path.clone(), "8"),
        ];
        let name = |amount| refusing(&path, &chain, cost(amount)).map(|budget| budget.id);
        assert_eq!(name("1"), None);
        assert_eq!(name("1.0000000001"), Some(outer_id));
        assert_eq!(name("6"), Some(inner_id));
    }
}
