//! Every metric of this service, besides those that every service has.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use reeve_runtime::Metrics;

/// What this service counts.
#[derive(Debug, Clone)]
pub struct Counters {
    /// Executions that were started.
    pub started: Counter,
    /// Transitions that changed something.
    pub transitions: Counter,
    /// Tasks that task-queue took.
    pub dispatched: Counter,
    /// Commands that were put off.
    pub postponed: Counter,
    /// Transitions that panicked or cannot be written, and failed their execution.
    pub poisoned: Counter,
    /// News of tasks that were put away.
    pub buried: Counter,
    /// Executions that nothing will wake: must be 0.
    pub asleep: Gauge,
}

impl Counters {
    /// The metrics, registered.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            started: metrics.counter("reeve_executions_started", "Executions that were started"),
            transitions: metrics.counter(
                "reeve_workflow_transitions",
                "Transitions that changed an execution",
            ),
            dispatched: metrics.counter("reeve_workflow_tasks", "Tasks that task-queue took"),
            postponed: metrics.counter(
                "reeve_workflow_commands_postponed",
                "Commands that task-queue could not take yet",
            ),
            poisoned: metrics.counter(
                "reeve_workflow_transitions_poisoned",
                "Transitions that panicked or cannot be written, and failed their execution",
            ),
            buried: metrics.counter(
                "reeve_workflow_news_buried",
                "News of tasks that could not be applied; the table dead_news has them",
            ),
            asleep: metrics.gauge(
                "reeve_executions_without_wake_source",
                "Executions that nothing will ever wake; anything but 0 is a bug",
            ),
        }
    }
}
