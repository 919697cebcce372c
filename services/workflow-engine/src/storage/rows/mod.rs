//! Rows as PostgreSQL has them, and the way to the domain: the one place that can find a row corrupt.

mod approval;
mod execution;
mod history;
mod waiting;
mod workflow;

use reeve_ids::Uuid;

use crate::domain::canonical::Digest;

pub use approval::ApprovalRow;
pub use execution::{
    ExecutionRow, Listed, ListedRow, Standing, StandingRow, StepJson, StepRow, StoppingJson,
    Stored, Tip,
};
pub use history::{Chained, HistoryRow};
pub use waiting::{CommandRow, DueTimer, TimerRow};
pub use workflow::{Published, WorkflowRow};

/// A row holds what no version of this service writes.
#[derive(Debug, thiserror::Error)]
#[error("corrupt row in {table}: {column} of {id} is {value:?}")]
pub struct Corrupt {
    table: &'static str,
    column: &'static str,
    id: Uuid,
    value: String,
}

fn word<T>(
    table: &'static str,
    column: &'static str,
    id: Uuid,
    value: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, Corrupt> {
    parse(value).ok_or_else(|| Corrupt {
        table,
        column,
        id,
        value: value.to_owned(),
    })
}

fn digest(
    table: &'static str,
    column: &'static str,
    id: Uuid,
    bytes: &[u8],
) -> Result<Digest, Corrupt> {
    bytes.try_into().map_err(|_| Corrupt {
        table,
        column,
        id,
        value: format!("{} bytes", bytes.len()),
    })
}
