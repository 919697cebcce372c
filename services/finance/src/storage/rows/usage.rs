use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::{
    AgentId, BudgetId, ExecutionId, InvoiceId, ProjectId, RateCardId, TaskId, TenantId, UsageId,
    Uuid,
};
use reeve_money::{Currency, Decimal};
use serde::Serialize;
use sqlx::FromRow;
use sqlx::types::Json;

use super::{Result, corrupt, cost, currency, word};
use crate::domain::billing::{ChargeGroup, TimeEntry};
use crate::domain::pricing::Charge;
use crate::domain::rate_card::{MeterKey, UnitPrice};
use crate::domain::usage::{Attribution, Outcome, Pricing, Usage, UsageRecord, UsageStatus};

const TABLE: &str = "usage_record";

/// A row of usage_record.
#[derive(Debug, Clone, FromRow, Serialize)]
#[allow(missing_docs)]
pub struct UsageRow {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub source: String,
    pub line: i32,
    pub task_id: Option<Uuid>,
    pub attempt: i32,
    pub agent_id: Option<Uuid>,
    pub project_id: Option<Uuid>,
    pub execution_id: Option<Uuid>,
    pub budget_id: Option<Uuid>,
    pub provider: String,
    pub model: String,
    pub input_tokens: i64,
    pub cached_input_tokens: i64,
    pub output_tokens: i64,
    pub busy_micros: i64,
    pub quantities: Json<BTreeMap<String, Decimal>>,
    pub status: String,
    pub outcome: String,
    pub rate_card_id: Option<Uuid>,
    pub currency: Option<String>,
    pub cost: Option<Decimal>,
    pub missing_prices: Vec<String>,
    pub provisional: Decimal,
    pub use_time: DateTime<Utc>,
    pub create_time: DateTime<Utc>,
    pub price_time: DateTime<Utc>,
    pub invoice_id: Option<Uuid>,
}

/// A row of usage_charge.
#[derive(Debug, Clone, FromRow, Serialize)]
#[allow(missing_docs)]
pub struct ChargeRow {
    pub usage_id: Uuid,
    pub tenant_id: Uuid,
    pub line: i32,
    pub provider: String,
    pub model: String,
    pub meter: String,
    pub quantity: Decimal,
    pub amount: Decimal,
    pub per_units: i64,
    pub cost: Decimal,
}

/// Charges of one meter at one price, added up.
#[derive(Debug, Clone, FromRow)]
#[allow(missing_docs)]
pub struct ChargeGroupRow {
    pub provider: String,
    pub model: String,
    pub meter: String,
    pub amount: Decimal,
    pub per_units: i64,
    pub quantity: Decimal,
    pub cost: Decimal,
}

/// A row of time_entry.
#[derive(Debug, Clone, FromRow, Serialize)]
#[allow(missing_docs)]
pub struct TimeRow {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub agent_id: Uuid,
    pub task_id: Uuid,
    pub attempt: i32,
    pub task_type: String,
    pub project_id: Option<Uuid>,
    pub start_time: DateTime<Utc>,
    pub end_time: DateTime<Utc>,
    pub billable: bool,
    pub create_time: DateTime<Utc>,
    pub invoice_id: Option<Uuid>,
}

/// Costs of one value of a dimension in one currency.
#[derive(Debug, Clone, FromRow)]
#[allow(missing_docs)]
pub struct SummaryRow {
    pub key: String,
    pub currency: Option<String>,
    pub cost: Option<Decimal>,
    pub record_count: i64,
    pub unpriced_count: i64,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub busy_micros: i64,
}

impl UsageRow {
    /// The rows of a record.
    pub fn of(record: &UsageRecord) -> (Self, Vec<ChargeRow>) {
        let (rate_card_id, charges, missing): (_, &[Charge], &[MeterKey]) = match &record.pricing {
            Pricing::Priced {
                rate_card_id,
                charges,
                ..
            } => (Some(rate_card_id.uuid()), charges, &[]),
            Pricing::Unpriced { missing } => (None, &[], missing),
        };
        let (usage, whose) = (&record.usage, &record.attribution);
        let cost = record.cost();
        let row = Self {
            id: record.id.uuid(),
            tenant_id: record.tenant_id.uuid(),
            source: record.source.clone(),
            line: record.line,
            task_id: whose.task_id.map(TaskId::uuid),
            attempt: whose.attempt,
            agent_id: whose.agent_id.map(AgentId::uuid),
            project_id: whose.project_id.map(ProjectId::uuid),
            execution_id: whose.execution_id.map(ExecutionId::uuid),
            budget_id: whose.budget_id.map(BudgetId::uuid),
            provider: usage.provider.clone(),
            model: usage.model.clone(),
            input_tokens: usage.input_tokens,
            cached_input_tokens: usage.cached_input_tokens,
            output_tokens: usage.output_tokens,
            busy_micros: usage.busy_micros(),
            quantities: Json(usage.quantities.iter().cloned().collect()),
            status: record.status().as_str().to_owned(),
            outcome: record.outcome.as_str().to_owned(),
            rate_card_id,
            currency: cost.map(|cost| cost.currency().code().to_owned()),
            cost: cost.map(|cost| cost.decimal()),
            missing_prices: missing.iter().map(ToString::to_string).collect(),
            provisional: record.provisional,
            use_time: record.use_time,
            create_time: record.create_time,
            price_time: record.create_time,
            invoice_id: record.invoice_id.map(InvoiceId::uuid),
        };
        (row, charge_rows(record.id, record.tenant_id, charges))
    }

    /// The record with these charges.
    pub fn record(self, charges: Vec<ChargeRow>) -> Result<UsageRecord> {
        let pricing = match word(TABLE, UsageStatus::from_word, &self.status)? {
            UsageStatus::Unpriced => {
                let keys = self.missing_prices.iter().map(|text| meter_key(text));
                Pricing::Unpriced {
                    missing: keys.collect(),
                }
            }
            UsageStatus::Priced => {
                let missing = || corrupt(TABLE, format!("{} is priced without a cost", self.id));
                let code = self.currency.as_deref().ok_or_else(missing)?;
                let currency = currency(TABLE, code)?;
                let charges = charges.into_iter().map(|row| row.charge(currency));
                Pricing::Priced {
                    rate_card_id: self
                        .rate_card_id
                        .map(RateCardId::from_uuid)
                        .ok_or_else(missing)?,
                    charges: charges.collect::<Result<_>>()?,
                    cost: cost(TABLE, self.cost.ok_or_else(missing)?, currency)?,
                }
            }
        };
        Ok(UsageRecord {
            id: UsageId::from_uuid(self.id),
            tenant_id: TenantId::from_uuid(self.tenant_id),
            source: self.source,
            line: self.line,
            attribution: Attribution {
                task_id: self.task_id.map(TaskId::from_uuid),
                attempt: self.attempt,
                agent_id: self.agent_id.map(AgentId::from_uuid),
                project_id: self.project_id.map(ProjectId::from_uuid),
                execution_id: self.execution_id.map(ExecutionId::from_uuid),
                budget_id: self.budget_id.map(BudgetId::from_uuid),
            },
            usage: Usage {
                provider: self.provider,
                model: self.model,
                input_tokens: self.input_tokens,
                cached_input_tokens: self.cached_input_tokens,
                output_tokens: self.output_tokens,
                busy: TimeDelta::microseconds(self.busy_micros),
                quantities: self.quantities.0.into_iter().collect(),
            },
            outcome: word(TABLE, Outcome::from_word, &self.outcome)?,
            pricing,
            provisional: self.provisional,
            use_time: self.use_time,
            create_time: self.create_time,
            invoice_id: self.invoice_id.map(InvoiceId::from_uuid),
        })
    }
}

/// The rows of a record's charges.
pub fn charge_rows(id: UsageId, tenant: TenantId, charges: &[Charge]) -> Vec<ChargeRow> {
    (0..)
        .zip(charges)
        .map(|(line, charge)| ChargeRow {
            usage_id: id.uuid(),
            tenant_id: tenant.uuid(),
            line,
            provider: charge.key.provider.clone(),
            model: charge.key.model.clone(),
            meter: charge.key.meter.clone(),
            quantity: charge.quantity,
            amount: charge.price.amount,
            per_units: charge.price.per_units,
            cost: charge.cost.decimal(),
        })
        .collect()
}

impl ChargeRow {
    fn charge(self, currency: Currency) -> Result<Charge> {
        Ok(Charge {
            key: MeterKey {
                provider: self.provider,
                model: self.model,
                meter: self.meter,
            },
            quantity: self.quantity.normalize(),
            price: UnitPrice {
                amount: self.amount.normalize(),
                per_units: self.per_units,
            },
            cost: cost("usage_charge", self.cost, currency)?,
        })
    }
}

impl ChargeGroupRow {
    /// The group in the currency that its records share.
    pub fn group(self, currency: Currency) -> Result<ChargeGroup> {
        Ok(ChargeGroup {
            key: MeterKey {
                provider: self.provider,
                model: self.model,
                meter: self.meter,
            },
            price: UnitPrice {
                amount: self.amount.normalize(),
                per_units: self.per_units,
            },
            quantity: self.quantity.normalize(),
            cost: cost("usage_charge", self.cost, currency)?,
        })
    }
}

impl TimeRow {
    /// The entry.
    pub fn entry(self) -> TimeEntry {
        TimeEntry {
            id: self.id,
            agent_id: AgentId::from_uuid(self.agent_id),
            task_id: TaskId::from_uuid(self.task_id),
            attempt: self.attempt,
            task_type: self.task_type,
            project_id: self.project_id.map(ProjectId::from_uuid),
            start_time: self.start_time,
            end_time: self.end_time,
            billable: self.billable,
            invoice_id: self.invoice_id.map(InvoiceId::from_uuid),
        }
    }

    /// The row of an entry that no invoice bills.
    pub fn of(tenant: TenantId, entry: &TimeEntry, now: DateTime<Utc>) -> Self {
        Self {
            id: entry.id,
            tenant_id: tenant.uuid(),
            agent_id: entry.agent_id.uuid(),
            task_id: entry.task_id.uuid(),
            attempt: entry.attempt,
            task_type: entry.task_type.clone(),
            project_id: entry.project_id.map(ProjectId::uuid),
            start_time: entry.start_time,
            end_time: entry.end_time,
            billable: entry.billable,
            create_time: now,
            invoice_id: None,
        }
    }
}

/// Reads what Display wrote: "provider/model meter", or a resource's name.
fn meter_key(text: &str) -> MeterKey {
    let Some((label, meter)) = text.rsplit_once(' ') else {
        return MeterKey::resource(text);
    };
    let (provider, model) = label.split_once('/').unwrap_or(("", label));
    MeterKey::model(provider, model, meter)
}
