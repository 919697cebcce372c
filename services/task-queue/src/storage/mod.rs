//! The schema `task_queue`. Functions take the connection of whoever runs the transaction; each
//! statement names the tenants that it concerns.

mod create;
mod details;
mod ending;
mod lease;
mod read;
mod rows;
mod sweep;

use std::sync::LazyLock;

use reeve_postgres::Schema;
use reeve_postgres::sqlx::migrate::Migrator;

pub use create::{claim_requests, existing_tasks, hold_dependencies, insert_tasks};
pub use details::Details;
pub use ending::{
    Completion, Ending, Requeue, complete, dependents, end, end_states, ended_attempts, lock,
    remove_outcome, requeue, revive, unblock,
};
pub use lease::{
    Advance, GrantAsk, Progress, Renewal, Renewed, advance, grant, pick, put_progress, refused,
    renew, request_cancel, standing_of,
};
pub use read::{Filter, attempts, get, list};
pub use rows::{AdvancedRow, CompletedRow, EndedRow, Facts, LockedRow, ReadyRow, priority, state};
pub use sweep::{
    Due, LaneCount, Unadmitted, Unblocked, admit, due, held_by, ready_counts, ready_of_lane,
    ready_page, unadmitted,
};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The schema with everything that makes it.
pub static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    Schema::new("task_queue")
        .with("events", &reeve_events::MIGRATIONS)
        .with("service", &MIGRATIONS)
});
