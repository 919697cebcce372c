//! Serving a [`Service`] from its first connection to the end of its drain.
//!
//! The drain: NOT_SERVING and /readyz 503, calls still answered (`drain.notice`); then loops stop,
//! no connection is accepted, clients get GOAWAY, streams end with UNAVAILABLE; calls under way
//! finish (`drain.finish`); what is left is cut off. A connection that never spoke, or a client
//! that does not answer, therefore cannot hold the process (hyper#4170).

mod accept;
mod admin;
mod connection;
pub(crate) mod health;
mod reflection;
mod shutdown;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic_health::pb::health_server::HealthServer;

use crate::config::{DrainConfig, LimitsConfig};
use crate::metrics::Metrics;
use crate::rpc::{self, StackConfig};
use crate::service::{BuildError, Service};
use connection::Connections;
use health::{Health, State};
pub use shutdown::Shutdown;

/// Time for aborted tasks to be dropped.
const CUT: Duration = Duration::from_secs(2);

/// Where and how a service is served.
#[derive(Debug)]
pub struct Settings {
    /// Takes clients; already bound, so that port 0 can be read back.
    pub grpc: TcpListener,
    /// Takes probes and Prometheus.
    pub admin: TcpListener,
    /// What clients may ask of the server.
    pub limits: LimitsConfig,
    /// How the server stops.
    pub drain: DrainConfig,
    /// The service's metrics, as given to it in its `Deps`.
    pub metrics: Metrics,
    /// Cancelled when streams and long polls should end, as given to the service in its `Deps`.
    pub draining: CancellationToken,
}

impl Settings {
    /// Binds both ports; limits and drain are the defaults until they are set.
    ///
    /// # Errors
    /// When a port is taken.
    pub async fn bind(
        grpc: SocketAddr,
        admin: SocketAddr,
        metrics: Metrics,
        draining: CancellationToken,
    ) -> Result<Self, BuildError> {
        let bind = async |address: SocketAddr| {
            let bound = TcpListener::bind(address).await;
            bound.map_err(|error| format!("{address}: {error}"))
        };
        Ok(Self {
            grpc: bind(grpc)
                .await
                .map_err(BuildError::step("listen for clients"))?,
            admin: bind(admin)
                .await
                .map_err(BuildError::step("listen for probes"))?,
            limits: LimitsConfig::default(),
            drain: DrainConfig::default(),
            metrics,
            draining,
        })
    }

    /// For tests: free ports on the loopback, and a drain without notice.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn for_tests(
        metrics: Metrics,
        draining: CancellationToken,
    ) -> Result<Self, BuildError> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = Self::bind(any, any, metrics, draining).await?;
        let drain = DrainConfig {
            notice: Duration::ZERO,
            finish: Duration::from_secs(10),
        };
        Ok(Self { drain, ..settings })
    }
}

/// Serves `service` until `shutdown`, and drains it.
///
/// # Errors
/// When the server cannot be built.
pub async fn run(
    service: Service,
    settings: Settings,
    shutdown: Shutdown,
) -> Result<(), BuildError> {
    let Settings {
        grpc,
        admin,
        limits,
        drain,
        metrics,
        draining,
    } = settings;
    let health = Health::new(&service.grpc_services);
    let routes = crate::limited!(HealthServer::new(health.clone()));
    let routes = service.routes.add_service(routes);
    let routes = reflection::add(routes, &service.grpc_services)
        .map_err(BuildError::step("describe the contracts"))?;
    let stack = rpc::stack(StackConfig {
        service: service.name,
        routes,
        grpc_services: &service.grpc_services,
        authenticator: service.authenticator,
        limits: &limits,
        metrics: metrics.clone(),
        drain: draining.clone(),
    });
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    // Whatever ends this function, a dropped future included, ends what it started.
    let _stop_all = stop.clone().drop_guard();
    let connections = Connections {
        stack: Arc::new(stack),
        limits,
        drain: draining.clone(),
        stop: stop.clone(),
        tasks: tasks.clone(),
    };

    log_listening(service.name, &grpc, &admin);
    let serving_admin = admin::serve(
        admin,
        service.name,
        health.clone(),
        metrics.clone(),
        stop.clone(),
    );
    crate::spawn("admin", serving_admin);
    crate::spawn(
        "readiness",
        health.clone().follow(service.ready, stop.clone()),
    );
    let accepting = accept::accept(grpc, Arc::new(connections), metrics.clone());
    crate::spawn("accept", tasks.track_future(until(stop.clone(), accepting)));
    for looped in service.loops {
        let running = looped.run(draining.clone(), metrics.clone());
        crate::spawn("loop", tasks.track_future(until(stop.clone(), running)));
    }

    shutdown.begun().await;
    tasks.close();
    let left = finish(&health, &drain, &draining, &tasks, &shutdown).await;
    if left {
        tracing::warn!(tasks = tasks.len(), "cutting off what did not finish");
    }
    stop.cancel();
    if tokio::time::timeout(CUT, tasks.wait()).await.is_err() {
        tracing::warn!(tasks = tasks.len(), "some work did not stop");
    }
    tracing::info!(service = service.name, "stopped");
    Ok(())
}

/// The graceful part of the drain; true when something did not finish in time.
async fn finish(
    health: &Health,
    drain: &DrainConfig,
    draining: &CancellationToken,
    tasks: &TaskTracker,
    shutdown: &Shutdown,
) -> bool {
    health.set(State::Draining);
    let graceful = async {
        tokio::time::sleep(drain.notice).await;
        draining.cancel();
        tokio::time::timeout(drain.finish, tasks.wait())
            .await
            .is_err()
    };
    let left = tokio::select! {
        left = graceful => left,
        () = shutdown.forced() => true,
    };
    draining.cancel();
    left
}

async fn until(stop: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
}

fn log_listening(service: &'static str, grpc: &TcpListener, admin: &TcpListener) {
    let address = |listener: &TcpListener| {
        listener
            .local_addr()
            .map_or_else(|error| error.to_string(), |address| address.to_string())
    };
    tracing::info!(
        service,
        grpc = address(grpc),
        admin = address(admin),
        "listening"
    );
}
