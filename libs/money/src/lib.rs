//! Exact money: decimal amounts in one ISO 4217 currency, with the rounding rules of invoices.
//!
//! Two kinds of amount are kept apart. [`Money`] is booked: a whole number of minor units, as it
//! stands on an invoice or in a bank account. [`Cost`] is accrued: a decimal with ten places, as
//! a few thousand tokens cost. Costs become money by rounding half away from zero, once, with
//! [`Cost::round`], or several at a time by largest remainder, with [`allocate`]. Arithmetic is
//! checked and refuses to mix currencies; there is no way in from a float.

mod allocate;
mod cost;
mod currency;
mod error;
mod grammar;
mod money;

pub use allocate::allocate;
pub use cost::Cost;
pub use currency::Currency;
pub use error::MoneyError;
pub use grammar::{format_decimal, parse_decimal};
pub use money::Money;
pub use rust_decimal::Decimal;

/// Decimal places of an accrued cost or a price.
pub const COST_SCALE: u32 = 10;

/// Rounds half away from zero: 0.5 becomes 1 and -0.5 becomes -1. The decimal library's own
/// default is the banker's rounding, which no invoice expects.
pub fn round_half_away(value: Decimal, places: u32) -> Decimal {
    value.round_dp_with_strategy(places, rust_decimal::RoundingStrategy::MidpointAwayFromZero)
}
