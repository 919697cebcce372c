//! The connection: one multiplexed socket for everything that does not block.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError,
    ScriptInvocation,
};

use crate::breaker::Breaker;
use crate::keys::Keys;
use crate::{Error, Leases, RateLimiter, ReadyQueues, RedisConfig, Streams, Wakeups};

/// The library's default of 500 ms makes a busy machine look like a dead one.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);
/// A host that drops packets must not hold up its callers for longer.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A handle to Redis. Cheap to clone; all clones share one socket and heal together.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    client: Client,
    manager: RwLock<Manager>,
    breaker: Breaker,
    keys: Keys,
}

/// A socket to the server, and which one it is since the start.
#[derive(Clone)]
struct Manager {
    number: u64,
    connection: ConnectionManager,
}

impl Redis {
    /// A handle, whether or not Redis is there: only a wrong configuration is an error. Tries to
    /// connect once, so that the first request finds a warm connection.
    pub async fn connect(config: &RedisConfig) -> Result<Self, Error> {
        config.check()?;
        let client = Client::open(config.url.as_str())
            .map_err(|error| Error::Config(error.category().to_owned()))?;
        let inner = Inner {
            manager: RwLock::new(Manager {
                number: 0,
                connection: lazy_connection(&client)?,
            }),
            client,
            breaker: Breaker::new(),
            keys: Keys::new(&config.prefix),
        };
        let redis = Self(Arc::new(inner));
        if let Err(error) = redis.ping().await {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(%error, cause, "starting without Redis");
        }
        Ok(redis)
    }

    /// Whether Redis answers now.
    pub async fn ping(&self) -> Result<(), Error> {
        self.query(&redis::cmd("PING")).await
    }

    /// The server's clock in milliseconds since 1970; all deadlines and expiries here are by it.
    pub async fn server_time(&self) -> Result<i64, Error> {
        let (seconds, micros): (i64, i64) = self.query(&redis::cmd("TIME")).await?;
        Ok(seconds * 1_000 + micros / 1_000)
    }

    /// One shard of the ready queues; 0 where there is only one.
    pub fn ready_queues(&self, shard: u16) -> ReadyQueues {
        ReadyQueues::new(self.clone(), shard)
    }

    /// The leases called `name`, spread over `shards` keys. Every replica must say the same number.
    pub fn leases(&self, name: &str, shards: u16) -> Leases {
        Leases::new(self.clone(), name, shards)
    }

    /// Event streams that keep about the newest `keep` entries each.
    pub fn streams(&self, keep: u32) -> Streams {
        Streams::new(self.clone(), keep)
    }

    /// Wake-ups among the replicas that use the same `name`. Starts two background tasks, which
    /// end with the last clone of the answer; hence call it once and clone.
    pub fn wakeups(&self, name: &str) -> Wakeups {
        Wakeups::new(self.clone(), name)
    }

    /// Token buckets.
    pub fn rate_limiter(&self) -> RateLimiter {
        RateLimiter::new(self.clone())
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    pub(crate) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        let mut manager = self.manager()?;
        let answer = command.query_async(&mut manager.connection).await;
        answer.map_err(|error| self.failed(manager.number, error))
    }

    pub(crate) async fn pipe<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, Error> {
        let mut manager = self.manager()?;
        let answer = pipeline.query_async(&mut manager.connection).await;
        answer.map_err(|error| self.failed(manager.number, error))
    }

    pub(crate) async fn invoke<T: FromRedisValue>(
        &self,
        invocation: &ScriptInvocation<'_>,
    ) -> Result<T, Error> {
        let mut manager = self.manager()?;
        let answer = invocation.invoke_async(&mut manager.connection).await;
        answer.map_err(|error| self.failed(manager.number, error))
    }

    /// A connection of one's own without a response timeout, for commands that block.
    pub(crate) async fn dedicated(&self) -> Result<MultiplexedConnection, Error> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(None);
        Ok(self
            .0
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await?)
    }

    fn manager(&self) -> Result<Manager, Error> {
        self.0.breaker.check()?;
        Ok(self
            .0
            .manager
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone())
    }

    fn failed(&self, number: u64, error: RedisError) -> Error {
        // The manager replaces a connection that was closed, but not one whose other end vanished
        // without a word (the kernel takes a quarter of an hour to notice), and it keeps the
        // refusal of a password for ever, although passwords are rotated.
        if error.is_timeout() || error.kind() == ErrorKind::AuthenticationFailed {
            self.replace(number);
        }
        let error = Error::from(error);
        self.0.breaker.note(&error);
        error
    }

    /// Once for all calls that fail on the same connection. Those still under way keep it.
    fn replace(&self, number: u64) {
        let mut manager = self
            .0
            .manager
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if manager.number != number {
            return;
        }
        if let Ok(connection) = lazy_connection(&self.0.client) {
            *manager = Manager {
                number: number + 1,
                connection,
            };
        }
    }
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a password.
        formatter
            .debug_struct("Redis")
            .field("keys", &self.0.keys)
            .finish_non_exhaustive()
    }
}

fn lazy_connection(client: &Client) -> Result<ConnectionManager, Error> {
    // No retries inside: a call fails at once, and the next call after the breaker's pause is the
    // retry.
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(0)
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT));
    Ok(ConnectionManager::new_lazy_with_config(
        client.clone(),
        config,
    )?)
}
