//! What can go wrong with Redis, by what the caller should do.

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why an operation has no answer. None of them is a reason to fail a request: PostgreSQL knows.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Redis cannot be reached or refuses work now. Nothing is known of the operation's effect.
    /// Do without; the handle reconnects by itself.
    #[error("Redis is unavailable")]
    Unavailable(#[source] Option<RedisError>),
    /// No answer in time; the operation may take effect later.
    #[error("Redis did not answer in time")]
    Timeout,
    /// The structure was lost (Redis was emptied, or restarted): load it again.
    #[error("Redis lost this structure; it must be rebuilt")]
    Rebuild,
    /// Redis answered something that this crate does not expect: a bug, or a foreign key.
    #[error("Redis answered unexpectedly: {what}")]
    Protocol {
        /// What was being done.
        what: &'static str,
        /// The error of the client library, if it came from there.
        #[source]
        source: Option<RedisError>,
    },
    /// The caller passed what cannot be stored, for example a score that is not a number.
    #[error("refused before it was sent: {0}")]
    Invalid(&'static str),
    /// The URL or the prefix is wrong.
    #[error("wrong Redis configuration: {0}")]
    Config(String),
}

impl Error {
    /// Whether the caller should go on without Redis and try again later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Timeout)
    }

    pub(crate) fn protocol(what: &'static str) -> Self {
        Self::Protocol { what, source: None }
    }
}

/// Codes of a server that works but does not want this now, and has no kind of its own.
const BUSY_CODES: &[&str] = &[
    "OOM",
    "MISCONF",
    "NOAUTH",
    "WRONGPASS",
    "NOREPLICAS",
    "BUSY",
];

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        match error.kind() {
            ErrorKind::Io
            | ErrorKind::AuthenticationFailed
            | ErrorKind::ClusterConnectionNotFound
            | ErrorKind::MasterNameNotFoundBySentinel
            | ErrorKind::NoValidReplicasFoundBySentinel
            | ErrorKind::Server(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::TryAgain
                | ServerErrorKind::Moved
                | ServerErrorKind::Ask,
            ) => Self::Unavailable(Some(error)),
            ErrorKind::InvalidClientConfig => Self::Config(error.to_string()),
            _ if is_busy(&error) => Self::Unavailable(Some(error)),
            _ => Self::Protocol {
                what: "a command failed",
                source: Some(error),
            },
        }
    }
}

/// A pipeline's error has no code of its own; then the first failed command's counts.
fn is_busy(error: &RedisError) -> bool {
    let failures = error.clone().into_server_errors();
    let first = failures.as_ref().and_then(|failures| failures.first());
    first.is_some_and(|(_, failure)| BUSY_CODES.contains(&failure.code()))
}
