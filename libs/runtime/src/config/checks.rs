//! What must hold of the common sections beyond the type of each value. Whatever would fail later in
//! the start is tried here, so that an operator hears of it together with the rest.

use std::str::FromStr as _;
use std::time::Duration;

use reeve_postgres::sqlx::postgres::PgConnectOptions;
use tracing_subscriber::EnvFilter;

use super::sections::{Common, DrainConfig, LimitsConfig, PeersConfig};
use super::{DatabaseConfig, Validate};

/// The shortest secret that is accepted.
const SECRET_CHARACTERS: usize = 32;
/// What orchestrators grant between SIGTERM and SIGKILL is 30 s; cutting off what is left, sending
/// the last traces and ending the process take up to 5 s of it.
const LONGEST_DRAIN: Duration = Duration::from_secs(24);

impl Validate for Common {
    fn validate(&self) -> Vec<String> {
        let mut problems = database(&self.database);
        problems.extend(self.redis.problems());
        let secret = self.auth.service_token_secret.expose().chars().count();
        if secret < SECRET_CHARACTERS {
            problems.push("auth.service_token_secret: must have at least 32 characters".to_owned());
        }
        problems.extend(peers(&self.peers));
        if let Err(error) = EnvFilter::try_new(&self.log.filter) {
            problems.push(format!("log.filter: {error}"));
        }
        problems.extend(limits(&self.limits));
        problems.extend(drain(&self.drain));
        problems
    }
}

fn database(database: &DatabaseConfig) -> Vec<String> {
    let mut problems = database.problems();
    if problems.is_empty()
        && let Err(error) = PgConnectOptions::from_str(&database.url)
    {
        problems.push(format!("database.url: {error}"));
    }
    problems
}

fn peers(peers: &PeersConfig) -> Vec<String> {
    let named = [
        ("agent_registry", &peers.agent_registry),
        ("task_queue", &peers.task_queue),
        ("workflow_engine", &peers.workflow_engine),
        ("finance", &peers.finance),
        ("incident", &peers.incident),
    ];
    let problem = |(name, url): (&str, &String)| {
        let what = address_problem(url)?;
        Some(format!("peers.{name}: {what}"))
    };
    named.into_iter().filter_map(problem).collect()
}

/// What is wrong with the address of a peer.
fn address_problem(url: &str) -> Option<&'static str> {
    if url.starts_with("https://") {
        return Some(
            "must be http://host:port; services do not speak TLS to each other, so let a mesh or \
             a private network protect what is between them",
        );
    }
    let uri = url.parse::<http::Uri>().ok();
    let right = uri.is_some_and(|uri| {
        uri.scheme_str() == Some("http")
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.path_and_query().is_none_or(|path| path == "/")
    });
    (!right).then_some("must be like http://host:port")
}

fn limits(limits: &LimitsConfig) -> Vec<String> {
    let counts = [
        ("calls_in_flight", limits.calls_in_flight),
        ("long_polls", limits.long_polls),
        ("open_streams", limits.open_streams),
        ("connections", limits.connections),
        ("connections_per_address", limits.connections_per_address),
    ];
    let spans = [
        ("unary_deadline", limits.unary_deadline),
        ("handshake_timeout", limits.handshake_timeout),
        ("connection_age", limits.connection_age),
        ("keepalive_interval", limits.keepalive_interval),
        ("keepalive_timeout", limits.keepalive_timeout),
    ];
    let none = counts.into_iter().filter(|(_, count)| *count == 0);
    let short = spans.into_iter().filter(|(_, span)| span.is_zero());
    let mut problems: Vec<_> = none
        .map(|(key, _)| format!("limits.{key}: must be at least 1"))
        .chain(short.map(|(key, _)| format!("limits.{key}: must be positive")))
        .collect();
    if limits.streams_per_connection == 0 {
        problems.push("limits.streams_per_connection: must be at least 1".to_owned());
    }
    if limits.header_bytes < 4_096 {
        problems.push("limits.header_bytes: must be at least 4096".to_owned());
    }
    problems
}

fn drain(drain: &DrainConfig) -> Vec<String> {
    let long = drain.notice.saturating_add(drain.finish) > LONGEST_DRAIN;
    let what = "drain: notice and finish together must be at most 24s, or the process is killed";
    long.then(|| what.to_owned()).into_iter().collect()
}
