//! Private PostgreSQL and Redis servers for one checkout or one test process: found, started on
//! free ports and stopped with whoever started them. The system's own servers are never touched.
//!
//! Access: both servers listen on 127.0.0.1 alone and demand a generated password, because every
//! user of a shared machine reaches its loopback; there are no Unix sockets, hence no limit on how
//! long a path may be. The password is kept in `secrets.json` (mode 0600) in the data folder.
//!
//! Life: each server runs under a shell that waits on a pipe held by the starter alone. However the
//! starter ends, SIGKILL included, the pipe closes and the shell stops the server (`supervisor.sh`).
//!
//! Root: PostgreSQL refuses to run as root, so a root starter drops to `postgres` or `nobody`.
//!
//! - `find`: where the executables are, by the same rules as `scripts/setup.sh`;
//! - `place`: folders, free space and ownership; `lock`: one starter per data folder;
//! - `identity`: the user the servers run as; `supervisor`: the shell around each server;
//! - `postgres`, `redis`: how each is laid out, started and known to be ready;
//! - `servers`: the pair.

mod error;
mod find;
mod identity;
mod lock;
mod place;
mod ports;
mod postgres;
mod redis;
mod secrets;
mod servers;
mod supervisor;

pub use error::Error;
pub use find::{Binaries, find};
pub use lock::{Lock, holder};
pub use place::{free_bytes, is_abandoned, purge};
pub use ports::{free_port, require_free};
pub use postgres::Postgres;
pub use redis::Redis;
pub use servers::{Options, PrivateServers};
