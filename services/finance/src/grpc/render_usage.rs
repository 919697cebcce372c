//! Writing rate cards and usage.

use reeve_contracts::finance::v1 as proto;
use reeve_money::{Currency, format_decimal};

use super::render::{cost, id, number, sum, time};
use crate::domain::pricing::Charge;
use crate::domain::rate_card::{MeterKey, RateCard, UnitPrice};
use crate::domain::usage::{
    CACHED_INPUT_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS, Pricing, Usage, UsageRecord,
};
use crate::storage::rows::SummaryRow;

/// A price in a currency that the reader knows.
pub fn unit_price(price: UnitPrice, currency: Currency) -> proto::UnitPrice {
    proto::UnitPrice {
        amount: format_decimal(price.amount, currency.exponent()),
        per_units: price.per_units,
    }
}

/// A price list.
pub fn rate_card(card: &RateCard) -> proto::RateCard {
    let of = |key: &MeterKey, meter: &str| {
        let key = MeterKey::model(&key.provider, &key.model, meter);
        card.prices
            .get(&key)
            .map(|price| unit_price(*price, card.currency))
    };
    let models = card
        .prices
        .keys()
        .filter(|key| key.is_model() && key.meter == INPUT_TOKENS);
    let resources = card.prices.iter().filter(|(key, _)| !key.is_model());
    proto::RateCard {
        id: card.id.to_string(),
        name: card.name.clone(),
        version: card.version,
        currency_code: card.currency.code().to_owned(),
        model_prices: models
            .map(|key| proto::ModelPrice {
                provider: key.provider.clone(),
                model: key.model.clone(),
                input: of(key, INPUT_TOKENS),
                cached_input: of(key, CACHED_INPUT_TOKENS),
                output: of(key, OUTPUT_TOKENS),
            })
            .collect(),
        resource_prices: resources
            .map(|(key, price)| proto::ResourcePrice {
                resource: key.meter.clone(),
                unit_price: Some(unit_price(*price, card.currency)),
            })
            .collect(),
        valid_from_time: time(Some(card.valid_from)),
        valid_to_time: time(card.valid_to),
        description: card.description.clone(),
        create_time: time(Some(card.create_time)),
    }
}

/// A record.
pub fn record(record: &UsageRecord) -> proto::UsageRecord {
    let whose = &record.attribution;
    let (card, charges, missing): (_, &[Charge], &[MeterKey]) = match &record.pricing {
        Pricing::Priced {
            rate_card_id,
            charges,
            ..
        } => (Some(rate_card_id), charges, &[]),
        Pricing::Unpriced { missing } => (None, &[], missing),
    };
    let status = record.status().as_str();
    let outcome = record.outcome.as_str();
    proto::UsageRecord {
        id: record.id.to_string(),
        task_id: id(whose.task_id),
        attempt: whose.attempt,
        line: record.line,
        agent_id: id(whose.agent_id),
        project_id: id(whose.project_id),
        execution_id: id(whose.execution_id),
        budget_id: id(whose.budget_id),
        usage: Some(usage(&record.usage)),
        status: number(proto::UsageStatus::from_str_name, "USAGE_STATUS_", status),
        outcome: number(
            proto::UsageOutcome::from_str_name,
            "USAGE_OUTCOME_",
            outcome,
        ),
        rate_card_id: id(card),
        charges: charges.iter().map(charge).collect(),
        cost: record.cost().map(cost),
        missing_prices: missing.iter().map(ToString::to_string).collect(),
        use_time: time(Some(record.use_time)),
        create_time: time(Some(record.create_time)),
        invoice_id: id(record.invoice_id),
    }
}

fn usage(usage: &Usage) -> proto::Usage {
    let quantities = usage
        .quantities
        .iter()
        .map(|(resource, amount)| proto::Quantity {
            resource: resource.clone(),
            amount: format_decimal(*amount, 0),
        });
    proto::Usage {
        provider: usage.provider.clone(),
        model: usage.model.clone(),
        input_tokens: usage.input_tokens,
        cached_input_tokens: usage.cached_input_tokens,
        output_tokens: usage.output_tokens,
        duration: Some(reeve_wellknown::duration(usage.busy)),
        quantities: quantities.collect(),
    }
}

fn charge(charge: &Charge) -> proto::UsageCharge {
    proto::UsageCharge {
        meter: charge.key.meter.clone(),
        quantity: format_decimal(charge.quantity, 0),
        unit_price: Some(unit_price(charge.price, charge.cost.currency())),
        cost: Some(cost(charge.cost)),
    }
}

/// A sum of costs. A currency that is none any more would show as no cost.
pub fn summary_row(row: &SummaryRow) -> proto::CostSummaryRow {
    let busy = chrono::TimeDelta::microseconds(row.busy_micros);
    proto::CostSummaryRow {
        key: row.key.clone(),
        cost: total(row),
        record_count: row.record_count,
        unpriced_count: row.unpriced_count,
        input_tokens: row.input_tokens,
        output_tokens: row.output_tokens,
        busy_duration: Some(reeve_wellknown::duration(busy)),
    }
}

/// The sum of a row, if it has a currency.
pub fn total(row: &SummaryRow) -> Option<reeve_contracts::r#type::v1::Money> {
    let currency: Currency = row.currency.as_deref()?.parse().ok()?;
    Some(sum(row.cost?, currency))
}
