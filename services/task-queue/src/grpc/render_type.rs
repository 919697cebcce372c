//! Task types as the wire has them.

use reeve_contracts::task::v1 as proto;
use reeve_wellknown::{duration, struct_from_json, timestamp};

use crate::domain::{Own, TaskType};

/// A task type.
pub fn task_type(kind: &TaskType) -> proto::TaskType {
    let source = match kind.own {
        None => proto::TaskTypeSource::BuiltIn,
        Some(_) => proto::TaskTypeSource::Tenant,
    };
    let own = kind.own.as_ref();
    proto::TaskType {
        name: kind.name.clone(),
        id: own.map(|own| own.id.to_string()).unwrap_or_default(),
        source: source.into(),
        category: i32::from(kind.category.number()),
        description: kind.description.clone(),
        capability: kind.capability.clone(),
        start_to_close_timeout: kind.start_to_close.map(duration),
        parameters_schema: kind.schema.clone().and_then(struct_from_json),
        etag: own.map(Own::etag).unwrap_or_default(),
        create_time: own.map(|own| timestamp(own.create_time)),
        effect: kind.effect.map_or(0, |effect| i32::from(effect.number())),
        update_time: own.map(|own| timestamp(own.update_time)),
    }
}
