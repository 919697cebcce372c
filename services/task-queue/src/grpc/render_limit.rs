//! Limits on the wire.

use reeve_contracts::task::v1 as proto;
use reeve_wellknown::{duration, timestamp};

use super::{render, render_queue};
use crate::domain::Limit;
use crate::operations::limit::LimitView;

/// A limit without allowances.
pub fn limit(limit: Limit) -> proto::Limit {
    proto::Limit {
        name: limit.name,
        selector: Some(render_queue::selector(limit.selector)),
        per: i32::from(limit.per.number()),
        key_prefix: limit.key_prefix,
        max_running: limit.max_running.unwrap_or_default(),
        rate: limit.rate.map(|rate| proto::Rate {
            tasks: rate.tasks,
            period_duration: Some(duration(rate.period)),
            burst_tasks: rate.burst,
        }),
        reason: limit.reason,
        etag: limit.id.to_string(),
        actor: Some(render::actor(limit.actor)),
        create_time: Some(timestamp(limit.create_time)),
        update_time: Some(timestamp(limit.update_time)),
        allowances: Vec::new(),
    }
}

/// A limit with its allowances.
pub fn view(view: LimitView) -> proto::Limit {
    let prefix = Limit::allowances_of(&view.limit.name);
    let allowances = view.uses.into_iter().map(|of| proto::Allowance {
        value: of
            .allowance
            .strip_prefix(&prefix)
            .unwrap_or_default()
            .to_owned(),
        running: of.running,
        throttled: of.throttled,
    });
    proto::Limit {
        allowances: allowances.collect(),
        ..limit(view.limit)
    }
}
