//! workflow-engine through its real server, on real PostgreSQL and Redis.
//!
//! What is covered where: here, definitions, executions, approvals, watches, tenants and bad input.
//! Most tests run with task-queue away: what it would report is brought to the engine by the operation
//! that its event consumer calls. What the engine asks of task-queue and hears from it is tested in
//! `dispatch`, with a scripted one. The life of steps under every order of news is tested beside
//! `decide`; both services together, with real agents, in the system tests at the root of the
//! repository.
//!
//! Every test ends with [`harness::World::finish`]: no execution may lack a wake source, and every
//! history must be a whole chain of hashes.

mod approvals;
mod bad_input;
mod definitions;
mod dispatch;
mod executions;
mod harness;
mod isolation;
mod queue;
mod reading;
mod timers;
mod watch;
