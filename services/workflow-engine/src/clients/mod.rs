//! The services that this one calls.

mod task_queue;

pub use task_queue::{AttemptKey, ORIGIN, TaskQueue};
