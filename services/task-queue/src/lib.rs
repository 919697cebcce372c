//! task-queue: work that is never lost, handed to the agents that can do it.
//!
//! - [`domain`]: the lifecycle, retries, order, lease tokens. Pure.
//! - [`storage`]: the schema `task_queue`, with the queries beside their callers.
//! - [`lanes`]: group commit, one lane for each hot verb.
//! - [`catalogues`]: the task types of each tenant, in memory.
//! - [`dispatch`]: the order of ready tasks in Redis, and waking who waits for them.
//! - [`operations`]: one file for each verb.
//! - [`grpc`]: the RPCs of `reeve.task.v1`, among them the work stream.
//! - [`clients`]: agent-registry and finance.
//! - [`loops`]: what the service does by itself.
//! - [`service`]: where everything meets.

mod catalogues;
mod clients;
mod config;
mod core;
mod demands;
mod dispatch;
mod domain;
mod ends;
mod error;
mod grpc;
mod lanes;
mod loops;
mod metrics;
mod offers;
mod operations;
mod service;
mod storage;

pub use config::{Config, DEFAULTS, QueueConfig};
pub use service::TaskQueue;

use error::Error;
use service::Queue;

/// The name that logs, tokens and operators use.
const NAME: &str = "task-queue";

/// The queue of tasks that name none.
const DEFAULT_QUEUE: &str = "default";
