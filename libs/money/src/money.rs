//! Booked amounts.

use std::fmt;

use rust_decimal::Decimal;

use crate::{Cost, Currency, MoneyError, format_decimal, parse_decimal};

/// The greatest booked amount: below 2^53, so that any client can hold the minor units exactly.
const MOST: i64 = 9_000_000_000_000_000;

/// A whole number of a currency's minor units.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// Nothing, in a currency.
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// An amount in minor units, for example cents.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] beyond 9,000,000,000,000,000 minor units.
    pub const fn from_minor(minor: i64, currency: Currency) -> Result<Self, MoneyError> {
        if minor > MOST || minor < -MOST {
            return Err(MoneyError::OutOfRange);
        }
        Ok(Self { minor, currency })
    }

    /// Reads an amount that has at most the currency's minor digits.
    ///
    /// # Errors
    /// When the text is no such amount.
    pub fn parse(amount: &str, currency: Currency) -> Result<Self, MoneyError> {
        Self::from_decimal(parse_decimal(amount)?, currency)
    }

    /// An exact decimal as booked money.
    ///
    /// # Errors
    /// [`MoneyError::TooPrecise`] when it has more than the currency's minor digits.
    pub fn from_decimal(amount: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        let places = currency.exponent();
        let minor = amount
            .checked_mul(Decimal::from(10_i64.pow(places)))
            .ok_or(MoneyError::OutOfRange)?
            .normalize();
        if minor.scale() > 0 {
            return Err(MoneyError::TooPrecise { places });
        }
        let minor = i64::try_from(minor).map_err(|_| MoneyError::OutOfRange)?;
        Self::from_minor(minor, currency)
    }

    /// The amount in minor units.
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// The amount in whole units.
    pub fn decimal(self) -> Decimal {
        Decimal::new(self.minor, self.currency.exponent())
    }

    /// The amount as an accrued cost.
    pub fn cost(self) -> Cost {
        Cost::exact(self.decimal(), self.currency)
    }

    /// The sum.
    ///
    /// # Errors
    /// When the currencies differ or the sum is out of range.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        self.combine(other, i64::checked_add)
    }

    /// The difference.
    ///
    /// # Errors
    /// When the currencies differ or the difference is out of range.
    pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
        self.combine(other, i64::checked_sub)
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

    fn combine(
        self,
        other: Self,
        operation: fn(i64, i64) -> Option<i64>,
    ) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch {
                expected: self.currency,
                found: other.currency,
            });
        }
        let minor = operation(self.minor, other.minor).ok_or(MoneyError::OutOfRange)?;
        Self::from_minor(minor, self.currency)
    }

    /// Plain decimal with all minor digits, for example "12.50".
    pub fn amount(self) -> String {
        format_decimal(self.decimal(), self.currency.exponent())
    }
}

impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.amount(), self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Money({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn keeps_to_the_minor_digits() {
        assert_eq!(Money::parse("12.5", currency("EUR")).unwrap().minor(), 1250);
        assert_eq!(
            Money::parse("12.500", currency("EUR")).unwrap().amount(),
            "12.50"
        );
        assert_eq!(Money::parse("12", currency("JPY")).unwrap().amount(), "12");
        let too_precise = Err(MoneyError::TooPrecise { places: 2 });
        assert_eq!(Money::parse("12.505", currency("EUR")), too_precise);
        assert_eq!(
            Money::parse("0.1", currency("JPY")),
            Err(MoneyError::TooPrecise { places: 0 })
        );
    }

    #[test]
    fn never_mixes_currencies() {
        let euro = Money::parse("1", currency("EUR")).unwrap();
        let dollar = Money::parse("1", currency("USD")).unwrap();
        assert!(matches!(
            euro.plus(dollar),
            Err(MoneyError::CurrencyMismatch { .. })
        ));
    }

    #[test]
    fn never_leaves_its_range() {
        let most = Money::from_minor(MOST, currency("EUR")).unwrap();
        let cent = Money::from_minor(1, currency("EUR")).unwrap();
        assert_eq!(most.plus(cent), Err(MoneyError::OutOfRange));
        assert_eq!(
            Money::parse("999999999999999999", currency("EUR")),
            Err(MoneyError::OutOfRange)
        );
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            minor in -MOST..=MOST,
            code in prop::sample::select(vec!["EUR", "JPY", "TND", "CLF"]),
        ) {
            let money = Money::from_minor(minor, currency(code)).unwrap();
            prop_assert_eq!(Money::parse(&money.amount(), money.currency()), Ok(money));
            prop_assert_eq!(money.cost().round(), Ok(money));
        }

        #[test]
        fn adding_and_subtracting_undo_each_other(a in -MOST / 2..MOST / 2, b in -MOST / 2..MOST / 2) {
            let (a, b) = (
                Money::from_minor(a, currency("EUR")).unwrap(),
                Money::from_minor(b, currency("EUR")).unwrap(),
            );
            prop_assert_eq!(a.plus(b).unwrap().minus(b), Ok(a));
        }
    }
}
