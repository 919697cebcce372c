//! What usage costs. One card prices one whole line of usage, or the line has no price; all lines
//! of a report are priced in one currency, so that they have a sum.

use chrono::{DateTime, Utc};
use reeve_money::{Cost, Currency, Decimal, MoneyError};

use super::GREATEST;
use super::rate_card::{MeterKey, RateCard, UnitPrice};
use super::usage::{Meter, Pricing, Usage};

/// One priced part of a line of usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// What was counted.
    pub key: MeterKey,
    /// How much of it.
    pub quantity: Decimal,
    /// The price applied.
    pub price: UnitPrice,
    /// The product.
    pub cost: Cost,
}

/// Prices the lines of a report at `time`. Of the valid cards the newest that prices all of a line
/// decides; newest is by the start of validity, then by the time of storing. Without such a card
/// nothing is guessed: the answer names what the newest card lacks.
///
/// The currency is `currency`, when the budget that pays has one. Else it is the first in which
/// every line has a price, by the newest card that prices a line; or, when there is none, the one
/// in which most lines have a price.
///
/// A line is an error when its numbers are too great to be true.
pub fn price(
    usages: &[Usage],
    cards: &[RateCard],
    time: DateTime<Utc>,
    currency: Option<Currency>,
) -> Vec<Result<Pricing, MoneyError>> {
    let lines: Vec<Vec<Meter>> = usages.iter().map(Usage::meters).collect();
    let mut valid: Vec<&RateCard> = cards
        .iter()
        .filter(|card| {
            card.is_valid_at(time)
                && lines
                    .iter()
                    .flatten()
                    .any(|m| card.prices.contains_key(&m.key))
        })
        .filter(|card| currency.is_none_or(|currency| card.currency == currency))
        .collect();
    valid.sort_by_key(|card| std::cmp::Reverse((card.valid_from, card.create_time, card.id)));
    let mut best: Option<Priced> = None;
    for currency in currencies(&valid, &lines) {
        let of_currency = |card: &&RateCard| card.currency == currency;
        let cards: Vec<_> = valid.iter().copied().filter(of_currency).collect();
        let priced = Priced::of(&lines, &cards);
        if best.as_ref().is_none_or(|best| best.count < priced.count) {
            best = Some(priced);
        }
    }
    best.unwrap_or_else(|| Priced::of(&lines, &valid)).lines
}

/// The currencies of cards that price a whole line, in the order of the cards.
fn currencies(cards: &[&RateCard], lines: &[Vec<Meter>]) -> Vec<Currency> {
    let mut currencies = Vec::new();
    for card in cards {
        let whole = lines.iter().any(|meters| lacks(card, meters).is_empty());
        if whole && !currencies.contains(&card.currency) {
            currencies.push(card.currency);
        }
    }
    currencies
}

/// The lines of a report with their prices in one currency.
struct Priced {
    lines: Vec<Result<Pricing, MoneyError>>,
    /// How many have one.
    count: usize,
}

impl Priced {
    fn of(lines: &[Vec<Meter>], cards: &[&RateCard]) -> Self {
        let lines: Vec<_> = lines.iter().map(|meters| line(meters, cards)).collect();
        let is_priced =
            |one: &&Result<Pricing, MoneyError>| matches!(one, Ok(Pricing::Priced { .. }));
        let count = lines.iter().filter(is_priced).count();
        Self { lines, count }
    }
}

/// Prices one line by the first card that prices all of it.
fn line(meters: &[Meter], cards: &[&RateCard]) -> Result<Pricing, MoneyError> {
    match cards.iter().find(|card| lacks(card, meters).is_empty()) {
        Some(card) => charge(meters, card),
        None => {
            let all = || meters.iter().map(|meter| meter.key.clone()).collect();
            Ok(Pricing::Unpriced {
                missing: cards.first().map_or_else(all, |card| lacks(card, meters)),
            })
        }
    }
}

fn lacks(card: &RateCard, meters: &[Meter]) -> Vec<MeterKey> {
    let keys = meters.iter().map(|meter| &meter.key);
    keys.filter(|key| !card.prices.contains_key(key))
        .cloned()
        .collect()
}

fn charge(meters: &[Meter], card: &RateCard) -> Result<Pricing, MoneyError> {
    let greatest = Decimal::from(GREATEST);
    let mut charges = Vec::with_capacity(meters.len());
    for meter in meters {
        let Some(price) = card.prices.get(&meter.key).copied() else {
            continue;
        };
        if meter.quantity > greatest {
            return Err(MoneyError::OutOfRange);
        }
        let cost = Cost::of_units(meter.quantity, price.amount, price.per_units, card.currency)?;
        charges.push(Charge {
            key: meter.key.clone(),
            quantity: meter.quantity,
            price,
            cost,
        });
    }
    let cost = Cost::sum(card.currency, charges.iter().map(|charge| charge.cost))?;
    if cost.decimal() > greatest {
        return Err(MoneyError::OutOfRange);
    }
    Ok(Pricing::Priced {
        rate_card_id: card.id,
        charges,
        cost,
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use reeve_ids::RateCardId;

    use super::*;

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_780_000_000, 0).unwrap()
    }

    fn card(currency: &str, day: i64, prices: &[(&str, &str, i64)]) -> RateCard {
        let key = |text: &str| match text.split_once(' ') {
            Some((model, meter)) => MeterKey::model("acme", model, meter),
            None => MeterKey::resource(text),
        };
        RateCard {
            id: RateCardId::new(),
            name: "list".into(),
            version: 1,
            currency: currency.parse().unwrap(),
            prices: prices
                .iter()
                .map(|(name, amount, per_units)| {
                    let amount = amount.parse().unwrap();
                    (
                        key(name),
                        UnitPrice {
                            amount,
                            per_units: *per_units,
                        },
                    )
                })
                .collect(),
            valid_from: start() + TimeDelta::days(day),
            valid_to: None,
            description: String::new(),
            create_time: start(),
        }
    }

    fn usage() -> Usage {
        Usage {
            provider: "acme".into(),
            model: "m".into(),
            input_tokens: 1_234_567,
            output_tokens: 1,
            ..Usage::default()
        }
    }

    fn price(
        usage: &Usage,
        cards: &[RateCard],
        time: DateTime<Utc>,
        currency: Option<Currency>,
    ) -> Result<Pricing, MoneyError> {
        let lines = std::slice::from_ref(usage);
        super::price(lines, cards, time, currency).remove(0)
    }

    const BOTH: &[(&str, &str, i64)] = &[
        ("m input_tokens", "3", 1_000_000),
        ("m output_tokens", "0.0375", 1_000_000),
    ];

    #[test]
    fn every_part_is_priced_exactly() {
        let cards = [card("USD", 0, BOTH)];
        let Pricing::Priced { charges, cost, .. } = price(&usage(), &cards, start(), None).unwrap()
        else {
            panic!("the card prices everything");
        };
        let costs: Vec<_> = charges.iter().map(|charge| charge.cost.amount()).collect();
        assert_eq!(costs, ["3.703701", "0.0000000375"]);
        assert_eq!(cost.amount(), "3.7037010375");
    }

    #[test]
    fn an_unknown_model_is_never_free() {
        let partial = card("USD", 0, &BOTH[..1]);
        for cards in [vec![], vec![partial]] {
            let missing = price(&usage(), &cards, start(), None).unwrap();
            let Pricing::Unpriced { missing } = missing else {
                panic!("nothing prices output")
            };
            assert!(missing.contains(&MeterKey::model("acme", "m", "output_tokens")));
        }
    }

    #[test]
    fn zero_is_a_price_when_it_is_said() {
        let free = card(
            "USD",
            0,
            &[("m input_tokens", "0", 1), ("m output_tokens", "0", 1)],
        );
        let Pricing::Priced { cost, .. } = price(&usage(), &[free], start(), None).unwrap() else {
            panic!("zero is a price");
        };
        assert!(cost.is_zero());
    }

    #[test]
    fn the_newest_valid_card_in_the_budgets_currency_decides() {
        let mut ended = card("USD", 1, BOTH);
        ended.valid_to = Some(start() + TimeDelta::days(2));
        let old = card("USD", 0, BOTH);
        let partial = card("USD", 2, &BOTH[..1]);
        let euro = card("EUR", 2, BOTH);
        let cards = [old.clone(), ended.clone(), partial, euro.clone()];
        let chosen = |day: i64, currency: Option<&str>| {
            let currency = currency.map(|code| code.parse().unwrap());
            match price(&usage(), &cards, start() + TimeDelta::days(day), currency).unwrap() {
                Pricing::Priced { rate_card_id, .. } => Some(rate_card_id),
                Pricing::Unpriced { .. } => None,
            }
        };
        assert_eq!(chosen(-1, None), None);
        assert_eq!(chosen(0, None), Some(old.id));
        assert_eq!(chosen(1, None), Some(ended.id));
        assert_eq!(chosen(3, None), Some(euro.id));
        assert_eq!(chosen(3, Some("USD")), Some(old.id));
        assert_eq!(chosen(3, Some("JPY")), None);
    }

    #[test]
    fn a_report_is_priced_in_one_currency() {
        let other = Usage {
            model: "n".into(),
            ..usage()
        };
        let lines = [usage(), other];
        let of_other = &[
            ("n input_tokens", "1", 1_000_000),
            ("n output_tokens", "1", 1_000_000),
        ];
        let euro = card("EUR", 2, BOTH);
        let (dollar, dollar_other) = (card("USD", 0, BOTH), card("USD", 1, of_other));
        let chosen = |cards: &[RateCard]| -> Vec<Option<RateCardId>> {
            let priced = super::price(&lines, cards, start() + TimeDelta::days(3), None);
            let id = |one: Result<Pricing, MoneyError>| match one.unwrap() {
                Pricing::Priced { rate_card_id, .. } => Some(rate_card_id),
                Pricing::Unpriced { .. } => None,
            };
            priced.into_iter().map(id).collect()
        };
        let all = [dollar.clone(), dollar_other.clone(), euro.clone()];
        let together = [Some(dollar.id), Some(dollar_other.id)];
        assert_eq!(
            chosen(&all),
            together,
            "the euros are newer, and price one line"
        );
        assert_eq!(
            chosen(&all[1..]),
            [Some(euro.id), None],
            "the newer of two that price one line"
        );
    }

    #[test]
    fn what_is_too_great_to_be_true_has_no_cost() {
        let dear = [
            ("m input_tokens", "999999999999", 1),
            ("m output_tokens", "0", 1),
        ];
        let priced = price(&usage(), &[card("USD", 0, &dear)], start(), None);
        assert_eq!(priced, Err(MoneyError::OutOfRange));
        let mut many = usage();
        many.output_tokens = GREATEST + 1;
        let priced = price(&many, &[card("USD", 0, BOTH)], start(), None);
        assert_eq!(priced, Err(MoneyError::OutOfRange));
    }
}
