//! What the load generator and the chaos run share: a platform of one's own, and calls to it.

// Latencies and rates are for people; nothing is decided by their last digit.
#![allow(clippy::cast_precision_loss)]

mod platform;
mod session;

pub use platform::{Held, Meter, Platform, Spent, environment};
pub use session::{Session, task};
