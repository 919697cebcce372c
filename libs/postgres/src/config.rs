//! How to reach PostgreSQL.

use std::fmt;

use serde::Deserialize;

/// Where a service's database is and how many connections it may hold.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// Connection URL of the service's app role: postgres://role:password@host:port/database.
    pub url: String,
    /// Connections for requests; each runs one transaction at a time.
    pub max_connections: u32,
    /// Connections for loops and batched paths, apart so that neither starves the other.
    pub max_internal_connections: u32,
    /// How long a request waits for a free connection, in milliseconds.
    pub acquire_timeout_ms: u64,
    /// How long one statement may run, in milliseconds.
    pub statement_timeout_ms: u64,
}

impl DatabaseConfig {
    /// The defaults with a URL, for tests and tools.
    pub fn with_url(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_connections: 8,
            max_internal_connections: 8,
            acquire_timeout_ms: 5_000,
            statement_timeout_ms: 15_000,
        }
    }

    /// Every problem of this section, each with its key.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.url.starts_with("postgres://") && !self.url.starts_with("postgresql://") {
            problems.push("database.url: must begin with postgres:// or postgresql://".to_owned());
        }
        for (key, value) in [
            ("max_connections", u64::from(self.max_connections)),
            (
                "max_internal_connections",
                u64::from(self.max_internal_connections),
            ),
            ("acquire_timeout_ms", self.acquire_timeout_ms),
            ("statement_timeout_ms", self.statement_timeout_ms),
        ] {
            if value == 0 {
                problems.push(format!("database.{key} must be at least 1"));
            }
        }
        problems
    }
}

impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DatabaseConfig")
            .field("url", &"redacted")
            .field("max_connections", &self.max_connections)
            .field("max_internal_connections", &self.max_internal_connections)
            .field("acquire_timeout_ms", &self.acquire_timeout_ms)
            .field("statement_timeout_ms", &self.statement_timeout_ms)
            .finish()
    }
}
