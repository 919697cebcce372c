//! incident through its real server, on real PostgreSQL and Redis.

mod audit;
mod bad_input;
mod correlation;
mod database;
mod harness;
mod isolation;
mod lifecycle;
mod parts;
mod peer;
mod postmortem;
mod rules;
mod size;
mod streams;
