//! What this service counts.

use std::collections::HashMap;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use reeve_runtime::Metrics;

/// Kinds of events with their counters: every change of a task and every run of a schedule is an event,
/// so these are the rates of everything.
const KINDS: [(&str, &str); 22] = [
    ("task.created", "reeve_tasks_created"),
    ("task.assigned", "reeve_tasks_assigned"),
    ("task.accepted", "reeve_tasks_accepted"),
    ("task.started", "reeve_tasks_started"),
    ("task.completed", "reeve_tasks_completed"),
    ("task.failed", "reeve_tasks_failed"),
    ("task.timed_out", "reeve_tasks_timed_out"),
    ("task.lease_lost", "reeve_tasks_lease_lost"),
    ("task.rejected", "reeve_tasks_rejected"),
    ("task.returned", "reeve_tasks_returned"),
    ("task.cancelled", "reeve_tasks_cancelled"),
    ("task.cancel_requested", "reeve_tasks_cancel_requested"),
    ("task.over_budget", "reeve_tasks_over_budget"),
    ("task.redriven", "reeve_tasks_redriven"),
    ("task.discarded", "reeve_tasks_discarded"),
    ("task.suspended", "reeve_tasks_suspended"),
    ("task.gate_opened", "reeve_gates_opened"),
    ("task.gate_answered", "reeve_gates_answered"),
    ("task.gate_expired", "reeve_gates_expired"),
    ("schedule.fired", "reeve_schedules_fired"),
    ("schedule.run_skipped", "reeve_schedules_skipped"),
    ("schedule.run_failed", "reeve_schedules_failed"),
];

/// The metrics of this service.
#[derive(Debug)]
pub struct TaskMetrics {
    events: HashMap<&'static str, Counter>,
    /// Ready tasks that were not in Redis and were put back by the sweep.
    pub forgotten: Counter,
    /// Tasks that were to be leased and whose rows this version cannot read.
    pub unreadable: Counter,
    /// Times the ready queues were refilled.
    pub rebuilds: Counter,
    /// Watches that ended because their reader was too slow.
    pub slow_watchers: Counter,
    /// Times that the task types of a tenant were read into memory.
    pub type_reads: Counter,
    /// Tasks that wait for an agent and for nothing else.
    pub ready: Gauge,
}

impl TaskMetrics {
    /// Registers the metrics.
    pub fn new(metrics: &Metrics) -> Self {
        let help = "Tasks, or runs of schedules, of which this was said, written with the event";
        let events = KINDS
            .into_iter()
            .map(|(kind, name)| (kind, metrics.counter(name, help)));
        Self {
            events: events.collect(),
            forgotten: metrics.counter(
                "reeve_ready_forgotten",
                "Ready tasks that were not in Redis and were put back by the sweep",
            ),
            unreadable: metrics.counter(
                "reeve_tasks_unreadable",
                "Times that a task was not leased because this version cannot read its row",
            ),
            rebuilds: metrics.counter(
                "reeve_ready_rebuilds",
                "Times the ready queues were refilled",
            ),
            slow_watchers: metrics.counter(
                "reeve_watchers_slow",
                "Watches that ended because their reader was too slow",
            ),
            type_reads: metrics.counter(
                "reeve_task_type_reads",
                "Times that the task types of a tenant were read into memory",
            ),
            ready: metrics.gauge(
                "reeve_tasks_ready",
                "Tasks that wait for an agent and for nothing else",
            ),
        }
    }

    /// Counts an event about to be committed.
    pub fn count_event(&self, kind: &str) {
        if let Some(counter) = self.events.get(kind) {
            counter.inc();
        }
    }
}
