//! What a service counts. Every service has its own registry, which its admin port serves.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

/// Upper bounds in seconds, from a batch of microseconds to a long poll.
const SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

/// The metrics of one service; clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Shared>);

struct Shared {
    registry: Mutex<Registry>,
    calls: Family<CallLabels, Histogram>,
    in_flight: Gauge,
    connections: Gauge,
    connections_refused: Counter,
    ticks: Family<LoopLabels, Counter>,
    tick_seconds: Family<LoopName, Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    rpc_system_name: &'static str,
    rpc_method: &'static str,
    rpc_response_status_code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LoopLabels {
    r#loop: &'static str,
    outcome: LoopOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LoopName {
    r#loop: &'static str,
}

/// How a tick of a loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum LoopOutcome {
    Ok,
    Error,
    Panic,
}

impl EncodeLabelValue for LoopOutcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        let word = match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Panic => "panic",
        };
        EncodeLabelValue::encode(&word, encoder)
    }
}

impl Metrics {
    /// Metrics of the service with this name.
    pub fn new(service: &'static str) -> Self {
        let mut registry = Registry::default();
        let calls = Family::new_with_constructor(seconds as fn() -> Histogram);
        let tick_seconds = Family::new_with_constructor(seconds as fn() -> Histogram);
        let shared = Shared {
            calls: calls.clone(),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            ticks: Family::default(),
            tick_seconds: tick_seconds.clone(),
            registry: Mutex::default(),
        };
        let version = env!("CARGO_PKG_VERSION");
        let build = Info::new([("service", service), ("version", version)]);
        registry.register("reeve_build", "What runs here", build);
        registry.register(
            "rpc_server_call_duration_seconds",
            "Duration of RPCs from the request's headers to the end of the response",
            calls,
        );
        registry.register(
            "reeve_rpc_in_flight",
            "RPCs that have begun and not ended",
            shared.in_flight.clone(),
        );
        registry.register(
            "reeve_grpc_connections",
            "Open connections of clients",
            shared.connections.clone(),
        );
        registry.register(
            "reeve_grpc_connections_refused",
            "Connections closed at once because there was no room for them",
            shared.connections_refused.clone(),
        );
        registry.register(
            "reeve_loop_ticks",
            "Ticks of background loops by outcome",
            shared.ticks.clone(),
        );
        registry.register(
            "reeve_loop_tick_duration_seconds",
            "Duration of ticks of background loops",
            tick_seconds,
        );
        let metrics = Self(Arc::new(shared));
        *metrics.registry() = registry;
        metrics
    }

    /// Adds a metric to the registry; keep a clone to change it. A counter's name gets "_total".
    pub fn register(&self, name: &str, help: &str, metric: impl Metric) {
        self.registry().register(name, help, metric);
    }

    /// A registered counter; its name gets "_total".
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        let counter = Counter::default();
        self.register(name, help, counter.clone());
        counter
    }

    /// A registered gauge.
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        let gauge = Gauge::default();
        self.register(name, help, gauge.clone());
        gauge
    }

    /// A registered histogram of seconds.
    pub fn seconds(&self, name: &str, help: &str) -> Histogram {
        let histogram = seconds();
        self.register(name, help, histogram.clone());
        histogram
    }

    /// The page that Prometheus reads.
    pub fn render(&self) -> String {
        let mut page = String::new();
        encode(&mut page, &self.registry()).expect("writing to a string does not fail");
        page
    }

    pub(crate) fn observe_call(&self, method: &'static str, code: &'static str, took: Duration) {
        let labels = CallLabels {
            rpc_system_name: "grpc",
            rpc_method: method,
            rpc_response_status_code: code,
        };
        self.0
            .calls
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }

    pub(crate) fn observe_loop(&self, name: &'static str, outcome: LoopOutcome, took: Duration) {
        self.0
            .ticks
            .get_or_create(&LoopLabels {
                r#loop: name,
                outcome,
            })
            .inc();
        self.0
            .tick_seconds
            .get_or_create(&LoopName { r#loop: name })
            .observe(took.as_secs_f64());
    }

    pub(crate) fn in_flight(&self) -> Counted {
        Counted::new(&self.0.in_flight)
    }

    pub(crate) fn connection(&self) -> Counted {
        Counted::new(&self.0.connections)
    }

    pub(crate) fn connection_refused(&self) {
        self.0.connections_refused.inc();
    }

    fn registry(&self) -> std::sync::MutexGuard<'_, Registry> {
        self.0
            .registry
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Metrics")
    }
}

/// Adds one to a gauge for as long as it lives.
pub(crate) struct Counted(Gauge);

impl Counted {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}
