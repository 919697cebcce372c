//! finance: what the work costs, the budgets that hold it, and the invoices it ends in.
//!
//! - [`domain`]: prices, budgets, the lives of invoices and payments, the ledger. Pure.
//! - [`storage`]: the tables, one file each, with their queries beside them.
//! - [`operations`]: one file for each verb; one verb, one transaction.
//! - [`grpc`]: the RPCs of `reeve.finance.v1`.
//! - [`loops`]: what the service does by itself, the task queue's events first of all.
//! - [`pdf`]: the invoice on paper.
//! - [`service`]: where everything meets.

mod config;
mod domain;
mod error;
mod grpc;
mod loops;
mod metrics;
mod operations;
mod pdf;
mod service;
mod storage;

pub use config::{Config, DEFAULTS, LoopsConfig};
pub use service::Finance;
