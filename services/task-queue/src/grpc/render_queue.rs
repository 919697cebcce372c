//! Queues and brakes on the wire.

use chrono::TimeDelta;
use reeve_contracts::task::v1 as proto;
use reeve_wellknown::{duration, timestamp};

use super::render;
use crate::domain::{Brake, Selector};
use crate::error::queue_etag;
use crate::operations::QueueView;
use crate::storage::FiguresRow;

/// A brake.
pub fn brake(brake: Brake) -> proto::Brake {
    proto::Brake {
        id: brake.id.to_string(),
        name: brake.name,
        selector: Some(selector(brake.selector)),
        reason: brake.reason,
        creator: Some(render::actor(brake.creator)),
        create_time: Some(timestamp(brake.create_time)),
    }
}

pub fn selector(selector: Selector) -> proto::TaskSelector {
    let all = selector.is_all();
    proto::TaskSelector {
        queues: selector.queues,
        types: selector.kinds,
        capabilities: selector.capabilities,
        labels: selector.labels.into_iter().collect(),
        all,
    }
}

/// A queue.
pub fn queue(view: QueueView) -> proto::Queue {
    let oldest = view.counts.oldest_ready_time;
    let age = oldest.map(|oldest| (view.time - oldest).max(TimeDelta::zero()));
    proto::Queue {
        name: view.name,
        paused: view.paused,
        etag: queue_etag(view.pause.as_ref().map(|pause| pause.id)),
        pause: view.pause.map(brake),
        brake_names: view.brakes,
        counts: Some(counts(&view.counts)),
        oldest_ready_time: oldest.map(timestamp),
        oldest_ready_duration: age.map(duration),
        figures_time: Some(timestamp(view.time)),
    }
}

fn counts(row: &FiguresRow) -> proto::QueueCounts {
    proto::QueueCounts {
        ready: row.ready,
        scheduled: row.scheduled,
        blocked: row.blocked,
        paused: row.paused,
        over_budget: row.over_budget,
        awaiting_budget: row.awaiting_budget,
        awaiting_input: row.awaiting_input,
        awaiting_approval: row.awaiting_approval,
        assigned: row.assigned,
        accepted: row.accepted,
        in_progress: row.in_progress,
        throttled: row.throttled,
    }
}
