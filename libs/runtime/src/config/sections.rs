//! The sections that every service's configuration has. Their defaults, and what each key means,
//! are in `config.default.toml` of this crate.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use reeve_postgres::DatabaseConfig;
use reeve_redis::RedisConfig;

use super::{Secret, duration};

/// Every common section; in a service's own struct as `#[serde(flatten)] pub common: Common`.
#[derive(Debug, Clone, Deserialize)]
pub struct Common {
    /// Where clients connect.
    pub grpc: GrpcConfig,
    /// Where probes and Prometheus connect.
    pub admin: AdminConfig,
    /// The service's PostgreSQL role and database.
    pub database: DatabaseConfig,
    /// The Redis that all services share.
    pub redis: RedisConfig,
    /// Secrets that all services share.
    pub auth: AuthConfig,
    /// Where each service is reached.
    pub peers: PeersConfig,
    /// How lines of the log look.
    pub log: LogConfig,
    /// What clients may ask of the server.
    pub limits: LimitsConfig,
    /// How the server stops.
    pub drain: DrainConfig,
}

/// `[grpc]`: where clients connect.
#[derive(Debug, Clone, Deserialize)]
pub struct GrpcConfig {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// `[admin]`: where probes and Prometheus connect.
#[derive(Debug, Clone, Deserialize)]
pub struct AdminConfig {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// `[auth]`: secrets that the services of one installation share.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct AuthConfig {
    /// Signs the tokens with which services call each other.
    pub service_token_secret: Secret,
    /// Keys the hashes of API keys; agent-registry alone needs it.
    #[serde(default)]
    pub api_key_pepper: Secret,
}

/// `[peers]`: where each service is reached, "http://host:port".
#[derive(Debug, Clone, Deserialize)]
pub struct PeersConfig {
    /// agent-registry.
    pub agent_registry: String,
    /// task-queue.
    pub task_queue: String,
    /// workflow-engine.
    pub workflow_engine: String,
    /// finance.
    pub finance: String,
    /// incident.
    pub incident: String,
}

/// `[log]`.
#[derive(Debug, Clone, Deserialize)]
pub struct LogConfig {
    /// How lines look.
    pub format: LogFormat,
    /// Levels by target, for example "info,reeve_task_queue=debug".
    pub filter: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[limits]`: what a server lets clients ask of it.
#[derive(Debug, Clone, Deserialize)]
pub struct LimitsConfig {
    /// Deadline of a unary call that states none.
    #[serde(with = "duration")]
    pub unary_deadline: Duration,
    /// Unary calls at work at the same time; one more is answered with OVERLOADED.
    pub calls_in_flight: usize,
    /// Long polls waiting at the same time; one more is answered with OVERLOADED.
    pub long_polls: usize,
    /// Streams open at the same time; one more is answered with OVERLOADED.
    pub open_streams: usize,
    /// Connections at the same time; one more is closed.
    pub connections: usize,
    /// Connections from one address at the same time; one more is closed.
    pub connections_per_address: usize,
    /// How long a client may take to speak HTTP/2 once it is connected.
    #[serde(with = "duration")]
    pub handshake_timeout: Duration,
    /// Calls that one connection may have open.
    pub streams_per_connection: u32,
    /// Bytes of one call's metadata.
    pub header_bytes: u32,
    /// Age at which a connection is asked to reconnect, give or take a tenth.
    #[serde(with = "duration")]
    pub connection_age: Duration,
    /// How long calls may go on after that; then streams end with STREAM_EXPIRED.
    #[serde(with = "duration")]
    pub connection_grace: Duration,
    /// How often a quiet client is asked whether it is there.
    #[serde(with = "duration")]
    pub keepalive_interval: Duration,
    /// How long it may take to answer.
    #[serde(with = "duration")]
    pub keepalive_timeout: Duration,
}

/// `[drain]`: how a server stops.
#[derive(Debug, Clone, Deserialize)]
pub struct DrainConfig {
    /// How long to go on serving while not-ready, so that load balancers notice.
    #[serde(with = "duration")]
    pub notice: Duration,
    /// How long calls may take to finish after that; what is left is cut off.
    #[serde(with = "duration")]
    pub finish: Duration,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            unary_deadline: Duration::from_secs(30),
            calls_in_flight: 4_096,
            long_polls: 20_000,
            open_streams: 20_000,
            connections: 10_000,
            connections_per_address: 5_000,
            handshake_timeout: Duration::from_secs(5),
            streams_per_connection: 128,
            header_bytes: 16_384,
            connection_age: Duration::from_secs(300),
            connection_grace: Duration::from_secs(70),
            keepalive_interval: Duration::from_secs(60),
            keepalive_timeout: Duration::from_secs(20),
        }
    }
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self {
            notice: Duration::from_secs(5),
            finish: Duration::from_secs(18),
        }
    }
}
