//! Recording usage: pricing it, ending the hold that paid for it, moving budgets and posting the
//! cost, for many reports in one transaction. ReportUsage and the task queue's events share it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use reeve_events::{Actor, NewEvent};
use reeve_ids::{BudgetId, HoldId, JournalId, TenantId, UsageId};
use reeve_money::{Currency, Decimal, MoneyError};
use sqlx::PgConnection;

use super::Context;
use super::settlement::settle;
use crate::domain::budget::{Budget, Hold};
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
pub(super) struct Known {
    pub(super) holds: BTreeMap<HoldId, Hold>,
    budgets: BTreeMap<BudgetId, Budget>,
    cards: BTreeMap<TenantId, Vec<RateCard>>,
}

/// What recording writes.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) records: Vec<UsageRecord>,
    pub(super) holds: BTreeMap<HoldId, Hold>,
    pub(super) movements: Movements,
    pub(super) events: Vec<NewEvent>,
}

impl Context {
    /// Records usage that was not recorded before and ends holds, and returns the records and
    /// events. With `refuse_unpriced`, usage without a price refuses all.
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
            settle(report, records, &mut known, &mut effects, now)?;
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

/// Takes the usage out of reports whose source is recorded already. A source is paid once; a hold
/// is not part of it: what waits for the next attempt bears the number of the last.
async fn without_known(
    connection: &mut PgConnection,
    reports: Vec<Report>,
) -> Result<Vec<Report>, Error> {
    let mut sources: BTreeMap<TenantId, Vec<String>> = BTreeMap::new();
    for report in reports.iter().filter(|report| !report.usages.is_empty()) {
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
    let mut fresh = reports;
    for report in &mut fresh {
        // Also the second of two in one batch.
        let source = (report.tenant_id, report.source.clone());
        if !report.usages.is_empty() && !seen.insert(source) {
            report.usages.clear();
        }
    }
    fresh.retain(|report| !report.usages.is_empty() || report.hold_id.is_some());
    Ok(fresh)
}

async fn read(connection: &mut PgConnection, reports: &[Report]) -> Result<Known, Error> {
    let hold_ids = reports
        .iter()
        .filter_map(|report| Some((report.tenant_id, report.hold_id?)));
    let holds = budgets::lock_holds(connection, &hold_ids.collect()).await?;
    let budget_ids = reports
        .iter()
        .filter_map(|report| Some((report.tenant_id, report.attribution.budget_id?)));
    let budgets = budgets::get_many(connection, &budget_ids.collect()).await?;
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
    pub(super) fn hold(&self, report: &Report) -> Option<&Hold> {
        let hold = self.holds.get(&report.hold_id?)?;
        (hold.tenant_id == report.tenant_id).then_some(hold)
    }

    pub(super) fn budget(&self, report: &Report) -> Option<&Budget> {
        let budget = self.budgets.get(&report.attribution.budget_id?)?;
        (budget.tenant_id == report.tenant_id).then_some(budget)
    }
}

/// Prices every line of a report, in the currency of what pays for it.
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
    let priced = price(&report.usages, cards, report.use_time, currency);
    if refuse_unpriced {
        refuse(report, &priced, cards, currency)?;
    }
    let lines = (0..).zip(&report.usages).zip(priced);
    let records = lines.map(|((line, usage), pricing)| UsageRecord {
        id: UsageId::new(),
        tenant_id: report.tenant_id,
        source: report.source.clone(),
        line,
        attribution: report.attribution.clone(),
        usage: usage.clone(),
        outcome: report.outcome,
        // Too great to be true: kept as evidence, without a cost.
        pricing: pricing.unwrap_or_else(|_| Pricing::Unpriced {
            missing: usage.meters().into_iter().map(|meter| meter.key).collect(),
        }),
        provisional: Decimal::ZERO,
        use_time: report.use_time,
        create_time: now,
        invoice_id: None,
    });
    Ok(records.collect())
}

/// Refuses a report of which not every line has a price.
fn refuse(
    report: &Report,
    priced: &[Result<Pricing, MoneyError>],
    cards: &[RateCard],
    currency: Option<Currency>,
) -> Result<(), Error> {
    let mut missing = BTreeSet::new();
    for one in priced {
        match one {
            Ok(Pricing::Priced { .. }) => {}
            Ok(Pricing::Unpriced { missing: more }) => missing.extend(more.iter().cloned()),
            Err(error) => return Err(Error::amount("usages", *error)),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    // Prices there are, and only the budget's currency is in their way.
    let elsewhere = price(&report.usages, cards, report.use_time, None);
    let other = elsewhere.iter().map(|one| match one {
        Ok(Pricing::Priced { cost, .. }) => Some(cost.currency()),
        _ => None,
    });
    let other: Option<Vec<Currency>> = other.collect();
    if let (Some(expected), Some(budget), Some(found)) = (
        currency,
        report.attribution.budget_id,
        other.and_then(|other| other.first().copied()),
    ) {
        return Err(Error::currencies(
            format!("budget/{budget}"),
            expected,
            found,
        ));
    }
    Err(Error::PriceMissing(missing.into_iter().collect()))
}
