//! What an attempt consumed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Consumption of one model or resource. The field names are those in events and at rest.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Who provides the model.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Tokens read; at most [`Usage::GREATEST_COUNT`].
    pub input_tokens: i64,
    /// Tokens read from a cache; at most [`Usage::GREATEST_COUNT`].
    pub cached_input_tokens: i64,
    /// Tokens written; at most [`Usage::GREATEST_COUNT`].
    pub output_tokens: i64,
    /// Busy seconds as a plain decimal with up to nine places, because it is billed.
    pub duration_seconds: String,
    /// Other quantities by unit, as plain decimals.
    pub quantities: BTreeMap<String, String>,
}

impl Usage {
    /// Numbers in events are doubles; up to here every integer has one of its own.
    pub const GREATEST_COUNT: i64 = 1 << 53;
}
