//! task-queue through its real server, on real PostgreSQL and Redis. agent-registry and finance are
//! played by [`peers`], which speak their contracts.

mod agents;
mod bad_input;
mod budgets;
mod cancel;
mod database;
mod dependencies;
mod fencing;
mod harness;
mod idempotency;
mod life;
mod list;
mod peers;
mod redis_loss;
mod replicas;
mod retries;
mod stream;
mod tenants;
mod timeouts;
mod watch;
mod worker;
