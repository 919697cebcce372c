//! Recording usage: pricing it, ending the hold that paid for it, moving budgets and posting the
//! cost, for many reports in one transaction. ReportUsage and the task queue's events share it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use reeve_events::{Actor, NewEvent};
use reeve_ids::{BudgetId, HoldId, JournalId, TenantId, UsageId};
use reeve_money::{Cost, Decimal};
use serde_json::json;
use sqlx::PgConnection;

use super::Context;
use crate::domain::budget::{Budget, Hold, Movement};
use crate::domain::ledger::{Journal, JournalKind, usage_entries};
use crate::domain::pricing::price;
use crate::domain::rate_card::{MeterKey, RateCard};
use crate::domain::usage::{Attribution, Outcome, Pricing, Usage, UsageRecord};
use crate::error::Error;
use crate::storage::budgets::Movements;
use crate::storage::{budgets, ledger, rate_cards, usage};

/// What one attempt of a task, or one call, consumed.
#[derive(Debug, Clone)]
pub struct Report {
    /// Whose.
    pub tenant_id: TenantId,
    /// Makes a repetition visible.
    pub source: String,
    /// Whom it is attributed to.
    pub attribution: Attribution,
    /// What became of the work.
    pub outcome: Outcome,
    /// What was consumed; may be nothing.
    pub usages: Vec<Usage>,
    /// When.
    pub use_time: DateTime<Utc>,
    /// The hold that paid for it and ends with it.
    pub hold_id: Option<HoldId>,
    /// Who reported it.
    pub actor: Actor,
}

/// What recording reads before it decides.
struct Known {
    holds: BTreeMap<HoldId, Hold>,
    budgets: BTreeMap<BudgetId, Budget>,
    cards: BTreeMap<TenantId, Vec<RateCard>>,
}

/// What recording writes.
#[derive(Default)]
struct Effects {
    records: Vec<UsageRecord>,
    holds: BTreeMap<HoldId, Hold>,
    movements: Movements,
    events: Vec<NewEvent>,
}

impl Context {
    /// Records reports that were not recorded before, and returns their records and events. With
    /// `refuse_unpriced`, one without a price refuses all.
    pub(super) async fn record(
        &self,
        connection: &mut PgConnection,
        reports: Vec<Report>,
        refuse_unpriced: bool,
    ) -> Result<(Vec<UsageRecord>, Vec<NewEvent>), Error> {
        let now = self.now();
        let reports = without_known(connection, reports).await?;
        let mut known = read(connection, &reports).await?;
        let mut effects = Effects::default();
        for report in &reports {
            let records = price_report(report, &known, now, refuse_unpriced)?;
            settle(report, records, &mut known, &mut effects, now);
        }
        usage::insert(connection, &effects.records).await?;
        let holds: Vec<Hold> = effects.holds.into_values().collect();
        budgets::save_holds(connection, &holds).await?;
        budgets::apply(connection, &effects.movements).await?;
        let journals = effects
            .records
            .iter()
            .filter_map(journal)
            .collect::<Vec<_>>();
        ledger::post(connection, &journals, now).await?;
        let overruns = holds.iter().filter(|hold| hold.overrun()).count();
        self.counters
            .overruns
            .inc_by(u64::try_from(overruns).unwrap_or(0));
        self.count(&effects.records, journals.len());
        Ok((effects.records, effects.events))
    }

    fn count(&self, records: &[UsageRecord], postings: usize) {
        let priced = records
            .iter()
            .filter(|record| record.cost().is_some())
            .count();
        let count = |number: usize| u64::try_from(number).unwrap_or(0);
        self.counters.priced.inc_by(count(priced));
        self.counters.unpriced.inc_by(count(records.len() - priced));
        self.counters.postings.inc_by(count(postings));
    }
}

/// The transaction that a priced record posts; nothing for one that costs nothing.
pub(super) fn journal(record: &UsageRecord) -> Option<Journal> {
    let Pricing::Priced { charges, .. } = &record.pricing else {
        return None;
    };
    let entries = usage_entries(charges).ok()?;
    (!entries.is_empty()).then(|| Journal {
        id: JournalId::new(),
        tenant_id: record.tenant_id,
        kind: JournalKind::Usage,
        source_id: record.id.uuid(),
        reverses: None,
        effect_time: record.use_time,
        entries,
    })
}

async fn without_known(
    connection: &mut PgConnection,
    reports: Vec<Report>,
) -> Result<Vec<Report>, Error> {
    let mut sources: BTreeMap<TenantId, Vec<String>> = BTreeMap::new();
    for report in &reports {
        sources
            .entry(report.tenant_id)
            .or_default()
            .push(report.source.clone());
    }
    let mut seen: BTreeSet<(TenantId, String)> = BTreeSet::new();
    for (tenant, sources) in sources {
        let known = usage::known(connection, tenant, &sources).await?;
        seen.extend(known.into_iter().map(|source| (tenant, source)));
    }
    // Also drops the second of two in one batch.
    let fresh = |report: &Report| seen.insert((report.tenant_id, report.source.clone()));
    Ok(reports.into_iter().filter(fresh).collect())
}

async fn read(connection: &mut PgConnection, reports: &[Report]) -> Result<Known, Error> {
    let hold_ids: BTreeSet<HoldId> = reports.iter().filter_map(|report| report.hold_id).collect();
    let hold_ids: Vec<_> = hold_ids.into_iter().collect();
    let holds = budgets::lock_holds(connection, &hold_ids).await?;
    let budget_ids: BTreeSet<BudgetId> = reports
        .iter()
        .filter_map(|report| report.attribution.budget_id)
        .collect();
    let budget_ids: Vec<_> = budget_ids.into_iter().collect();
    let budgets = budgets::get_many(connection, &budget_ids).await?;
    let mut wanted: BTreeMap<TenantId, (BTreeSet<MeterKey>, Vec<DateTime<Utc>>)> = BTreeMap::new();
    for report in reports {
        let (meters, times) = wanted.entry(report.tenant_id).or_default();
        let keys = report
            .usages
            .iter()
            .flat_map(Usage::meters)
            .map(|meter| meter.key);
        meters.extend(keys);
        times.push(report.use_time);
    }
    let mut cards = BTreeMap::new();
    for (tenant, (meters, times)) in wanted {
        let (Some(from), Some(to)) = (times.iter().min(), times.iter().max()) else {
            continue;
        };
        let found = rate_cards::candidates(connection, tenant, &meters, *from, *to).await?;
        cards.insert(tenant, found);
    }
    Ok(Known {
        holds: holds.into_iter().map(|hold| (hold.id, hold)).collect(),
        budgets: budgets
            .into_iter()
            .map(|budget| (budget.id, budget))
            .collect(),
        cards,
    })
}

impl Known {
    /// Another tenant's hold or budget is as good as none.
    fn hold(&self, report: &Report) -> Option<&Hold> {
        let hold = self.holds.get(&report.hold_id?)?;
        (hold.tenant_id == report.tenant_id).then_some(hold)
    }

    fn budget(&self, report: &Report) -> Option<&Budget> {
        let budget = self.budgets.get(&report.attribution.budget_id?)?;
        (budget.tenant_id == report.tenant_id).then_some(budget)
    }
}

fn price_report(
    report: &Report,
    known: &Known,
    now: DateTime<Utc>,
    refuse_unpriced: bool,
) -> Result<Vec<UsageRecord>, Error> {
    let currency = known
        .hold(report)
        .map(|hold| hold.amount.currency())
        .or_else(|| known.budget(report).map(Budget::currency));
    let cards = known
        .cards
        .get(&report.tenant_id)
        .map_or(&[][..], Vec::as_slice);
    let mut records = Vec::with_capacity(report.usages.len());
    for (line, usage) in (0..).zip(&report.usages) {
        let pricing = match price(usage, cards, report.use_time, currency) {
            Ok(Pricing::Unpriced { missing }) if refuse_unpriced => {
                return Err(Error::PriceMissing(missing));
            }
            Ok(pricing) => pricing,
            Err(error) if refuse_unpriced => return Err(Error::amount("usages", error)),
            // Too great to be true: kept as evidence, without a cost.
            Err(_) => Pricing::Unpriced {
                missing: usage.meters().into_iter().map(|meter| meter.key).collect(),
            },
        };
        records.push(UsageRecord {
            id: UsageId::new(),
            tenant_id: report.tenant_id,
            source: report.source.clone(),
            line,
            attribution: report.attribution.clone(),
            usage: usage.clone(),
            outcome: report.outcome,
            pricing,
            provisional: Decimal::ZERO,
            use_time: report.use_time,
            create_time: now,
            invoice_id: None,
        });
    }
    Ok(records)
}

/// Ends the hold and books the spending. Usage without a price counts as the rest of its hold, so
/// that a model nobody priced cannot disarm a budget.
fn settle(
    report: &Report,
    mut records: Vec<UsageRecord>,
    known: &mut Known,
    effects: &mut Effects,
    now: DateTime<Utc>,
) {
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
    let total = spent + provisional;
    let path = match end_hold(report, known, effects, total, now) {
        Some(path) => Some(path),
        None => known.budget(report).map(|budget| budget.path.clone()),
    };
    if let Some((path, movement)) = path.map(|path| {
        // The hold moved nothing by itself: it was none, or it was over already.
        (
            path,
            Movement {
                reserved: Decimal::ZERO,
                spent: total,
            },
        )
    }) && total > Decimal::ZERO
    {
        effects.movements.add(&path, movement);
    }
    effects.events.extend(events(report, &records, now));
    effects.records.extend(records);
}

/// Ends the report's hold; the budgets in which `total` is still to be booked, if it has a hold
/// that could not book it. An empty path says that everything is booked.
fn end_hold(
    report: &Report,
    known: &mut Known,
    effects: &mut Effects,
    total: Decimal,
    now: DateTime<Utc>,
) -> Option<Vec<BudgetId>> {
    let mut hold = known.hold(report)?.clone();
    let path = hold.path.clone();
    let moved = if report.usages.is_empty() {
        hold.release(now)
    } else {
        match Cost::new(total, hold.amount.currency()) {
            Ok(actual) => hold.commit(actual, now),
            Err(_) => return Some(path),
        }
    };
    match moved {
        Ok(Some(movement)) => {
            effects.movements.add(&path, movement);
            known.holds.insert(hold.id, hold.clone());
            effects.holds.insert(hold.id, hold);
            Some(Vec::new())
        }
        // It ended before: what was spent all the same is booked beside it.
        Ok(None) | Err(_) => Some(path),
    }
}

fn events(report: &Report, records: &[UsageRecord], now: DateTime<Utc>) -> Vec<NewEvent> {
    let Some(first) = records.first() else {
        return Vec::new();
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
    let mut costs = records.iter().filter_map(UsageRecord::cost);
    if let Some(cost) = costs.next() {
        let sum = costs.try_fold(cost, Cost::plus).unwrap_or(cost);
        let mut data = data.clone();
        data["cost"] = sum.amount().into();
        data["currency_code"] = sum.currency().code().into();
        events.push(event("usage.recorded", data));
    }
    if !missing.is_empty() {
        data["missing_prices"] = missing.into();
        events.push(event("usage.unpriced", data));
    }
    events
}
