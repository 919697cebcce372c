//! The sums of an invoice. They are computed here and never accepted from anyone.

use reeve_money::{Currency, Decimal, Money, MoneyError, allocate};

use super::rate_card::UnitPrice;
use super::words;

words! {
    /// Why a line is taxed as it is.
    TaxCategory {
        /// At a rate above zero.
        Standard = "STANDARD",
        /// At zero per cent.
        ZeroRated = "ZERO_RATED",
        /// Exempt.
        Exempt = "EXEMPT",
        /// The client owes the tax.
        ReverseCharge = "REVERSE_CHARGE",
        /// Export.
        Export = "EXPORT",
        /// Not subject to tax.
        OutsideScope = "OUTSIDE_SCOPE",
    }
}

impl TaxCategory {
    /// Its code in UNTDID 5305.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Standard => "S",
            Self::ZeroRated => "Z",
            Self::Exempt => "E",
            Self::ReverseCharge => "AE",
            Self::Export => "G",
            Self::OutsideScope => "O",
        }
    }
}

words! {
    /// Where a line comes from.
    LineKind {
        /// Tokens of a model.
        Model = "MODEL",
        /// Another resource.
        Resource = "RESOURCE",
        /// Time of an agent.
        Time = "TIME",
        /// Given by the caller.
        Custom = "CUSTOM",
    }
}

/// One line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it comes from.
    pub kind: LineKind,
    /// What is billed.
    pub description: String,
    /// How much.
    pub quantity: Decimal,
    /// Of what.
    pub unit: String,
    /// At what price.
    pub price: UnitPrice,
    /// Without tax.
    pub net: Money,
    /// Tax category.
    pub category: TaxCategory,
    /// Tax rate in per cent.
    pub percent: Decimal,
    /// Its share of the tax.
    pub tax: Money,
}

/// The tax of one category and rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaxSubtotal {
    /// Category.
    pub category: TaxCategory,
    /// Rate in per cent.
    pub percent: Decimal,
    /// Sum of the lines.
    pub taxable: Money,
    /// The tax.
    pub tax: Money,
}

/// The sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    /// Sum of the lines without tax.
    pub net: Money,
    /// Tax by category and rate.
    pub taxes: Vec<TaxSubtotal>,
    /// Sum of the taxes.
    pub tax: Money,
    /// All of it.
    pub total: Money,
}

/// Adds the lines up and gives each its share of the tax. Tax is computed on the sum of a category
/// and rate and rounded once, half away from zero; the lines share it by largest remainder.
///
/// # Errors
/// When a currency differs or a sum is out of range.
pub fn total(currency: Currency, lines: &mut [Line]) -> Result<Totals, MoneyError> {
    let mut groups: Vec<(TaxCategory, Decimal)> = Vec::new();
    for line in lines.iter() {
        if !groups.contains(&(line.category, line.percent)) {
            groups.push((line.category, line.percent));
        }
    }
    let mut taxes = Vec::with_capacity(groups.len());
    for (category, percent) in groups {
        let mut members: Vec<&mut Line> = lines
            .iter_mut()
            .filter(|line| (line.category, line.percent) == (category, percent))
            .collect();
        let taxable = Money::sum(currency, members.iter().map(|line| line.net))?;
        let tax = taxable.cost().percent(percent)?.round()?;
        let weights: Vec<_> = members
            .iter()
            .map(|line| Decimal::from(line.net.minor()))
            .collect();
        for (line, share) in members.iter_mut().zip(allocate(tax, &weights)?) {
            line.tax = share;
        }
        taxes.push(TaxSubtotal {
            category,
            percent,
            taxable,
            tax,
        });
    }
    let net = Money::sum(currency, taxes.iter().map(|tax| tax.taxable))?;
    let tax = Money::sum(currency, taxes.iter().map(|tax| tax.tax))?;
    Ok(Totals {
        net,
        taxes,
        tax,
        total: net.plus(tax)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(currency: Currency, net: i64, percent: i64) -> Line {
        Line {
            kind: LineKind::Custom,
            description: String::new(),
            quantity: Decimal::ONE,
            unit: String::new(),
            price: UnitPrice {
                amount: Decimal::ONE,
                per_units: 1,
            },
            net: Money::from_minor(net, currency).unwrap(),
            category: if percent == 0 {
                TaxCategory::Exempt
            } else {
                TaxCategory::Standard
            },
            percent: Decimal::new(percent, 2),
            tax: Money::zero(currency),
        }
    }

    #[test]
    fn tax_is_rounded_once_for_each_rate() {
        let euro = "EUR".parse().unwrap();
        // 19 % of 0.03 is 0.0057 a line; three lines are taxed as 0.09, not three times 0.01.
        let mut lines = vec![
            line(euro, 3, 1900),
            line(euro, 3, 1900),
            line(euro, 3, 1900),
        ];
        let totals = total(euro, &mut lines).unwrap();
        assert_eq!(
            (totals.net.minor(), totals.tax.minor(), totals.total.minor()),
            (9, 2, 11)
        );
        let shares: Vec<_> = lines.iter().map(|line| line.tax.minor()).collect();
        assert_eq!(shares, [1, 1, 0]);
    }

    #[test]
    fn a_currency_without_minor_units_has_none() {
        let yen = "JPY".parse().unwrap();
        let totals = total(yen, &mut [line(yen, 105, 1000)]).unwrap();
        assert_eq!(totals.tax.amount(), "11");
    }

    proptest! {
        #[test]
        fn equals_an_independent_recomputation(
            input in prop::collection::vec(
                (0_i64..10_000_000, prop::sample::select(vec![0_i64, 700, 1900, 2550])),
                1..30,
            ),
            code in prop::sample::select(vec!["EUR", "JPY", "TND"]),
        ) {
            let currency: Currency = code.parse().unwrap();
            let mut lines: Vec<_> =
                input.iter().map(|(net, percent)| line(currency, *net, *percent)).collect();
            let totals = total(currency, &mut lines).unwrap();

            // In integers alone: rate in hundredths of a per cent, half away from zero.
            let mut tax = 0_i64;
            for rate in [0_i64, 700, 1900, 2550] {
                let base: i64 = input.iter().filter(|(_, p)| *p == rate).map(|(net, _)| net).sum();
                tax += (base * rate + 5_000) / 10_000;
            }
            let net: i64 = input.iter().map(|(net, _)| net).sum();
            prop_assert_eq!(totals.net.minor(), net);
            prop_assert_eq!(totals.tax.minor(), tax);
            prop_assert_eq!(totals.total.minor(), net + tax);
            prop_assert_eq!(lines.iter().map(|line| line.tax.minor()).sum::<i64>(), tax);
        }
    }
}
