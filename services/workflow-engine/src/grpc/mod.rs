//! The contract's face: parse, operate, render.

mod approval_api;
mod parse;
mod parse_definition;
mod render;
mod render_definition;
mod watch;
mod workflow_api;

pub use approval_api::ApprovalApi;
pub use workflow_api::WorkflowApi;
