//! One pair of private servers per test process.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use reeve_launcher::{Options, PrivateServers, free_bytes, is_abandoned};
use tokio::sync::OnceCell;
use uuid::Uuid;

const DATABASE_VARIABLE: &str = "REEVE_TEST_DATABASE_URL";
const REDIS_VARIABLE: &str = "REEVE_TEST_REDIS_URL";
/// Every data folder's name begins so; an abandoned one is recognized by it.
const DIR_PREFIX: &str = "reeve-test-";
/// Memory is only used when this much is free: a whole test run stays well below it.
const MEMORY_BYTES: u64 = 2 * 1_024 * 1_024 * 1_024;

static SERVERS: OnceCell<PrivateServers> = OnceCell::const_new();

/// A PostgreSQL server that tests may do anything to.
#[derive(Debug, Clone)]
pub struct TestPostgres {
    /// An administrator's URL up to the database's name: `postgres://user:password@host:port`.
    base: String,
}

impl TestPostgres {
    /// An administrator's URL of a database; "postgres" always exists.
    pub fn admin_url(&self, database: &str) -> String {
        format!("{}/{database}", self.base)
    }

    /// Another role's URL of a database.
    pub(crate) fn url(&self, role: &str, password: &str, database: &str) -> String {
        let (_, host) = self.base.rsplit_once('@').unwrap_or(("", &self.base));
        let host = host.trim_start_matches("postgres://");
        format!("postgres://{role}:{password}@{host}/{database}")
    }

    /// The app roles' password: the same in every process that uses this server, and no easier to
    /// guess than the administrator's.
    pub(crate) fn app_password(&self) -> String {
        Uuid::new_v5(&Uuid::NAMESPACE_URL, self.base.as_bytes())
            .simple()
            .to_string()
    }
}

/// A Redis for one test: keys under its own prefix on a server that others share.
#[derive(Debug, Clone)]
pub struct TestRedis {
    /// The server's URL.
    pub url: String,
    /// Goes before every key; no other test has the same.
    pub prefix: String,
}

/// This process's PostgreSQL.
///
/// # Panics
/// When it cannot be started; the message says what to do.
pub async fn postgres() -> TestPostgres {
    let base = match env::var(DATABASE_VARIABLE) {
        Ok(url) => without_database(&url),
        Err(_) => without_database(&servers().await.postgres().admin_url("")),
    };
    TestPostgres { base }
}

/// This process's Redis, with a prefix for the calling test alone.
///
/// # Panics
/// When it cannot be started; the message says what to do.
pub async fn redis() -> TestRedis {
    let url = match env::var(REDIS_VARIABLE) {
        Ok(url) => url,
        Err(_) => servers().await.redis().url(),
    };
    TestRedis {
        url,
        prefix: format!("test-{}", Uuid::new_v4().simple()),
    }
}

/// Cuts the path and the query off. A password written as in a URL holds no slash.
fn without_database(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    format!("{scheme}://{authority}")
}

async fn servers() -> &'static PrivateServers {
    let start = || async {
        let started = tokio::task::spawn_blocking(start).await;
        started
            .expect("starting servers does not panic")
            .unwrap_or_else(|error| panic!("{error}"))
    };
    SERVERS.get_or_init(start).await
}

fn start() -> Result<PrivateServers, reeve_launcher::Error> {
    let parent = data_parent();
    remove_abandoned(&parent);
    let name = format!("{DIR_PREFIX}{}-{}", process::id(), Uuid::new_v4().simple());
    let options = Options {
        template_dir: Some(checkout().join("target/testkit")),
        ..Options::throwaway(parent.join(name), checkout().join(".reeve/tools"))
    };
    PrivateServers::start(&options)
}

fn checkout() -> PathBuf {
    let libs = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    libs.and_then(Path::parent)
        .expect("this crate lies two folders deep")
        .to_owned()
}

fn data_parent() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let roomy = memory.is_dir() && free_bytes(memory).is_ok_and(|free| free >= MEMORY_BYTES);
    if roomy {
        memory.to_owned()
    } else {
        env::temp_dir()
    }
}

/// Best effort: what a crashed machine or a killed supervisor left.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(DIR_PREFIX);
        if ours && is_abandoned(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_server_is_kept_of_a_url() {
        let urls = [
            "postgres://u:p@db:5432/postgres",
            "postgres://u:p@db:5432/?sslmode=disable",
            "postgres://u:p@db:5432?sslmode=disable",
            "postgres://u:p@db:5432",
        ];
        for url in urls {
            assert_eq!(without_database(url), "postgres://u:p@db:5432", "{url}");
        }
    }

    #[test]
    fn a_role_gets_its_own_url() {
        let server = TestPostgres {
            base: "postgres://u:p@db:5432".into(),
        };
        assert_eq!(server.url("app", "x", "d"), "postgres://app:x@db:5432/d");
        let open = TestPostgres {
            base: "postgres://db".into(),
        };
        assert_eq!(open.url("app", "x", "d"), "postgres://app:x@db/d");
    }
}
