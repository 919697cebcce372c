//! agent-registry: which agents exist, whether they are healthy, and who may call what.
//!
//! - [`domain`]: the status machine, what a heartbeat means, when not to believe silence. Pure.
//! - [`storage`]: the tables, one file each, with their queries beside them.
//! - [`fleet`]: the agents that this process has heard of, in memory: the heartbeats' hot path.
//! - [`tail`]: the newest events of this service, for watches.
//! - [`credentials`]: from an API key to a principal.
//! - [`operations`]: one file for each verb.
//! - [`grpc`]: the RPCs of `reeve.agent.v1` and `reeve.identity.v1`.
//! - [`loops`]: what the service does by itself.
//! - [`service`]: where everything meets.

mod config;
mod credentials;
mod domain;
mod error;
mod fleet;
mod grpc;
mod loops;
mod metrics;
mod operations;
mod service;
mod storage;
mod tail;

pub use config::{BootstrapConfig, Config, DEFAULTS, HeartbeatConfig, WatchConfig};
pub use service::AgentRegistry;
