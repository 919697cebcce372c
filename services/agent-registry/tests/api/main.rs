//! agent-registry through its real server, on real PostgreSQL and Redis.

mod agents;
mod bad_input;
mod configuration;
mod database;
mod harness;
mod heartbeats;
mod identity;
mod isolation;
mod lapse;
mod outage;
mod registration;
mod repetitions;
mod replicas;
mod states;
mod watch;
