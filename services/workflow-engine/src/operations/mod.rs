//! One file for each verb. A change is one transaction: lock the execution, decide, save with history
//! and events, commit, wake.

mod abandon;
pub mod apply_report;

mod control_execution;
pub mod create_workflow;
pub mod decide_approval;
pub mod engine;
pub mod fire_timers;
mod held;
mod publish;
pub mod read;
pub mod relay_commands;
pub mod start_execution;

pub use engine::{Author, Engine};
