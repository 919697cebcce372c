//! What can go wrong, each with what to do about it.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Why the servers are not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No usable executable anywhere.
    #[error(
        "{what} is missing (looked in {looked}); run `make setup`, which installs it, or set \
         {variable}"
    )]
    Missing {
        /// "PostgreSQL 15 or newer", "Redis 6.2 or newer, or Valkey".
        what: &'static str,
        /// Where the search went.
        looked: String,
        /// The variable that names it directly.
        variable: &'static str,
    },
    /// An environment variable names something that does not serve.
    #[error("{variable}={} is no {what}; correct or unset {variable}", path.display())]
    Unusable {
        /// The variable.
        variable: &'static str,
        /// Its value.
        path: PathBuf,
        /// What it should have named.
        what: &'static str,
    },
    /// The port that was asked for belongs to someone else.
    #[error("port {port} for {what} is taken on 127.0.0.1; stop its owner or choose another port")]
    PortTaken {
        /// The port.
        port: u16,
        /// Who wanted it.
        what: &'static str,
    },
    /// The disk is nearly full.
    #[error(
        "{} has {} MiB free and {} MiB are needed; free some space",
        dir.display(), free / 1_048_576, needed / 1_048_576
    )]
    NoSpace {
        /// The folder.
        dir: PathBuf,
        /// Bytes free.
        free: u64,
        /// Bytes needed.
        needed: u64,
    },
    /// Another process started servers on this folder.
    #[error(
        "process {pid} runs Reeve from {} already; use it, or stop it first (`make down`)",
        dir.display()
    )]
    AlreadyRunning {
        /// That process.
        pid: u32,
        /// The folder.
        dir: PathBuf,
    },
    /// A server from an earlier run does not end.
    #[error("an earlier PostgreSQL (process {pid}) still serves {} and does not stop", dir.display())]
    StillRunning {
        /// The server's process.
        pid: u32,
        /// Its data.
        dir: PathBuf,
    },
    /// Root needs somebody to drop to.
    #[error("root cannot run PostgreSQL, and there is neither a user `postgres` nor `nobody`")]
    NoUser,
    /// The user to drop to cannot use a path.
    #[error(
        "the user {user}, whom root must run the servers as, cannot reach {}; move it out of a \
         private folder", path.display()
    )]
    Unreachable {
        /// The user.
        user: String,
        /// The path.
        path: PathBuf,
    },
    /// A server or tool ended instead of starting.
    #[error("{what} did not start: {reason}\n{log}")]
    Failed {
        /// "initdb", "PostgreSQL", "Redis".
        what: &'static str,
        /// Its exit status, or that it took too long.
        reason: String,
        /// The end of its log.
        log: String,
    },
    /// A server that had started is gone.
    #[error("{what} ended by itself with {status}\n{log}")]
    Ended {
        /// "PostgreSQL", "Redis".
        what: &'static str,
        /// How.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// The data folder was made by another major version.
    #[error(
        "{} was made by PostgreSQL {was} and {found} is installed; install {was} (or set \
         REEVE_PG_BIN to it), or remove the folder and lose its data", dir.display()
    )]
    OtherVersion {
        /// The data.
        dir: PathBuf,
        /// Its version.
        was: String,
        /// The version at hand.
        found: u32,
    },
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// "create", "read", ...
        action: &'static str,
        /// What it was about.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// For `map_err`: names what was tried on which path.
pub(crate) fn io_error(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> Error {
    let path = path.into();
    move |source| Error::Io {
        action,
        path,
        source,
    }
}
