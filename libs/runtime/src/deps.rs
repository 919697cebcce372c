//! What a service is built from.

use std::fmt;
use std::sync::Arc;

use reeve_auth::ServiceTokens;
use reeve_clock::{Clock, SystemClock};
use reeve_events::Wake;
use reeve_postgres::Database;
use reeve_redis::Redis;
use tokio_util::sync::CancellationToken;

use crate::config::Common;
use crate::metrics::Metrics;
use crate::peer::Peers;
use crate::service::BuildError;

/// Everything that a service shares with the process it runs in; clones share it.
#[derive(Clone)]
pub struct Deps {
    /// The service's schema.
    pub database: Database,
    /// Redis; the service works, more slowly, without it.
    pub redis: Redis,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// The other services.
    pub peers: Peers,
    /// Wakes the relay of the service's events.
    pub wake: Wake,
    /// What the service counts.
    pub metrics: Metrics,
    /// Cancelled when the server drains: streams and long polls end.
    pub drain: CancellationToken,
}

impl Deps {
    /// Prepares the connections of the service `name` with the schema `schema`. Neither PostgreSQL
    /// nor Redis needs to be there yet.
    ///
    /// # Errors
    /// When an address is malformed.
    pub async fn connect(
        name: &'static str,
        schema: &str,
        config: &Common,
    ) -> Result<Self, BuildError> {
        let tokens = ServiceTokens::new(config.auth.service_token_secret.expose());
        Ok(Self {
            database: Database::connect(&config.database, schema)
                .map_err(BuildError::step("read database.url"))?,
            redis: Redis::connect(&config.redis)
                .await
                .map_err(BuildError::step("read redis.url"))?,
            clock: Arc::new(SystemClock),
            peers: Peers::new(&config.peers, name, &tokens)?,
            wake: Wake::new(),
            metrics: Metrics::new(name),
            drain: CancellationToken::new(),
        })
    }
}

impl fmt::Debug for Deps {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Deps")
    }
}
