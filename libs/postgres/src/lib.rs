//! The PostgreSQL pool: tenant scope, migrations, SQLSTATE classification and page tokens.
//!
//! A service reaches its schema, and no other, through [`Database`]: a transaction for one tenant
//! ([`Database::tenant`]) or, for loops and batched paths, one that sees all of them
//! ([`Database::internal`]). Row-level security backs what every query says by itself.

mod begin;
mod config;
mod database;
mod error;
mod migrate;
pub mod page;
mod tx;

pub use config::DatabaseConfig;
pub use database::Database;
pub use error::Error;
pub use migrate::{AppPassword, MigrateError, Schema, ensure_database, migrate};
pub use sqlx;
pub use tx::Tx;
