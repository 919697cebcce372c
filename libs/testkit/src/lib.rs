//! For tests: private servers, a database per test from a template, and waiting for a condition.
//!
//! - [`TestDatabase`]: a database of its own, migrated, on this test process's PostgreSQL;
//! - [`redis`]: a key prefix of its own on this test process's Redis;
//! - [`eventually`]: waits for a condition instead of sleeping;
//! - [`serve`]: a service on free ports, built from [`deps`];
//! - [`StaticAuthenticator`]: credentials for tests without agent-registry.
//!
//! The first test that asks starts the servers, in memory where there is room; they end with the
//! process, however it ends. `REEVE_TEST_DATABASE_URL` (an administrator's) and
//! `REEVE_TEST_REDIS_URL` name servers to use instead.

mod authenticator;
mod database;
mod patience;
mod serve;
mod servers;

pub use authenticator::{StaticAuthenticator, authorize};
pub use database::TestDatabase;
pub use patience::{Outcome, eventually};
pub use serve::{Running, SERVICE_SECRET, deps, serve};
pub use servers::{TestPostgres, TestRedis, postgres, redis};
