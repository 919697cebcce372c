//! Every metric of this service, besides those that every service has.

use prometheus_client::metrics::counter::Counter;
use reeve_runtime::Metrics;

/// What this service counts.
#[derive(Debug, Clone)]
pub struct Counters {
    /// Usage records with a price.
    pub priced: Counter,
    /// Usage records without one.
    pub unpriced: Counter,
    /// Transactions of the ledger.
    pub postings: Counter,
    /// Holds granted.
    pub holds: Counter,
    /// Reservations refused for want of money.
    pub refusals: Counter,
    /// Holds that nobody ended in time.
    pub expiries: Counter,
    /// Holds that cost more than was set aside.
    pub overruns: Counter,
    /// Events of the task queue, and late pricings, that could not be applied.
    pub set_aside: Counter,
    /// Invoices issued.
    pub invoices: Counter,
    /// Payments completed.
    pub payments: Counter,
}

impl Counters {
    /// The metrics, registered.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            priced: metrics.counter("reeve_usage_priced", "Usage records with a price"),
            unpriced: metrics.counter("reeve_usage_unpriced", "Usage records without a price"),
            postings: metrics.counter("reeve_ledger_postings", "Transactions of the ledger"),
            holds: metrics.counter("reeve_holds_granted", "Holds granted on budgets"),
            refusals: metrics.counter(
                "reeve_holds_refused",
                "Reservations refused for want of money",
            ),
            expiries: metrics.counter("reeve_holds_expired", "Holds that nobody ended in time"),
            overruns: metrics.counter(
                "reeve_holds_overrun",
                "Holds that cost more than was set aside",
            ),
            set_aside: metrics.counter(
                "reeve_costs_set_aside",
                "Events and late pricings that could not be applied",
            ),
            invoices: metrics.counter("reeve_invoices_issued", "Invoices issued"),
            payments: metrics.counter("reeve_payments_completed", "Payments completed"),
        }
    }
}
