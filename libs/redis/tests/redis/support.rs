//! A server per test, so that a test may do to it what it wants.

use std::fmt::Debug;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use reeve_redis::{Ready, ReadyQueues, Redis, RedisConfig};
use tempfile::TempDir;

/// Far longer than anything takes, so that only a real fault reaches it.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Server {
    process: Child,
    options: Vec<String>,
    dir: TempDir,
    pub port: u16,
}

impl Server {
    /// Nothing on disk: a restart comes back empty.
    pub async fn start() -> Self {
        Self::with(&["--save", "", "--appendonly", "no"]).await
    }

    pub async fn with(options: &[&str]) -> Self {
        let options: Vec<_> = options.iter().map(ToString::to_string).collect();
        let dir = TempDir::new().expect("a temporary folder can be made");
        loop {
            let port = free_port();
            if let Some(process) = launch(port, dir.path(), &options).await {
                return Self {
                    process,
                    options,
                    dir,
                    port,
                };
            }
        }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub async fn handle(&self) -> Redis {
        Redis::connect(&RedisConfig::new(self.url()))
            .await
            .expect("the configuration is right")
    }

    pub fn kill(&mut self) {
        self.process.kill().expect("the server is ours");
        self.process.wait().expect("the server is ours");
    }

    /// On the same port, with the same options and folder.
    pub async fn restart(&mut self) {
        let mut process = None;
        eventually(async || {
            process = launch(self.port, self.dir.path(), &self.options).await;
            process.is_some()
        })
        .await;
        self.process = process.expect("it runs");
    }

    pub fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill")
            .args([format!("-{name}"), pid])
            .status();
        assert!(sent.expect("kill exists").success());
    }

    /// One command over a connection of its own.
    pub async fn command(&self, words: &[&str]) -> redis::RedisResult<redis::Value> {
        command(self.port, words).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub async fn eventually(mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(
            start.elapsed() < PATIENCE,
            "it did not happen in {PATIENCE:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Fails rather than hangs.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it did not happen in time")
}

/// Declares the lanes whole, as a first start does.
pub async fn rebuilt(queues: &ReadyQueues, tasks: &[Ready]) {
    let rebuild = queues
        .rebuild_begin(PATIENCE)
        .await
        .expect("Redis is there");
    let rebuild = rebuild.expect("nobody else rebuilds");
    queues.push(tasks).await.expect("Redis is there");
    queues
        .rebuild_finish(rebuild)
        .await
        .expect("nothing was lost");
}

pub fn ids<T: Debug>(items: &[T], id: impl Fn(&T) -> &str) -> Vec<String> {
    items.iter().map(|item| id(item).to_owned()).collect()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

/// `None` if another process took the port first.
async fn launch(port: u16, dir: &Path, options: &[String]) -> Option<Child> {
    let mut process = Command::new(binary())
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"])
        .arg(dir)
        .args(options)
        .stdout(Stdio::null())
        .spawn()
        .expect("the server starts");
    let own = format!("process_id:{}\r", process.id());
    let mut alive = false;
    eventually(async || {
        alive = process.try_wait().expect("the server is ours").is_none();
        // Another test's server may answer on this port.
        let info: Option<String> = match command(port, &["INFO", "server"]).await {
            Ok(value) => redis::from_redis_value(value).ok(),
            Err(_) => None,
        };
        !alive || info.is_some_and(|info| info.contains(&own))
    })
    .await;
    alive.then_some(process)
}

async fn command(port: u16, words: &[&str]) -> redis::RedisResult<redis::Value> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/"))?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    redis::cmd(words[0])
        .arg(&words[1..])
        .query_async(&mut connection)
        .await
}

/// Where `scripts/setup.sh` found or put it.
fn binary() -> &'static Path {
    static FOUND: LazyLock<PathBuf> = LazyLock::new(|| {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.reeve/tools");
        reeve_launcher::find(&tools)
            .expect("scripts/setup.sh installs the servers")
            .redis_server
    });
    &FOUND
}
