//! incident: what went wrong, the log of every event, and the audit trail.
//!
//! - [`domain`]: the lifecycle with its guards, rules, chains of hashes. Pure.
//! - [`storage`]: the tables, one file each, with their queries beside them.
//! - [`clients`]: task-queue, for evidence.
//! - [`operations`]: one file for each verb.
//! - [`grpc`]: the RPCs of `reeve.incident.v1`, `reeve.event.v1` and `reeve.audit.v1`.
//! - [`loops`]: recording the services' events, applying rules, clocks, evidence.
//! - [`service`]: where everything meets.

mod clients;
mod config;
mod domain;
mod error;
mod grpc;
mod loops;
mod metrics;
mod operations;
mod service;
mod storage;

pub use config::{Config, DEFAULTS, EvidenceConfig, LifecycleConfig, ResponseConfig, StreamConfig};
pub use service::Incident;
