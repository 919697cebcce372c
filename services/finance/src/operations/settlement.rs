//! What recorded usage does: to the hold that paid for it, to budgets, and as events.

use chrono::{DateTime, Utc};
use reeve_events::NewEvent;
use reeve_ids::BudgetId;
use reeve_money::{Cost, Decimal};
use serde_json::json;

use super::holds::told;
use super::recording::{Effects, Known, Report};
use crate::domain::budget::Movement;
use crate::domain::usage::{Pricing, UsageRecord, total};
use crate::error::Error;

/// Ends the hold and books the spending. Usage without a price counts as the rest of its hold, so
/// that a model nobody priced cannot disarm a budget.
pub(super) fn settle(
    report: &Report,
    mut records: Vec<UsageRecord>,
    known: &mut Known,
    effects: &mut Effects,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let spent: Decimal = records
        .iter()
        .filter_map(UsageRecord::cost)
        .map(Cost::decimal)
        .sum();
    let held = known.hold(report).map(|hold| hold.amount.decimal());
    let unpriced = records.iter_mut().find(|record| record.cost().is_none());
    let provisional = match (held, unpriced) {
        (Some(held), Some(record)) => {
            record.provisional = (held - spent).max(Decimal::ZERO);
            record.provisional
        }
        _ => Decimal::ZERO,
    };
    let amount = spent + provisional;
    let path = match end_hold(report, known, effects, amount, now) {
        Some(path) => Some(path),
        None => known.budget(report).map(|budget| budget.path.clone()),
    };
    if let Some(path) = path
        && amount > Decimal::ZERO
    {
        // The hold moved nothing by itself: it was none, or it was over already.
        let movement = Movement {
            reserved: Decimal::ZERO,
            spent: amount,
        };
        effects.movements.add(report.tenant_id, &path, movement);
    }
    effects.events.extend(events(report, &records, now)?);
    effects.records.extend(records);
    Ok(())
}

/// Ends the report's hold; the budgets in which `amount` is still to be booked, if it has a hold
/// that could not book it. An empty path says that everything is booked.
fn end_hold(
    report: &Report,
    known: &mut Known,
    effects: &mut Effects,
    amount: Decimal,
    now: DateTime<Utc>,
) -> Option<Vec<BudgetId>> {
    let mut hold = known.hold(report)?.clone();
    let path = hold.path.clone();
    let moved = if report.usages.is_empty() {
        hold.release(now)
    } else {
        match Cost::new(amount, hold.amount.currency()) {
            Ok(actual) => hold.commit(actual, now),
            Err(_) => return Some(path),
        }
    };
    match moved {
        Ok(Some(movement)) => {
            effects.movements.add(report.tenant_id, &path, movement);
            effects.events.push(told(&hold, report.actor.clone(), now));
            known.holds.insert(hold.id, hold.clone());
            effects.holds.insert(hold.id, hold);
            Some(Vec::new())
        }
        // It ended before: what was spent all the same is booked beside it.
        Ok(None) | Err(_) => Some(path),
    }
}

/// What was recorded, and what of it has no price.
fn events(
    report: &Report,
    records: &[UsageRecord],
    now: DateTime<Utc>,
) -> Result<Vec<NewEvent>, Error> {
    let Some(first) = records.first() else {
        return Ok(Vec::new());
    };
    let whose = &report.attribution;
    let mut data = json!({
        "attempt": whose.attempt, "outcome": report.outcome.as_str(), "records": records.len(),
    });
    let id = |id: Option<String>| id.map_or(serde_json::Value::Null, Into::into);
    data["task_id"] = id(whose.task_id.map(|id| id.to_string()));
    data["agent_id"] = id(whose.agent_id.map(|id| id.to_string()));
    data["project_id"] = id(whose.project_id.map(|id| id.to_string()));
    data["execution_id"] = id(whose.execution_id.map(|id| id.to_string()));
    let missing: Vec<String> = records
        .iter()
        .filter_map(|record| match &record.pricing {
            Pricing::Unpriced { missing } => Some(missing),
            Pricing::Priced { .. } => None,
        })
        .flatten()
        .map(ToString::to_string)
        .collect();
    let event = |kind, data| {
        NewEvent::new(
            report.tenant_id,
            report.actor.clone(),
            now,
            kind,
            ("usage", first.id),
        )
        .with(data)
    };
    let mut events = Vec::new();
    let sum = total(records).map_err(|error| Error::amount("usages", error))?;
    if let Some(sum) = sum {
        let mut data = data.clone();
        data["cost"] = sum.amount().into();
        data["currency_code"] = sum.currency().code().into();
        events.push(event("usage.recorded", data));
    }
    if !missing.is_empty() {
        data["missing_prices"] = missing.into();
        events.push(event("usage.unpriced", data));
    }
    Ok(events)
}
