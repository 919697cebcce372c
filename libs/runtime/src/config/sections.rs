//! The sections that every service's configuration has. Their defaults, and what each key means,
//! are in `config.default.toml` of this crate.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use reeve_postgres::DatabaseConfig;
use reeve_redis::RedisConfig;

use super::{Secret, Validate, duration};

/// The shortest secret that is accepted.
const SECRET_CHARACTERS: usize = 32;
/// What orchestrators grant between SIGTERM and SIGKILL, less the time to be cut off.
const LONGEST_DRAIN: Duration = Duration::from_secs(27);

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

impl Validate for Common {
    fn validate(&self) -> Vec<String> {
        let mut problems = self.database.problems();
        let mut check = |right: bool, problem: &str| {
            if !right {
                problems.push(problem.to_owned());
            }
        };
        let secret = self.auth.service_token_secret.expose().chars().count();
        check(
            secret >= SECRET_CHARACTERS,
            "auth.service_token_secret: must have at least 32 characters; \
             REEVE_AUTH__SERVICE_TOKEN_SECRET_FILE reads it from a file",
        );
        let peers = &self.peers;
        for (name, url) in [
            ("agent_registry", &peers.agent_registry),
            ("task_queue", &peers.task_queue),
            ("workflow_engine", &peers.workflow_engine),
            ("finance", &peers.finance),
            ("incident", &peers.incident),
        ] {
            let right = url.starts_with("http://") || url.starts_with("https://");
            check(
                right,
                &format!("peers.{name}: must be like http://host:port"),
            );
        }
        let limits = &self.limits;
        check(
            !limits.unary_deadline.is_zero(),
            "limits.unary_deadline: must be positive",
        );
        check(
            limits.calls_in_flight > 0,
            "limits.calls_in_flight: must be at least 1",
        );
        check(
            limits.open_streams > 0,
            "limits.open_streams: must be at least 1",
        );
        check(
            limits.streams_per_connection > 0,
            "limits.streams_per_connection: must be at least 1",
        );
        check(
            limits.header_bytes >= 4_096,
            "limits.header_bytes: must be at least 4096",
        );
        check(
            !limits.connection_age.is_zero(),
            "limits.connection_age: must be positive",
        );
        check(
            !limits.keepalive_interval.is_zero(),
            "limits.keepalive_interval: must be positive",
        );
        check(
            !limits.keepalive_timeout.is_zero(),
            "limits.keepalive_timeout: must be positive",
        );
        check(
            self.drain.notice.saturating_add(self.drain.finish) <= LONGEST_DRAIN,
            "drain: notice and finish together must be at most 27s, or the process is killed",
        );
        problems
    }
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
    /// Streams open at the same time; one more is answered with OVERLOADED.
    pub open_streams: usize,
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
            open_streams: 20_000,
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
