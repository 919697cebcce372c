//! Every metric of this service.

use prometheus_client::metrics::counter::Counter;
use reeve_runtime::Metrics;

/// What this service counts.
#[derive(Debug, Clone)]
pub struct Counters {
    /// Events recorded in the log.
    pub events_recorded: Counter,
    /// Events that no tenant's log could take.
    pub events_malformed: Counter,
    /// Incidents opened, by hand or by a rule.
    pub incidents_opened: Counter,
    /// Incidents that nobody responded to in time.
    pub responses_overdue: Counter,
    /// Evidence that was left incomplete.
    pub evidence_incomplete: Counter,
}

impl Counters {
    /// The counters, registered.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            events_recorded: metrics.counter(
                "reeve_events_recorded",
                "Events recorded in the tenants' logs",
            ),
            events_malformed: metrics.counter(
                "reeve_events_malformed",
                "Events that no tenant's log could take",
            ),
            incidents_opened: metrics.counter(
                "reeve_incidents_opened",
                "Incidents opened, by hand or by a rule",
            ),
            responses_overdue: metrics.counter(
                "reeve_responses_overdue",
                "Incidents that nobody answered in time",
            ),
            evidence_incomplete: metrics.counter(
                "reeve_evidence_incomplete",
                "Evidence that was left incomplete",
            ),
        }
    }
}
