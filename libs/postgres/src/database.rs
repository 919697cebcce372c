//! One service's door to its schema.

use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reeve_ids::TenantId;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::begin::begin;
use crate::{DatabaseConfig, Error, Schema, Tx};

const AWAY: &str = "PostgreSQL does not answer";
const OLD: &str = "the schema is not migrated: run reeve migrate";

/// The pools of one service. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Database {
    requests: PgPool,
    internal: PgPool,
    /// Whether the schema was found to have what this version needs; it does not lose it again.
    migrated: Arc<AtomicBool>,
}

impl Database {
    /// Prepares the pools. Connections open when they are first needed, so a service starts and
    /// says that it is not ready while PostgreSQL is away, instead of dying in a loop.
    ///
    /// # Errors
    /// When the URL is malformed.
    pub fn connect(config: &DatabaseConfig, schema: &str) -> Result<Self, Error> {
        let base = PgConnectOptions::from_str(&config.url).map_err(Error::from)?;
        let timeout = config.statement_timeout_ms.to_string();
        let scoped = |all_tenants: &str| {
            base.clone()
                .application_name(&format!("reeve/{schema}"))
                .options([
                    ("search_path", schema),
                    ("reeve.all_tenants", all_tenants),
                    ("statement_timeout", timeout.as_str()),
                    ("idle_in_transaction_session_timeout", "30000"),
                ])
        };
        let pool = |connections: u32| {
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(Duration::from_millis(config.acquire_timeout_ms))
                // A round trip for every acquire; a broken connection shows in the begin.
                .test_before_acquire(false)
        };
        Ok(Self {
            requests: pool(config.max_connections).connect_lazy_with(scoped("off")),
            internal: pool(config.max_internal_connections).connect_lazy_with(scoped("on")),
            migrated: Arc::default(),
        })
    }

    /// Begins a transaction that sees one tenant, in one round trip.
    ///
    /// # Errors
    /// When PostgreSQL cannot be reached; nothing was written.
    pub async fn tenant(&self, tenant: TenantId) -> Result<Tx, Error> {
        // A typed id cannot carry SQL.
        let statement = format!("BEGIN; SET LOCAL reeve.tenant = '{tenant}'");
        begin(&self.requests, AssertSqlSafe(statement).into_sql_str()).await
    }

    /// Begins a transaction that sees all tenants, for loops and batched paths.
    ///
    /// # Errors
    /// When PostgreSQL cannot be reached; nothing was written.
    pub async fn internal(&self) -> Result<Tx, Error> {
        self.internal_with("BEGIN").await
    }

    /// As [`Database::internal`], begun by statements that also set what holds in it alone.
    ///
    /// # Errors
    /// When PostgreSQL cannot be reached; nothing was written.
    pub async fn internal_with(&self, statement: impl SqlSafeStr) -> Result<Tx, Error> {
        begin(&self.internal, statement.into_sql_str()).await
    }

    /// Connections that see all tenants, for single statements without a transaction block.
    pub fn internal_pool(&self) -> &PgPool {
        &self.internal
    }

    /// Whether a service can work: PostgreSQL answers, and the schema has every migration that this
    /// version needs. It may have later ones, of a version that is being rolled out.
    ///
    /// # Errors
    /// What is missing, for people.
    pub async fn check(&self, schema: &Schema) -> Result<(), &'static str> {
        if self.migrated.load(Ordering::Relaxed) {
            let reachable = self.is_reachable().await;
            return if reachable { Ok(()) } else { Err(AWAY) };
        }
        let mut connection = self.internal.acquire().await.map_err(|_| AWAY)?;
        match schema.is_applied(&mut connection).await {
            Ok(true) => {
                self.migrated.store(true, Ordering::Relaxed);
                Ok(())
            }
            Ok(false) => Err(OLD),
            Err(error) => match Error::classify(error) {
                Error::Unavailable(_) | Error::Timeout(_) => Err(AWAY),
                // No table of migrations, or no right to read it.
                _ => Err(OLD),
            },
        }
    }

    /// Whether PostgreSQL answers.
    pub async fn is_reachable(&self) -> bool {
        sqlx::query("select 1")
            .execute(&self.internal)
            .await
            .is_ok()
    }

    /// Closes every connection, once the transactions under way have ended.
    pub async fn close(&self) {
        self.requests.close().await;
        self.internal.close().await;
    }
}
