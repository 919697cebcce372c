//! The services that this one calls.

mod agents;
mod budgets;

pub use agents::Agents;
pub use budgets::{Budgets, Refusal, Reservation};
