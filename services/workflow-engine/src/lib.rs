//! workflow-engine: multi-step plans over agents, with people approving what matters.
//!
//! - [`domain`] is what a workflow is and how an execution moves; pure.
//! - [`storage`] keeps definitions, executions, their history and what is still to be done.
//! - [`operations`] has one file for each verb: lock, decide, save, commit, wake.
//! - `grpc` is the contract's face, `clients` calls task-queue, `loops` is what goes on by itself.
//! - [`WorkflowEngine::build`] is where everything meets.

mod clients;
mod config;
pub mod domain;
mod error;
mod grpc;
mod loops;
mod metrics;
pub mod operations;
mod service;
pub mod storage;

pub use config::{Config, DEFAULTS};
pub use error::Error;
pub use service::{WorkflowEngine, schema};
