//! Pricing, after the fact, what had no price when it was used.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use reeve_events::{Actor, NewEvent};
use reeve_ids::{BudgetId, TenantId};
use reeve_money::Decimal;
use reeve_postgres::Tx;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use super::recording::journal;
use super::{Context, SERVICE};
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
    /// Prices what rate cards stored since allow; true when there may be more. The pass is one for
    /// all tenants: a record that cannot be priced is tried again with the next card, and does not
    /// stop the others.
    pub async fn price_unpriced(&self) -> Result<bool, Error> {
        let now = self.now();
        let mut tx = self.database.internal().await?;
        let records = usage::lock_unpriced(&mut tx, now - PAUSE, BATCH).await?;
        if records.is_empty() {
            return Ok(false);
        }
        match self.try_all(&mut tx, records.clone()).await {
            Err(error) if !error.is_passing() => {
                for record in &records {
                    self.try_alone(&mut tx, record).await?;
                }
            }
            done => done?,
        }
        usage::tried(&mut tx, &records, now).await?;
        self.commit(tx).await?;
        Ok(i64::try_from(records.len()).is_ok_and(|count| count == BATCH))
    }

    async fn try_alone(&self, tx: &mut Tx, record: &UsageRecord) -> Result<(), Error> {
        match self.try_all(tx, vec![record.clone()]).await {
            Err(error) if !error.is_passing() => {
                tracing::error!(usage = %record.id, tenant = %record.tenant_id, ?error,
                    "usage cannot be priced");
                self.counters.set_aside.inc();
                Ok(())
            }
            done => done,
        }
    }

    /// Prices those of the records that it can, or leaves the transaction as it was.
    async fn try_all(&self, tx: &mut Tx, records: Vec<UsageRecord>) -> Result<(), Error> {
        let mut savepoint = tx.begin().await?;
        match self.price_records(&mut savepoint, records).await {
            Ok(()) => Ok(savepoint.commit().await?),
            Err(error) => {
                savepoint.rollback().await?;
                Err(error)
            }
        }
    }

    async fn price_records(
        &self,
        connection: &mut PgConnection,
        mut records: Vec<UsageRecord>,
    ) -> Result<(), Error> {
        let now = self.now();
        let budget_ids = records
            .iter()
            .filter_map(|record| Some((record.tenant_id, record.attribution.budget_id?)));
        let found = budgets::get_many(connection, &budget_ids.collect()).await?;
        let budgets: BTreeMap<(TenantId, BudgetId), Budget> = found
            .into_iter()
            .map(|budget| ((budget.tenant_id, budget.id), budget))
            .collect();
        let mut movements = Movements::default();
        let mut journals = Vec::new();
        let mut events = Vec::new();
        for record in &mut records {
            let budget_id = record.attribution.budget_id;
            let budget = budget_id.and_then(|id| budgets.get(&(record.tenant_id, id)));
            if !self.try_price(connection, record, budget).await? {
                continue;
            }
            let cost = record.cost().map(|cost| cost.decimal()).unwrap_or_default();
            if let Some(budget) = budget {
                // In place of what it counted as until now.
                let movement = Movement {
                    reserved: Decimal::ZERO,
                    spent: cost - record.provisional,
                };
                movements.add(record.tenant_id, &budget.path, movement);
            }
            journals.extend(journal(record));
            events.push(self.priced_event(record));
        }
        budgets::apply(connection, &movements).await?;
        ledger::post(connection, &journals, now).await?;
        Ok(reeve_events::append(connection, SERVICE, events).await?)
    }

    async fn try_price(
        &self,
        connection: &mut PgConnection,
        record: &mut UsageRecord,
        budget: Option<&Budget>,
    ) -> Result<bool, Error> {
        let tenant: TenantId = record.tenant_id;
        let meters = meters(&record.usage);
        let time = record.use_time;
        let cards = rate_cards::candidates(connection, tenant, &meters, time, time).await?;
        let line = std::slice::from_ref(&record.usage);
        let pricing = price(line, &cards, time, budget.map(Budget::currency)).pop();
        let Some(Ok(pricing)) = pricing else {
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
        usage::price(
            connection,
            tenant,
            record.id,
            *rate_card_id,
            *cost,
            self.now(),
        )
        .await?;
        usage::insert_charges(connection, &charge_rows(record.id, tenant, charges)).await?;
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
