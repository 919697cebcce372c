//! task-queue through its real server, on real PostgreSQL and Redis. agent-registry and finance are
//! played by [`peers`], which speak their contracts.

mod agents;
mod asks;
mod bad_input;
mod brakes;
mod budgets;
mod bulk;
mod cancel;
mod checkpoints;
#[path = "../../src/domain/cron_model.rs"]
mod cron_model;
mod database;
mod dependencies;
mod discard;
mod fairness;
mod fencing;
mod gates;
mod harness;
mod idempotency;
mod large;
mod leaving;
mod life;
mod limits;
mod list;
mod origin;
mod outage;
mod peers;
mod queues;
mod reconcile;
mod redis_loss;
mod relations;
mod replicas;
mod retries;
mod scaler;
mod schedules;
mod stream;
mod tenants;
mod timeouts;
mod typed;
mod types;
mod types_page;
mod types_refused;
mod watch;
mod worker;
