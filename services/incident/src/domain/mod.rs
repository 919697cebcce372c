//! What this service knows, without a database, a network or a clock: the lifecycle of incidents
//! with its guards, the rules that open them, and the chains of hashes that protect the records.

pub mod alert;
pub mod canonical;
pub mod classification;
pub mod correlation;
pub mod costs;
pub mod error_class;
pub mod evidence;
pub mod incident;
pub mod lifecycle;
#[cfg(test)]
mod lifecycle_tests;
pub mod logged;
pub mod markdown;
pub mod parts;
pub mod rule;
pub mod rules_built_in;
pub mod status;
pub mod timeline;
pub mod title;
mod words;
