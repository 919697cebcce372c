//! Serving a [`Service`] from its first connection to the end of its drain.
//!
//! The drain: NOT_SERVING and /readyz 503, calls still answered (`drain.notice`); then loops stop,
//! no connection is accepted, clients get GOAWAY, streams end with UNAVAILABLE; calls under way
//! finish (`drain.finish`), and then the loops that carry away what they left behind; what is left
//! is cut off. A connection that never spoke, or a client that does not answer, therefore cannot
//! hold the process (hyper#4170).

mod accept;
mod admin;
mod connection;
pub(crate) mod health;
mod reflection;
mod room;
mod shutdown;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
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
    let work = Work::default();
    // Whatever ends this function, a dropped future included, ends what it started.
    let _stop_all = work.clone().drop_guards();
    let stop = work.serving.stop.clone();
    let connections = Connections {
        stack: Arc::new(stack),
        limits,
        drain: draining.clone(),
        stop: stop.clone(),
        tasks: work.serving.tasks.clone(),
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
    work.serving.spawn("accept", accepting);
    for looped in service.loops {
        let (group, until) = if looped.is_last() {
            (&work.carrying, &work.quiet)
        } else {
            (&work.serving, &draining)
        };
        group.spawn("loop", looped.run(until.clone(), metrics.clone()));
    }

    shutdown.begun().await;
    health.set(State::Draining);
    work.end(&drain, &draining, &shutdown).await;
    tracing::info!(service = service.name, "stopped");
    Ok(())
}

/// What a server does until it ends.
#[derive(Default, Clone)]
struct Work {
    /// Connections, calls, and the loops that end with the drain.
    serving: Group,
    /// The loops that carry away what calls leave behind.
    carrying: Group,
    /// Cancelled when nothing of `serving` is left.
    quiet: CancellationToken,
}

/// Tasks that are awaited and cut off together.
#[derive(Default, Clone)]
struct Group {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Group {
    fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let task = async move {
            tokio::select! {
                () = work => {}
                () = stop.cancelled() => {}
            }
        };
        crate::spawn(name, self.tasks.track_future(task));
    }
}

impl Work {
    fn drop_guards(self) -> [DropGuard; 2] {
        [self.serving, self.carrying].map(|group| group.stop.drop_guard())
    }

    /// Drains, and cuts off what does not finish.
    async fn end(&self, drain: &DrainConfig, draining: &CancellationToken, shutdown: &Shutdown) {
        let (serving, carrying) = (&self.serving, &self.carrying);
        serving.tasks.close();
        carrying.tasks.close();
        let finished = tokio::select! {
            finished = self.finish(drain, draining) => finished,
            () = shutdown.forced() => {
                carrying.stop.cancel();
                false
            }
        };
        let left = || serving.tasks.len() + carrying.tasks.len();
        if !finished {
            tracing::warn!(tasks = left(), "cutting off what did not finish");
        }
        draining.cancel();
        serving.stop.cancel();
        self.quiet.cancel();
        let dropped = async {
            serving.tasks.wait().await;
            carrying.tasks.wait().await;
        };
        if tokio::time::timeout(CUT, dropped).await.is_err() {
            tracing::warn!(tasks = left(), "some work did not stop");
        }
        carrying.stop.cancel();
    }

    /// The graceful part of the drain; whether everything finished in time.
    async fn finish(&self, drain: &DrainConfig, draining: &CancellationToken) -> bool {
        tokio::time::sleep(drain.notice).await;
        draining.cancel();
        let all = async {
            self.serving.tasks.wait().await;
            self.quiet.cancel();
            self.carrying.tasks.wait().await;
        };
        tokio::time::timeout(drain.finish, all).await.is_ok()
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
