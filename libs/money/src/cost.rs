//! Accrued amounts.

use std::fmt;

use rust_decimal::Decimal;

use crate::{
    COST_SCALE, Currency, Money, MoneyError, format_decimal, parse_decimal, round_half_away,
};

/// An amount with ten decimal places: what a few tokens cost.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cost {
    amount: Decimal,
    currency: Currency,
}

impl Cost {
    /// Nothing, in a currency.
    pub const fn zero(currency: Currency) -> Self {
        Self {
            amount: Decimal::ZERO,
            currency,
        }
    }

    /// A decimal as a cost, rounded to ten places.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] from 10^18 on.
    pub fn new(amount: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        if amount.abs() >= Decimal::from(1_000_000_000_000_000_000_i64) {
            return Err(MoneyError::OutOfRange);
        }
        Ok(Self {
            amount: round_half_away(amount, COST_SCALE),
            currency,
        })
    }

    /// For an amount that is known to fit, as booked money does.
    pub(crate) const fn exact(amount: Decimal, currency: Currency) -> Self {
        Self { amount, currency }
    }

    /// Reads an amount with at most ten decimal places.
    ///
    /// # Errors
    /// When the text is no such amount.
    pub fn parse(amount: &str, currency: Currency) -> Result<Self, MoneyError> {
        Self::new(parse_decimal(amount)?, currency)
    }

    /// `quantity` units at `price` for every `per_units` of them.
    ///
    /// # Errors
    /// When the product is out of range.
    pub fn of_units(
        quantity: Decimal,
        price: Decimal,
        per_units: i64,
        currency: Currency,
    ) -> Result<Self, MoneyError> {
        let product = quantity.checked_mul(price).ok_or(MoneyError::OutOfRange)?;
        let amount = product
            .checked_div(Decimal::from(per_units))
            .ok_or(MoneyError::OutOfRange)?;
        Self::new(amount, currency)
    }

    /// The amount.
    pub const fn decimal(self) -> Decimal {
        self.amount
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.amount.is_zero()
    }

    /// Whether it is below zero.
    pub fn is_negative(self) -> bool {
        self.amount < Decimal::ZERO
    }

    /// The sum.
    ///
    /// # Errors
    /// When the currencies differ or the sum is out of range.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        self.combine(other, Decimal::checked_add)
    }

    /// The difference.
    ///
    /// # Errors
    /// When the currencies differ or the difference is out of range.
    pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
        self.combine(other, Decimal::checked_sub)
    }

    /// The sum of many.
    ///
    /// # Errors
    /// When a currency differs from `currency` or the sum is out of range.
    pub fn sum(
        currency: Currency,
        amounts: impl IntoIterator<Item = Self>,
    ) -> Result<Self, MoneyError> {
        amounts
            .into_iter()
            .try_fold(Self::zero(currency), Self::plus)
    }

    /// The same amount on the other side.
    #[must_use]
    pub fn negated(self) -> Self {
        Self {
            amount: -self.amount,
            currency: self.currency,
        }
    }

    /// `percent` per cent more, for example 20 for a fifth.
    ///
    /// # Errors
    /// When the result is out of range.
    pub fn plus_percent(self, percent: Decimal) -> Result<Self, MoneyError> {
        let extra = self.percent(percent)?;
        self.plus(extra)
    }

    /// `percent` per cent of it.
    ///
    /// # Errors
    /// When the result is out of range.
    pub fn percent(self, percent: Decimal) -> Result<Self, MoneyError> {
        let product = self
            .amount
            .checked_mul(percent)
            .ok_or(MoneyError::OutOfRange)?;
        Self::new(product / Decimal::ONE_HUNDRED, self.currency)
    }

    /// The booked amount, half away from zero.
    ///
    /// # Errors
    /// When it is out of range for booked money.
    pub fn round(self) -> Result<Money, MoneyError> {
        Money::from_decimal(
            round_half_away(self.amount, self.currency.exponent()),
            self.currency,
        )
    }

    fn combine(
        self,
        other: Self,
        operation: fn(Decimal, Decimal) -> Option<Decimal>,
    ) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch {
                expected: self.currency,
                found: other.currency,
            });
        }
        let amount = operation(self.amount, other.amount).ok_or(MoneyError::OutOfRange)?;
        Self::new(amount, self.currency)
    }

    /// Plain decimal with at least the currency's minor digits, for example "0.0003750".
    pub fn amount(self) -> String {
        format_decimal(self.amount, self.currency.exponent())
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.amount(), self.currency)
    }
}

impl fmt::Debug for Cost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Cost({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cost(amount: &str, code: &str) -> Cost {
        Cost::parse(amount, code.parse().unwrap()).unwrap()
    }

    #[test]
    fn rounds_half_away_from_zero() {
        for (amount, code, rounded) in [
            ("2.5", "JPY", "3"),
            ("-2.5", "JPY", "-3"),
            ("1.005", "EUR", "1.01"),
            ("-1.005", "EUR", "-1.01"),
            ("1.0049999999", "EUR", "1.00"),
            ("0.0005", "TND", "0.001"),
        ] {
            assert_eq!(
                cost(amount, code).round().unwrap().amount(),
                rounded,
                "{amount} {code}"
            );
        }
    }

    #[test]
    fn prices_tokens_below_a_cent_exactly() {
        let currency = "USD".parse().unwrap();
        let price: Decimal = "0.0375".parse().unwrap();
        let cost = Cost::of_units(Decimal::from(1), price, 1_000_000, currency).unwrap();
        assert_eq!(cost.amount(), "0.0000000375");
    }

    #[test]
    fn adds_a_percentage() {
        let fifth = cost("0.10", "EUR").plus_percent(Decimal::from(20)).unwrap();
        assert_eq!(fifth, cost("0.12", "EUR"));
    }

    #[test]
    fn refuses_what_it_cannot_hold() {
        let most = cost("999999999999999999.9999999999", "EUR");
        assert_eq!(
            most.plus(cost("0.0000000001", "EUR")),
            Err(MoneyError::OutOfRange)
        );
        assert!(matches!(
            cost("1", "EUR").plus(cost("1", "USD")),
            Err(MoneyError::CurrencyMismatch { .. })
        ));
        let currency = "EUR".parse().unwrap();
        assert_eq!(
            Cost::of_units(Decimal::MAX, Decimal::MAX, 1, currency),
            Err(MoneyError::OutOfRange)
        );
    }

    proptest! {
        #[test]
        fn rounding_moves_by_half_a_minor_unit_at_most(
            mantissa in -1_000_000_000_000_000_i64..1_000_000_000_000_000,
            code in prop::sample::select(vec!["EUR", "JPY", "TND"]),
        ) {
            let currency: Currency = code.parse().unwrap();
            let cost = Cost::new(Decimal::new(mantissa, COST_SCALE), currency).unwrap();
            let moved = cost.round().unwrap().cost().minus(cost).unwrap().decimal().abs();
            prop_assert!(moved <= Decimal::new(5, currency.exponent() + 1));
        }

        #[test]
        fn a_sum_does_not_depend_on_order(
            mut parts in prop::collection::vec(-1_000_000_000_000_i64..1_000_000_000_000, 0..50),
        ) {
            let currency: Currency = "EUR".parse().unwrap();
            let sum = |parts: &[i64]| {
                let costs = parts.iter().map(|part| {
                    Cost::new(Decimal::new(*part, COST_SCALE), currency).unwrap()
                });
                Cost::sum(currency, costs)
            };
            let forward = sum(&parts);
            parts.reverse();
            prop_assert_eq!(forward, sum(&parts));
        }
    }
}
