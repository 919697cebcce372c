//! The rules of finance, pure: no clock, no database, no wire. `now` is an argument and effects
//! are data, so every rule can be tested by itself.

use reeve_money::Money;

pub mod billing;
pub mod budget;
pub mod invoice;
pub mod invoice_status;
pub mod ledger;
pub mod payment;
pub mod pricing;
pub mod rate_card;
pub mod totals;
pub mod usage;

/// The greatest count, quantity, price and cost of one line: more is a mistake of whoever reports
/// it. The books hold sums below 10^18, a million times as much.
pub const GREATEST: i64 = 1_000_000_000_000;

/// A lifecycle that has no such edge, or an edge whose guard does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forbidden {
    /// The state that it is in.
    pub from: &'static str,
    /// The state that was asked for.
    pub to: &'static str,
    /// The states that it could go to.
    pub legal: Vec<&'static str>,
    /// The guard that does not hold.
    pub guard: Option<Guard>,
}

/// What forbids an edge that the lifecycle has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// It is not issued yet.
    NotIssued,
    /// This much is paid, and this much is on its way.
    Money {
        /// Paid.
        paid: Money,
        /// On its way.
        pending: Money,
    },
}

/// Declares a closed set of words, as the database and events spell them.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$each])* $variant,)+
        }

        impl $name {
            /// Every one, in order.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word in the database and in events.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// The one that a word stands for.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == word)
            }
        }
    };
}
pub(crate) use words;
