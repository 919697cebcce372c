//! ISO 4217 currencies that are in use.

use std::fmt;
use std::str::FromStr;

use crate::MoneyError;

/// Still in the table of codes, no longer legal tender: Bulgaria, Croatia, Cuba, Sierra Leone and
/// Zimbabwe replaced them.
const WITHDRAWN: &[&str] = &["BGN", "CUC", "HRK", "SLL", "ZWL"];

/// A currency with minor units: no precious metal, fund unit or test code.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency {
    currency: iso_currency::Currency,
    exponent: u32,
}

impl Currency {
    /// The alphabetic code, for example "EUR".
    pub fn code(self) -> &'static str {
        self.currency.code()
    }

    /// Digits after the point of a booked amount: 2 for EUR, 0 for JPY, 3 for TND.
    pub const fn exponent(self) -> u32 {
        self.exponent
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(code: &str) -> Result<Self, MoneyError> {
        if WITHDRAWN.contains(&code) {
            return Err(MoneyError::UnknownCurrency);
        }
        let currency =
            iso_currency::Currency::from_code(code).ok_or(MoneyError::UnknownCurrency)?;
        // The table gives no exponent to metals, baskets and test codes.
        let exponent = currency.exponent().ok_or(MoneyError::UnknownCurrency)?;
        Ok(Self {
            currency,
            exponent: u32::from(exponent),
        })
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_minor_digits() {
        for (code, exponent) in [("EUR", 2), ("USD", 2), ("JPY", 0), ("TND", 3), ("CLF", 4)] {
            let currency: Currency = code.parse().unwrap();
            assert_eq!((currency.code(), currency.exponent()), (code, exponent));
        }
    }

    #[test]
    fn refuses_what_is_no_currency_in_use() {
        let wrong = [
            "", "eur", "EURO", "XAU", "XAG", "XXX", "XTS", "XDR", "ZZZ", "978",
        ];
        for code in wrong.iter().chain(WITHDRAWN) {
            assert_eq!(
                code.parse::<Currency>(),
                Err(MoneyError::UnknownCurrency),
                "{code:?}"
            );
        }
    }
}
