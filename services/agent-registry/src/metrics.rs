//! Every metric of this service, besides those that every service has.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use reeve_runtime::Metrics;

/// What this service counts.
#[derive(Debug, Clone)]
pub struct Counters {
    /// Accepted heartbeats.
    pub heartbeats: Counter,
    /// Agents whose heartbeat lease lapsed.
    pub lapses: Counter,
    /// Times that expiry was suspended.
    pub suspensions: Counter,
    /// Agents that this process has heard of.
    pub fleet: Gauge,
    /// Processes with a heartbeat lease, in all replicas.
    pub leases: Gauge,
}

impl Counters {
    /// The metrics, registered.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            heartbeats: metrics.counter("reeve_heartbeats", "Heartbeats that were accepted"),
            lapses: metrics.counter("reeve_agents_lost", "Agents whose heartbeats stopped"),
            suspensions: metrics.counter(
                "reeve_expiry_suspensions",
                "Times that expiry of heartbeat leases was suspended",
            ),
            fleet: metrics.gauge(
                "reeve_fleet_agents",
                "Agents that this process has heard of",
            ),
            leases: metrics.gauge(
                "reeve_heartbeat_leases",
                "Heartbeat leases that are held, in all replicas",
            ),
        }
    }
}
