//! One thin wrapper for each service that this one calls.

pub mod feed;
pub mod task_queue;
