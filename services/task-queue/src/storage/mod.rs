//! The schema `task_queue`. Functions take the connection of whoever runs the transaction; each
//! statement names the tenants that it concerns.

mod artifacts;
mod brakes;
mod bulk;
mod create;
mod delegation_rows;
pub mod delegations;
mod demands;
mod dependencies;
mod details;
mod ending;
mod gate_rows;
mod gates;
mod lease;
pub mod limits;
mod parts;
mod read;
mod revival;
mod rows;
mod schedule_rows;
pub mod schedule_runs;
pub mod schedules;
mod sweep;
mod task_rows;
mod task_types;

use std::sync::LazyLock;

use reeve_postgres::Schema;
use reeve_postgres::sqlx::migrate::Migrator;

pub use artifacts::{Made, artifacts_of, insert_artifacts};
pub use brakes::{
    FiguresRow, GRANTS, braked, count_brakes, figures, get_brake, insert_brake, is_braked,
    list_brakes, lock_key, released, remove_brake, wait_for_grants,
};
pub use bulk::{Kind, choose, count, insert_discards, lock_outcomes, request_cancel};
pub use create::{claim_requests, existing_tasks, find_requests, insert_tasks, unclaim_requests};
pub use demands::{all_demands, expire_demands, put_demands};
pub use dependencies::{Dependent, dependents, end_states, hold_dependencies, release, unblock};
pub use details::Details;
pub use ending::{
    Completion, Ending, Requeue, complete, end, ended_attempts, lock, progress_usage, requeue,
};
pub use gate_rows::GateRow;
pub use gates::{
    AnswerBy, GateFilter, NewGate, answer_gate, answers, cancel_gates, expire_gate, gates_of,
    get_gate, insert_gates, list_gates, open_gate, pass, put_checkpoints,
};
pub use lease::{
    Advance, GrantAsk, Leased, Progress, Renewal, Renewed, advance, grant, passed_over, pick,
    put_progress, renew, standing_of,
};
pub use parts::{ancestors, parts_of};
pub use read::{Filter, attempts, children, get, get_readable, list};
pub use revival::{remove_outcome, revive};
pub use rows::{
    AdvancedRow, CompletedRow, EndedRow, Facts, LockedRow, PassedRow, PlaceRow, ReadyRow, priority,
    state,
};
pub use schedule_rows::Locked as LockedSchedule;
pub use sweep::{
    Due, Limits, LineCount, Unadmitted, Unblocked, admit, due, held_by, postpone, ready_counts,
    ready_of_lanes, ready_page, unadmitted,
};

pub use task_types::{
    all_types, count_types, delete_type, get_type, insert_type, list_types, lock_type, take_turn,
    type_by_request, update_type,
};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The schema with everything that makes it.
pub static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    Schema::new("task_queue")
        .with("events", &reeve_events::MIGRATIONS)
        .with("service", &MIGRATIONS)
});
