//! Entries of the log and of the audit trail.

use reeve_contracts::audit::v1::{AuditEntry, AuditFault, VerifyAuditLogResponse};
use reeve_contracts::event::v1::{Event, LoggedEvent, SubscribeEventsResponse};
use reeve_runtime::answer;

use super::{actor, object, time};
use crate::domain::canonical::hex;
use crate::domain::logged::{Fault, Logged};
use crate::operations::audit::Verdict;
use crate::operations::events::Batch;

/// An entry of the log.
pub fn logged(entry: &Logged) -> LoggedEvent {
    let fact = &entry.fact;
    LoggedEvent {
        position: entry.position,
        event: Some(Event {
            id: fact.id.to_string(),
            source: fact.source.clone(),
            sequence: fact.sequence,
            tenant_id: fact.tenant_id.to_string(),
            r#type: fact.kind.clone(),
            resource_type: fact.resource_type.clone(),
            resource_id: fact.resource_id.clone(),
            occur_time: time(fact.occur_time),
            actor: actor(&fact.actor),
            request_id: fact.request_id.clone(),
            traceparent: fact.traceparent.clone(),
            data: object(&fact.data),
        }),
        record_time: time(entry.record_time),
    }
}

/// What a stream read, as far as it fits into a message.
pub fn batch(mut batch: Batch) -> (SubscribeEventsResponse, Batch) {
    let events = answer::fit(&batch.entries, logged);
    batch.keep(events.len());
    let message = SubscribeEventsResponse {
        cursor: batch.cursor.to_string(),
        events,
        caught_up: batch.caught_up,
    };
    (message, batch)
}

/// An entry of the audit trail.
pub fn audit(entry: &Logged) -> AuditEntry {
    let fact = &entry.fact;
    AuditEntry {
        sequence: entry.position,
        event_id: fact.id.to_string(),
        source: fact.source.clone(),
        principal: actor(&fact.actor),
        action: fact.kind.clone(),
        resource_type: fact.resource_type.clone(),
        resource_id: fact.resource_id.clone(),
        request_id: fact.request_id.clone(),
        traceparent: fact.traceparent.clone(),
        occur_time: time(fact.occur_time),
        record_time: time(entry.record_time),
        data: object(&fact.data),
        previous_hash: hex(&entry.previous_hash),
        hash: hex(&entry.hash),
    }
}

/// What a verification found.
pub fn verdict(verdict: &Verdict) -> VerifyAuditLogResponse {
    let fault = match verdict.broken {
        None => AuditFault::Unspecified,
        Some((_, Fault::Content)) => AuditFault::Content,
        Some((_, Fault::Chain)) => AuditFault::Chain,
        Some((_, Fault::Missing)) => AuditFault::Missing,
    };
    VerifyAuditLogResponse {
        intact: verdict.broken.is_none(),
        checked_count: verdict.checked,
        last_sequence: verdict.last,
        last_hash: verdict.last_hash.map(|hash| hex(&hash)).unwrap_or_default(),
        first_broken_sequence: verdict.broken.map_or(0, |(sequence, _)| sequence),
        fault: fault.into(),
    }
}
