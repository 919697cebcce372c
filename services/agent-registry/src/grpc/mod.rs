//! The RPCs: parse, operate, render.

mod agent_service;
mod identity_service;
mod parse;
mod parse_agent;
mod parse_heartbeat;
mod parse_identity;
mod render_agent;
mod render_identity;

pub use agent_service::AgentApi;
pub use identity_service::IdentityApi;
