//! Rows as PostgreSQL has them, and the way to the domain: the one place that can find a row
//! corrupt.

mod event;
mod incident;
mod rule;
mod timeline;

use std::fmt::Debug;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

pub use event::{EventRow, EvidenceRow, HeadRow};
pub use incident::{IncidentRow, PastRow};
pub use rule::{AlertRow, RuleRow};
pub use timeline::TimelineRow;

use crate::domain::canonical::Digest;

/// A row holds what no version of this service writes.
#[derive(Debug, thiserror::Error)]
#[error("corrupt row of {table}: {column} is {value}")]
pub struct Corrupt {
    table: &'static str,
    column: &'static str,
    value: String,
}

impl Corrupt {
    /// A corrupt value.
    pub fn new(table: &'static str, column: &'static str, value: impl Debug) -> Self {
        Self {
            table,
            column,
            value: format!("{value:?}"),
        }
    }
}

/// A word of a closed set.
fn word<T>(
    table: &'static str,
    column: &'static str,
    text: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, Corrupt> {
    parse(text).ok_or_else(|| Corrupt::new(table, column, text))
}

/// A digest of 32 bytes.
fn digest(table: &'static str, column: &'static str, bytes: &[u8]) -> Result<Digest, Corrupt> {
    bytes
        .try_into()
        .map_err(|_| Corrupt::new(table, column, bytes))
}

/// A document.
pub fn document<T: DeserializeOwned>(
    table: &'static str,
    column: &'static str,
    json: Json,
) -> Result<T, Corrupt> {
    serde_json::from_value(json).map_err(|error| Corrupt::new(table, column, error))
}

/// A nullable time and the like need no check; this only names the type once.
type Time = DateTime<Utc>;
