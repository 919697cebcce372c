//! The gRPC face: parse, operate, render.

mod audit_service;
mod event_service;
mod follow;
mod incident_service;
mod parse;
mod render;
mod rule_service;
mod watch;
mod words;

pub use audit_service::AuditApi;
pub use event_service::EventApi;
pub use follow::Streams;
pub use incident_service::IncidentApi;
pub use rule_service::RuleApi;
