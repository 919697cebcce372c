//! What can be wrong with money.

use std::fmt;

/// Why an amount or a sum is refused. The text is fit for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoneyError {
    /// The text is not a plain decimal.
    Grammar,
    /// More decimal places than the kind of amount has.
    TooPrecise {
        /// Places that are allowed.
        places: u32,
    },
    /// Not a currency in use.
    UnknownCurrency,
    /// Two currencies in one sum.
    CurrencyMismatch {
        /// The currency of the sum so far.
        expected: crate::Currency,
        /// The other one.
        found: crate::Currency,
    },
    /// The amount is greater than what can be kept exactly.
    OutOfRange,
}

impl fmt::Display for MoneyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grammar => formatter.write_str(
                "must be a plain decimal like 12.50, with at most 18 digits before and 10 after \
                 the point, without exponent, sign of plus or negative zero",
            ),
            Self::TooPrecise { places } => {
                write!(formatter, "must have at most {places} decimal places")
            }
            Self::UnknownCurrency => formatter.write_str(
                "must be an ISO 4217 code in capitals of a currency in use, for example EUR",
            ),
            Self::CurrencyMismatch { expected, found } => {
                write!(formatter, "must be in {expected}, not {found}")
            }
            Self::OutOfRange => formatter.write_str("is greater than what can be kept exactly"),
        }
    }
}

impl std::error::Error for MoneyError {}
