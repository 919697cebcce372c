//! Making the lines of an invoice from what work cost and how long it took.

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::{AgentId, InvoiceId, ProjectId, TaskId, Uuid};
use reeve_money::{
    COST_SCALE, Cost, Currency, Decimal, Money, MoneyError, allocate, round_half_away,
};

use super::GREATEST;
use super::rate_card::{MeterKey, UnitPrice};
use super::totals::{Line, LineKind, TaxCategory, Totals, total};

/// Unbilled charges of one meter at one price, added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeGroup {
    /// What was counted.
    pub key: MeterKey,
    /// At what price.
    pub price: UnitPrice,
    /// How much.
    pub quantity: Decimal,
    /// What it cost.
    pub cost: Cost,
}

/// The time an agent worked on one attempt of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeEntry {
    /// The entry.
    pub id: Uuid,
    /// The agent.
    pub agent_id: AgentId,
    /// The task.
    pub task_id: TaskId,
    /// Its attempt.
    pub attempt: i32,
    /// The task's type.
    pub task_type: String,
    /// The project.
    pub project_id: Option<ProjectId>,
    /// When work started.
    pub start_time: DateTime<Utc>,
    /// When it ended.
    pub end_time: DateTime<Utc>,
    /// Whether it may be billed.
    pub billable: bool,
    /// The invoice that bills it.
    pub invoice_id: Option<InvoiceId>,
}

impl TimeEntry {
    /// Time worked.
    pub fn duration(&self) -> TimeDelta {
        self.end_time - self.start_time
    }
}

/// A line that the caller adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomLine {
    /// What is billed.
    pub description: String,
    /// How much.
    pub quantity: Decimal,
    /// Of what.
    pub unit: String,
    /// At what price.
    pub price: UnitPrice,
}

/// How work becomes money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Currency of the invoice.
    pub currency: Currency,
    /// Added to costs, in per cent.
    pub markup_percent: Decimal,
    /// Price of an hour; nothing when time is not billed.
    pub hourly_rate: Option<Decimal>,
    /// Tax category of every line.
    pub tax_category: TaxCategory,
    /// Tax rate in per cent.
    pub tax_percent: Decimal,
}

/// What the billed work cost, by model, resource and agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breakdown {
    /// Of what kind.
    pub category: LineKind,
    /// Which model, resource or agent.
    pub label: String,
    /// Before markup.
    pub cost: Cost,
    /// Without tax.
    pub billed: Money,
    /// Share of everything billed from work, in per cent with two decimals.
    pub share_percent: Decimal,
}

/// How much of one thing the billed work consumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceUsage {
    /// Kind of token, or the resource.
    pub resource: String,
    /// "provider/model"; empty for a resource.
    pub model: String,
    /// How much.
    pub quantity: Decimal,
    /// What it cost.
    pub cost: Cost,
}

/// Everything of a new invoice that is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    /// The lines; none when there is nothing to bill.
    pub lines: Vec<Line>,
    /// The sums.
    pub totals: Totals,
    /// What the work cost.
    pub breakdowns: Vec<Breakdown>,
    /// What it consumed.
    pub resources: Vec<ResourceUsage>,
    /// The time entries that are on its lines.
    pub billed_time: Vec<Uuid>,
}

impl Bill {
    /// How many bytes it takes to tell, at most.
    pub fn weight(&self) -> usize {
        let lines = self.lines.iter();
        let lines = lines.map(|line| line.description.len() + line.unit.len() + 180);
        let breakdowns = self.breakdowns.iter().map(|one| one.label.len() + 80);
        let used = self.resources.iter();
        let used = used.map(|one| one.resource.len() + one.model.len() + 80);
        lines.chain(breakdowns).chain(used).sum()
    }
}

/// Makes a bill. Costs with their markup are rounded together: their sum once, half away from
/// zero, and the lines share it by largest remainder, so that many small lines lose nothing.
///
/// # Errors
/// When a currency differs or a sum is out of range.
pub fn bill(
    rules: &Rules,
    charges: &[ChargeGroup],
    time: &[TimeEntry],
    custom: &[CustomLine],
) -> Result<Bill, MoneyError> {
    let mut breakdowns = Vec::new();
    let mut lines = charge_lines(rules, charges, &mut breakdowns)?;
    let (of_time, billed_time) = time_lines(rules, time, &mut breakdowns)?;
    lines.extend(of_time);
    share(rules.currency, &mut breakdowns)?;
    for line in custom {
        let net = Cost::of_units(
            line.quantity,
            line.price.amount,
            line.price.per_units,
            rules.currency,
        )?;
        lines.push(Line {
            description: line.description.clone(),
            unit: line.unit.clone(),
            ..rules.line(LineKind::Custom, line.quantity, line.price, net.round()?)
        });
    }
    let totals = total(rules.currency, &mut lines)?;
    Ok(Bill {
        lines,
        totals,
        breakdowns,
        resources: resources(charges)?,
        billed_time,
    })
}

impl Rules {
    fn line(&self, kind: LineKind, quantity: Decimal, price: UnitPrice, net: Money) -> Line {
        Line {
            kind,
            description: String::new(),
            quantity,
            unit: String::new(),
            price,
            net,
            category: self.tax_category,
            percent: self.tax_percent,
            tax: Money::zero(self.currency),
        }
    }
}

fn charge_lines(
    rules: &Rules,
    charges: &[ChargeGroup],
    breakdowns: &mut Vec<Breakdown>,
) -> Result<Vec<Line>, MoneyError> {
    let billed = charges
        .iter()
        .map(|charge| charge.cost.plus_percent(rules.markup_percent))
        .collect::<Result<Vec<_>, _>>()?;
    let whole = Cost::sum(rules.currency, billed.iter().copied())?.round()?;
    let weights: Vec<_> = billed.iter().map(|cost| cost.decimal()).collect();
    let mut lines = Vec::with_capacity(charges.len());
    for (charge, net) in charges.iter().zip(allocate(whole, &weights)?) {
        let price = marked_up(charge.price, rules.markup_percent)?;
        let (kind, label) = if charge.key.is_model() {
            (LineKind::Model, charge.key.model_label())
        } else {
            (LineKind::Resource, charge.key.meter.clone())
        };
        let unit = charge.key.meter.replace('_', " ");
        let description = if charge.key.is_model() {
            format!("{label}, {unit}")
        } else {
            capitalized(&unit)
        };
        lines.push(Line {
            description,
            unit,
            ..rules.line(kind, charge.quantity, price, net)
        });
        note(breakdowns, kind, label, charge.cost, net)?;
    }
    Ok(lines)
}

/// The price with its markup. Where that has more decimals than a price, it is told for more units:
/// nothing is lost to rounding.
fn marked_up(price: UnitPrice, percent: Decimal) -> Result<UnitPrice, MoneyError> {
    let factor = Decimal::ONE + percent / Decimal::ONE_HUNDRED;
    let amount = price.amount.checked_mul(factor);
    let mut marked_up = UnitPrice {
        amount: amount.ok_or(MoneyError::OutOfRange)?.normalize(),
        ..price
    };
    while marked_up.amount.scale() > COST_SCALE && marked_up.amount < Decimal::from(GREATEST) {
        marked_up.amount = (marked_up.amount * Decimal::TEN).normalize();
        marked_up.per_units *= 10;
    }
    marked_up.amount = round_half_away(marked_up.amount, COST_SCALE);
    Ok(marked_up)
}

/// A line for each agent, and the entries that are on them.
fn time_lines(
    rules: &Rules,
    time: &[TimeEntry],
    breakdowns: &mut Vec<Breakdown>,
) -> Result<(Vec<Line>, Vec<Uuid>), MoneyError> {
    let (mut lines, mut billed) = (Vec::new(), Vec::new());
    let Some(rate) = rules.hourly_rate else {
        return Ok((lines, billed));
    };
    let mut agents: Vec<(AgentId, Vec<&TimeEntry>)> = Vec::new();
    for entry in time.iter().filter(|entry| entry.billable) {
        match agents
            .iter_mut()
            .find(|(agent, _)| *agent == entry.agent_id)
        {
            Some((_, entries)) => entries.push(entry),
            None => agents.push((entry.agent_id, vec![entry])),
        }
    }
    for (agent, entries) in agents {
        let worked: TimeDelta = entries.iter().map(|entry| entry.duration()).sum();
        let micros = Decimal::from(worked.num_microseconds().unwrap_or(i64::MAX));
        let hours = round_half_away(micros / Decimal::from(3_600_000_000_i64), 4);
        if hours.is_zero() {
            continue;
        }
        let price = UnitPrice {
            amount: round_half_away(rate, COST_SCALE),
            per_units: 1,
        };
        let net = Cost::of_units(hours, price.amount, 1, rules.currency)?.round()?;
        lines.push(Line {
            description: format!("Agent time, agent {agent}"),
            unit: "hours".to_owned(),
            ..rules.line(LineKind::Time, hours, price, net)
        });
        let nothing = Cost::zero(rules.currency);
        note(breakdowns, LineKind::Time, agent.to_string(), nothing, net)?;
        billed.extend(entries.iter().map(|entry| entry.id));
    }
    Ok((lines, billed))
}

fn note(
    breakdowns: &mut Vec<Breakdown>,
    category: LineKind,
    label: String,
    cost: Cost,
    billed: Money,
) -> Result<(), MoneyError> {
    let known = breakdowns
        .iter_mut()
        .find(|one| one.category == category && one.label == label);
    if let Some(known) = known {
        known.cost = known.cost.plus(cost)?;
        known.billed = known.billed.plus(billed)?;
    } else {
        let share_percent = Decimal::ZERO;
        breakdowns.push(Breakdown {
            category,
            label,
            cost,
            billed,
            share_percent,
        });
    }
    Ok(())
}

/// Hundredths of a per cent are shared like money, so that they add up.
fn share(currency: Currency, breakdowns: &mut [Breakdown]) -> Result<(), MoneyError> {
    let weights: Vec<_> = breakdowns
        .iter()
        .map(|one| Decimal::from(one.billed.minor()))
        .collect();
    if weights.iter().all(Decimal::is_zero) {
        return Ok(());
    }
    let whole = Money::from_minor(10_000, currency)?;
    for (one, share) in breakdowns.iter_mut().zip(allocate(whole, &weights)?) {
        one.share_percent = Decimal::new(share.minor(), 2);
    }
    Ok(())
}

fn resources(charges: &[ChargeGroup]) -> Result<Vec<ResourceUsage>, MoneyError> {
    let mut resources: Vec<ResourceUsage> = Vec::new();
    for charge in charges {
        let (resource, model) = (charge.key.meter.clone(), charge.key.model_label());
        let known = resources
            .iter_mut()
            .find(|one| one.resource == resource && one.model == model);
        if let Some(known) = known {
            known.quantity += charge.quantity;
            known.cost = known.cost.plus(charge.cost)?;
        } else {
            let (quantity, cost) = (charge.quantity, charge.cost);
            resources.push(ResourceUsage {
                resource,
                model,
                quantity,
                cost,
            });
        }
    }
    Ok(resources)
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(markup: &str, hourly: Option<&str>) -> Rules {
        Rules {
            currency: "EUR".parse().unwrap(),
            markup_percent: markup.parse().unwrap(),
            hourly_rate: hourly.map(|rate| rate.parse().unwrap()),
            tax_category: TaxCategory::Standard,
            tax_percent: "19".parse().unwrap(),
        }
    }

    fn charge(meter: &str, cost: &str) -> ChargeGroup {
        let currency = "EUR".parse().unwrap();
        ChargeGroup {
            key: MeterKey::model("acme", "m", meter),
            price: UnitPrice {
                amount: Decimal::ONE,
                per_units: 1,
            },
            quantity: Decimal::from(7),
            cost: Cost::parse(cost, currency).unwrap(),
        }
    }

    fn entry(agent_id: AgentId, seconds: i64, billable: bool) -> TimeEntry {
        let start_time = DateTime::from_timestamp(1_780_000_000, 0).unwrap();
        TimeEntry {
            id: Uuid::now_v7(),
            agent_id,
            task_id: TaskId::new(),
            attempt: 1,
            task_type: "lint".into(),
            project_id: None,
            start_time,
            end_time: start_time + TimeDelta::seconds(seconds),
            billable,
            invoice_id: None,
        }
    }

    #[test]
    fn small_costs_are_rounded_together() {
        let charges = [
            charge("a", "0.004"),
            charge("b", "0.004"),
            charge("c", "0.004"),
        ];
        let bill = bill(&rules("0", None), &charges, &[], &[]).unwrap();
        let nets: Vec<_> = bill.lines.iter().map(|line| line.net.minor()).collect();
        assert_eq!(nets, [1, 0, 0], "three times 0.004 is 0.012, so one cent");
        assert_eq!(bill.breakdowns.len(), 1);
        assert_eq!(bill.breakdowns[0].cost.amount(), "0.012");
        assert_eq!(bill.breakdowns[0].share_percent, Decimal::ONE_HUNDRED);
    }

    #[test]
    fn markup_is_in_the_price_and_the_amount() {
        let bill = bill(&rules("20", None), &[charge("a", "10")], &[], &[]).unwrap();
        assert_eq!(bill.lines[0].net.amount(), "12.00");
        assert_eq!(bill.lines[0].price.amount, "1.2".parse().unwrap());
        assert_eq!(bill.totals.total.amount(), "14.28");
    }

    #[test]
    fn a_marked_up_price_says_what_is_billed() {
        let mut tiny = charge("a", "375");
        tiny.quantity = Decimal::from(10_000_000_000_i64);
        tiny.price.amount = "0.0000000375".parse().unwrap();
        let bill = bill(&rules("12.5", None), &[tiny], &[], &[]).unwrap();
        let line = &bill.lines[0];
        assert_eq!(line.net.amount(), "421.88");
        assert!(line.price.amount.scale() <= COST_SCALE);
        let product = line.quantity * line.price.amount / Decimal::from(line.price.per_units);
        assert_eq!(product, "421.875".parse().unwrap());
    }

    #[test]
    fn billable_time_is_billed_by_the_hour() {
        let (one, other) = (AgentId::new(), AgentId::new());
        let time = [
            entry(one, 5_400, true),
            entry(other, 1, true),
            entry(one, 1_800, true),
            entry(one, 9_000, false),
            entry(AgentId::new(), 0, true),
        ];
        let with_rate = bill(&rules("0", Some("90")), &[], &time, &[]).unwrap();
        let lines: Vec<_> = with_rate
            .lines
            .iter()
            .map(|line| (line.quantity.normalize().to_string(), line.net.amount()))
            .collect();
        assert_eq!(
            lines,
            [
                ("2".to_owned(), "180.00".to_owned()),
                ("0.0003".into(), "0.03".into())
            ]
        );
        let billed: Vec<_> = time[..3].iter().map(|entry| entry.id).collect();
        let mut found = with_rate.billed_time;
        found.sort_unstable();
        assert_eq!(found, billed, "what is on no line stays unbilled");
        let without = bill(&rules("0", None), &[], &time, &[]).unwrap();
        assert!(without.lines.is_empty() && without.billed_time.is_empty());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_to_rounding(
            costs in prop::collection::vec(0_i64..100_000_000_000, 0..40),
        ) {
            let charges: Vec<_> = costs.iter().enumerate().map(|(at, mantissa)| {
                let mut charge = charge(&format!("m{at}"), "0");
                charge.cost =
                    Cost::new(Decimal::new(*mantissa, COST_SCALE), charge.cost.currency()).unwrap();
                charge
            }).collect();
            let bill = bill(&rules("0", None), &charges, &[], &[]).unwrap();
            let sum: i128 = costs.iter().map(|cost| i128::from(*cost)).sum();
            let cents = (sum + 50_000_000) / 100_000_000;
            prop_assert_eq!(i128::from(bill.totals.net.minor()), cents);
            let shares: Decimal = bill.breakdowns.iter().map(|one| one.share_percent).sum();
            prop_assert!(cents == 0 || shares == Decimal::ONE_HUNDRED);
        }
    }
}
