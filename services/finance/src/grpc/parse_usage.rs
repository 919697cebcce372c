//! Reading rate cards and usage.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use reeve_contracts::finance::v1 as proto;
use reeve_money::Decimal;
use reeve_status::{Fault, Violations};

use super::parse;
use super::required;
use crate::domain::GREATEST;
use crate::domain::rate_card::{MeterKey, UnitPrice};
use crate::domain::usage::{
    Attribution, CACHED_INPUT_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS, Usage, is_reserved,
};
use crate::operations::rate_cards::NewRateCard;
use crate::operations::report_usage::NewUsage;
use crate::storage::usage::UsageFilter;

const TOKENS: [&str; 3] = [INPUT_TOKENS, CACHED_INPUT_TOKENS, OUTPUT_TOKENS];

/// A price list to store.
pub fn rate_card(
    message: &proto::CreateRateCardRequest,
    now: DateTime<Utc>,
) -> Result<NewRateCard, Fault> {
    let mut v = Violations::new();
    parse::request_id(&mut v, &message.request_id);
    let name = parse::text(&mut v, "name", &message.name, (1, 100));
    let currency = parse::currency(&mut v, "currency_code", &message.currency_code);
    v.check(
        message.model_prices.len() <= 500,
        "model_prices",
        "must be at most 500",
    );
    v.check(
        message.resource_prices.len() <= 500,
        "resource_prices",
        "must be at most 500",
    );
    let some = !message.model_prices.is_empty() || !message.resource_prices.is_empty();
    v.check(some, "model_prices", "one price of either kind is needed");
    let mut prices = BTreeMap::new();
    for (at, price) in message.model_prices.iter().enumerate().take(500) {
        v.within(format!("model_prices[{at}]"), |v| {
            model_price(v, price, &mut prices)
        });
    }
    for (at, price) in message.resource_prices.iter().enumerate().take(500) {
        v.within(format!("resource_prices[{at}]"), |v| {
            resource_price(v, price, &mut prices)
        });
    }
    let valid_from = parse::time(&mut v, "valid_from_time", message.valid_from_time.as_ref());
    let valid_from = valid_from.unwrap_or(now);
    let valid_to = parse::time(&mut v, "valid_to_time", message.valid_to_time.as_ref());
    v.check(
        valid_to.is_none_or(|end| end > valid_from),
        "valid_to_time",
        "must be after valid_from_time, or after now when that is unset",
    );
    let description = parse::text(&mut v, "description", &message.description, (0, 1000));
    let currency = required(currency, v)?;
    Ok(NewRateCard {
        name,
        currency,
        prices,
        valid_from,
        valid_to,
        description,
    })
}

fn model_price(
    v: &mut Violations,
    price: &proto::ModelPrice,
    prices: &mut BTreeMap<MeterKey, UnitPrice>,
) {
    let provider = parse::text(v, "provider", &price.provider, (1, 100));
    let model = parse::text(v, "model", &price.model, (1, 200));
    let input = needed_unit_price(v, "input", price.input.as_ref());
    let output = needed_unit_price(v, "output", price.output.as_ref());
    let cached = match &price.cached_input {
        None => input,
        given => needed_unit_price(v, "cached_input", given.as_ref()),
    };
    let meters = [
        (INPUT_TOKENS, input),
        (CACHED_INPUT_TOKENS, cached),
        (OUTPUT_TOKENS, output),
    ];
    let twice = prices.contains_key(&MeterKey::model(&provider, &model, INPUT_TOKENS));
    v.check(!twice, "model", "must be priced once");
    for (meter, price) in meters {
        if let Some(price) = price {
            prices.insert(MeterKey::model(&provider, &model, meter), price);
        }
    }
}

fn resource_price(
    v: &mut Violations,
    price: &proto::ResourcePrice,
    prices: &mut BTreeMap<MeterKey, UnitPrice>,
) {
    let name = parse::resource_name(v, "resource", &price.resource);
    v.check(
        !TOKENS.contains(&name.as_str()),
        "resource",
        "tokens are priced by model",
    );
    let unit_price = needed_unit_price(v, "unit_price", price.unit_price.as_ref());
    let key = MeterKey::resource(&name);
    v.check(
        !prices.contains_key(&key),
        "resource",
        "must be priced once",
    );
    if let Some(unit_price) = unit_price {
        prices.insert(key, unit_price);
    }
}

/// A price that must be there.
pub fn needed_unit_price(
    v: &mut Violations,
    field: &str,
    price: Option<&proto::UnitPrice>,
) -> Option<UnitPrice> {
    let Some(price) = price else {
        v.add(field, "is required");
        return None;
    };
    let amount = parse::amount(v, &format!("{field}.amount"), &price.amount);
    let per_units = if price.per_units == 0 {
        1
    } else {
        price.per_units
    };
    v.check(
        (1..=1_000_000_000).contains(&per_units),
        format!("{field}.per_units"),
        "must be from 1 to 1000000000, or 0 for 1",
    );
    Some(UnitPrice {
        amount: amount?,
        per_units,
    })
}

/// Usage to record.
pub fn report(message: &proto::ReportUsageRequest, now: DateTime<Utc>) -> Result<NewUsage, Fault> {
    let mut v = Violations::new();
    parse::request_id(&mut v, &message.request_id);
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
    let attribution = Attribution {
        task_id,
        attempt: message.attempt,
        agent_id: parse::optional_id(&mut v, "agent_id", &message.agent_id),
        project_id: parse::optional_id(&mut v, "project_id", &message.project_id),
        execution_id: parse::optional_id(&mut v, "execution_id", &message.execution_id),
        budget_id: parse::optional_id(&mut v, "budget_id", &message.budget_id),
    };
    let count = message.usages.len();
    v.check(
        (1..=100).contains(&count),
        "usages",
        "must be 1 to 100 lines",
    );
    let mut usages = Vec::with_capacity(count.min(100));
    for (at, line) in message.usages.iter().enumerate().take(100) {
        usages.push(v.within(format!("usages[{at}]"), |v| usage(v, line)));
    }
    let use_time = parse::past_time(&mut v, "use_time", message.use_time.as_ref(), now);
    v.finish()?;
    Ok(NewUsage {
        attribution,
        usages,
        use_time,
    })
}

fn usage(v: &mut Violations, line: &proto::Usage) -> Usage {
    let tokens = [
        ("input_tokens", line.input_tokens),
        ("cached_input_tokens", line.cached_input_tokens),
        ("output_tokens", line.output_tokens),
    ];
    for (field, count) in tokens {
        let right = (0..=GREATEST).contains(&count);
        v.check(right, field, format!("must be from 0 to {GREATEST}"));
    }
    let least = usize::from(tokens.iter().any(|(_, count)| *count > 0));
    let provider = parse::text(v, "provider", &line.provider, (least, 100));
    let model = parse::text(v, "model", &line.model, (least, 200));
    let bounds = (TimeDelta::zero(), TimeDelta::days(366));
    let busy = line
        .duration
        .as_ref()
        .and_then(|busy| parse::span(v, "duration", busy, bounds));
    let usage = Usage {
        provider,
        model,
        input_tokens: line.input_tokens,
        cached_input_tokens: line.cached_input_tokens,
        output_tokens: line.output_tokens,
        busy: busy.unwrap_or_default(),
        quantities: quantities(v, &line.quantities),
    };
    let nothing = v.is_empty() && usage.meters().is_empty();
    v.check(
        !nothing,
        "input_tokens",
        "something must have been consumed",
    );
    usage
}

fn quantities(v: &mut Violations, given: &[proto::Quantity]) -> Vec<(String, Decimal)> {
    v.check(given.len() <= 50, "quantities", "must be at most 50");
    let mut quantities = BTreeMap::new();
    for (at, one) in given.iter().enumerate().take(50) {
        v.within(format!("quantities[{at}]"), |v| {
            let name = parse::resource_name(v, "resource", &one.resource);
            v.check(!is_reserved(&name), "resource", "has a field of its own");
            let amount = parse::amount(v, "amount", &one.amount).unwrap_or_default();
            let before = quantities.insert(name, amount);
            v.check(before.is_none(), "resource", "must be named once");
        });
    }
    quantities.into_iter().collect()
}

/// Which records to list.
pub fn list_filter(message: &proto::ListUsageRequest) -> Result<UsageFilter, Fault> {
    let mut v = Violations::new();
    let status = proto::UsageStatus::try_from(message.status).map(|status| status.as_str_name());
    let filter = UsageFilter {
        task_id: parse::optional_id(&mut v, "task_id", &message.task_id),
        agent_id: parse::optional_id(&mut v, "agent_id", &message.agent_id),
        project_id: parse::optional_id(&mut v, "project_id", &message.project_id),
        execution_id: parse::optional_id(&mut v, "execution_id", &message.execution_id),
        status: parse::filter_word(&mut v, "status", status, "USAGE_STATUS_"),
        start_time: parse::time(&mut v, "start_time", message.start_time.as_ref()),
        end_time: parse::time(&mut v, "end_time", message.end_time.as_ref()),
    };
    v.finish()?;
    Ok(filter)
}

/// What to add up.
pub fn summary(
    message: &proto::GetCostSummaryRequest,
) -> Result<(&'static str, UsageFilter), Fault> {
    let mut v = Violations::new();
    let name = proto::CostDimension::try_from(message.dimension).map(|one| one.as_str_name());
    let dimension = parse::filter_word(&mut v, "dimension", name, "COST_DIMENSION_");
    let zero = message.dimension == 0;
    v.check(
        !zero,
        "dimension",
        "must be one of the values of the enum, other than its zero",
    );
    let filter = UsageFilter {
        task_id: parse::optional_id(&mut v, "task_id", &message.task_id),
        agent_id: parse::optional_id(&mut v, "agent_id", &message.agent_id),
        project_id: parse::optional_id(&mut v, "project_id", &message.project_id),
        execution_id: parse::optional_id(&mut v, "execution_id", &message.execution_id),
        status: "",
        start_time: parse::time(&mut v, "start_time", message.start_time.as_ref()),
        end_time: parse::time(&mut v, "end_time", message.end_time.as_ref()),
    };
    v.finish()?;
    Ok((dimension, filter))
}
