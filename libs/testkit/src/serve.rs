//! A service behind a real listener.

use std::net::SocketAddr;
use std::sync::Arc;

use reeve_auth::ServiceTokens;
use reeve_clock::SystemClock;
use reeve_events::Wake;
use reeve_postgres::Schema;
use reeve_redis::{Redis, RedisConfig};
use reeve_runtime::config::PeersConfig;
use reeve_runtime::{BuildError, Deps, Metrics, Peers, Service, Settings, Shutdown};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::{TestDatabase, redis};

/// The secret of the service tokens that services in tests mint.
pub const SERVICE_SECRET: &str = "the secret that all services of a test share";
/// Nobody listens here, so a service that calls a peer its test did not provide gets UNAVAILABLE.
const NOBODY: &str = "http://127.0.0.1:1";

/// What a service is built from in a test: its schema in `database`, keys of its own on Redis, the
/// machine's clock, and peers that are away. Replace the fields that the test is about.
///
/// # Panics
/// When Redis cannot be started.
pub async fn deps(name: &'static str, schema: &Schema, database: &TestDatabase) -> Deps {
    let redis = redis().await;
    let config = RedisConfig::new(redis.url).with_prefix(redis.prefix);
    let nobody = || NOBODY.to_owned();
    let peers = PeersConfig {
        agent_registry: nobody(),
        task_queue: nobody(),
        workflow_engine: nobody(),
        finance: nobody(),
        incident: nobody(),
    };
    let tokens = ServiceTokens::new(SERVICE_SECRET);
    Deps {
        database: database.connect(schema),
        redis: Redis::connect(&config).await.expect("the test's own Redis"),
        clock: Arc::new(SystemClock),
        peers: Peers::new(&peers, name, &tokens).expect("the addresses are well formed"),
        wake: Wake::new(),
        metrics: Metrics::new(name),
        drain: CancellationToken::new(),
    }
}

/// Serves on free ports. Connections are accepted from the moment this returns.
///
/// # Panics
/// When no port is free.
pub async fn serve(service: Service, deps: &Deps) -> Running {
    let settings = Settings::for_tests(deps.metrics.clone(), deps.drain.clone()).await;
    let settings = settings.expect("the loopback has free ports");
    let address = |listener: &tokio::net::TcpListener| listener.local_addr().expect("it is bound");
    let (address, admin) = (address(&settings.grpc), address(&settings.admin));
    let shutdown = Shutdown::new();
    let name = service.name;
    let serving = reeve_runtime::spawn(
        name,
        reeve_runtime::run(service, settings, shutdown.clone()),
    );
    let channel = Endpoint::from_shared(format!("http://{address}"));
    let channel = channel.expect("an address makes a URL").connect_lazy();
    Running {
        address,
        admin,
        channel,
        shutdown,
        serving,
    }
}

/// A service being served; it stops at once when this is dropped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    admin: SocketAddr,
    channel: Channel,
    shutdown: Shutdown,
    serving: JoinHandle<Option<Result<(), BuildError>>>,
}

impl Running {
    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where /readyz and /metrics are.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// A connection for generated clients; clones share it.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Drains, as on SIGTERM, and waits for the end.
    ///
    /// # Panics
    /// When the server failed or panicked.
    pub async fn stop(mut self) {
        self.shutdown.begin();
        let ended = (&mut self.serving).await.expect("nobody aborts it");
        ended
            .expect("serving does not panic")
            .expect("the server could be built");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.force();
    }
}
