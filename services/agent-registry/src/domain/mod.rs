//! What an agent is and may do. Pure: time is an argument, effects are data.

pub mod agent;
pub mod api_key;
pub mod availability;
pub mod brake;
pub mod heartbeat;
pub mod state;
pub mod workload;
