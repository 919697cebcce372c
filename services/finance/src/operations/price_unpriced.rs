//! Pricing, after the fact, what had no price when it was used.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use reeve_events::{Actor, NewEvent};
use reeve_ids::{BudgetId, TenantId, UsageId};
use reeve_money::Decimal;
use serde_json::json;

use super::recording::journal;
use super::{Context, SERVICE, append};
use crate::domain::budget::{Budget, Movement};
use crate::domain::pricing::price;
use crate::domain::rate_card::MeterKey;
use crate::domain::usage::{Pricing, Usage, UsageRecord};
use crate::error::Error;
use crate::storage::budgets::Movements;
use crate::storage::rows::charge_rows;
use crate::storage::{budgets, ledger, rate_cards, usage};

/// Records that one pass takes.
const BATCH: i64 = 200;
/// How long a record that could not be priced is left alone.
const PAUSE: TimeDelta = TimeDelta::seconds(10);

impl Context {
    /// Prices what rate cards stored since allow; true when there may be more.
    pub async fn price_unpriced(&self) -> Result<bool, Error> {
        let now = self.now();
        let mut tx = self.database.internal().await?;
        let mut records = usage::lock_unpriced(&mut tx, now - PAUSE, BATCH).await?;
        if records.is_empty() {
            return Ok(false);
        }
        let budget_ids: BTreeSet<BudgetId> = records
            .iter()
            .filter_map(|record| record.attribution.budget_id)
            .collect();
        let ids: Vec<_> = budget_ids.into_iter().collect();
        let found = budgets::get_many(&mut tx, &ids).await?;
        let budgets: BTreeMap<BudgetId, Budget> = found
            .into_iter()
            .map(|budget| (budget.id, budget))
            .collect();
        let mut movements = Movements::default();
        let mut journals = Vec::new();
        let mut events = Vec::new();
        for record in &mut records {
            let budget = record.attribution.budget_id.and_then(|id| budgets.get(&id));
            if !self.try_price(&mut tx, record, budget).await? {
                continue;
            }
            let cost = record.cost().map(|cost| cost.decimal()).unwrap_or_default();
            if let Some(budget) = budget {
                // In place of what it counted as until now.
                let spent = cost - record.provisional;
                movements.add(
                    &budget.path,
                    Movement {
                        reserved: Decimal::ZERO,
                        spent,
                    },
                );
            }
            journals.extend(journal(record));
            events.push(self.priced_event(record));
        }
        let ids: Vec<UsageId> = records.iter().map(|record| record.id).collect();
        usage::tried(&mut tx, &ids, now).await?;
        budgets::apply(&mut tx, &movements).await?;
        ledger::post(&mut tx, &journals, now).await?;
        append(&mut tx, events).await?;
        self.commit(tx).await?;
        Ok(i64::try_from(records.len()).is_ok_and(|count| count == BATCH))
    }

    async fn try_price(
        &self,
        tx: &mut reeve_postgres::Tx,
        record: &mut UsageRecord,
        budget: Option<&Budget>,
    ) -> Result<bool, Error> {
        let tenant: TenantId = record.tenant_id;
        let meters = meters(&record.usage);
        let time = record.use_time;
        let cards = rate_cards::candidates(tx, tenant, &meters, time, time).await?;
        let Ok(pricing) = price(&record.usage, &cards, time, budget.map(Budget::currency)) else {
            return Ok(false);
        };
        let Pricing::Priced {
            rate_card_id,
            charges,
            cost,
        } = &pricing
        else {
            return Ok(false);
        };
        usage::price(tx, tenant, record.id, *rate_card_id, *cost, self.now()).await?;
        usage::insert_charges(tx, &charge_rows(record.id, tenant, charges)).await?;
        record.pricing = pricing;
        Ok(true)
    }

    fn priced_event(&self, record: &UsageRecord) -> NewEvent {
        let cost = record.cost();
        let data = json!({
            "task_id": record.attribution.task_id.map(|id| id.to_string()),
            "agent_id": record.attribution.agent_id.map(|id| id.to_string()),
            "project_id": record.attribution.project_id.map(|id| id.to_string()),
            "attempt": record.attribution.attempt,
            "cost": cost.map(|cost| cost.amount()),
            "currency_code": cost.map(|cost| cost.currency().code()),
        });
        let actor = Actor::service(SERVICE);
        let resource = ("usage", record.id);
        NewEvent::new(
            record.tenant_id,
            actor,
            self.now(),
            "usage.recorded",
            resource,
        )
        .with(data)
    }
}

fn meters(usage: &Usage) -> BTreeSet<MeterKey> {
    usage.meters().into_iter().map(|meter| meter.key).collect()
}
