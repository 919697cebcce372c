//! Asking task-queue for the tasks that evidence is about. It happens outside any transaction and
//! after the incident has opened: an incident never waits for another service.

use reeve_ids::{EvidenceId, IncidentId, TenantId};
use reeve_status::Code;
use serde_json::json;

use super::Operations;
use super::change::SOURCE;
use super::open_by_rule::Opened;
use crate::clients::task_queue::TaskQueue;
use crate::domain::evidence::{EvidenceState, MOST_BYTES, task_weight};
use crate::domain::timeline::{Entry, EntryKind, MOST_ENTRIES};
use crate::error::Error;
use crate::storage::evidence::{Pending, Settlement, count, pending, settle};
use crate::storage::incidents;

/// Evidence that one pass handles.
const BATCH: i64 = 20;

impl Operations {
    /// Collects what is pending; true when something was settled and there may be more.
    pub async fn collect_evidence(&self, task_queue: &TaskQueue) -> Result<bool, Error> {
        let mut connection = self.database.internal_pool().acquire().await?;
        let waiting = pending(&mut connection, BATCH).await?;
        drop(connection);
        let full = i64::try_from(waiting.len()).is_ok_and(|count| count == BATCH);
        let mut settled = false;
        for one in waiting {
            if let Some(settlement) = self.ask(task_queue, &one).await {
                self.settle(&one, settlement).await?;
                settled = true;
            }
        }
        Ok(full && settled)
    }

    /// What task-queue says; nothing while it is away and there is patience left.
    async fn ask(&self, task_queue: &TaskQueue, one: &Pending) -> Option<Settlement> {
        let tenant = TenantId::from_uuid(one.tenant_id);
        let answer = task_queue
            .get_task(tenant, &one.traceparent, &one.task_id)
            .await;
        let collect_time = self.now();
        let incomplete = |reason: &str| Settlement {
            state: EvidenceState::Incomplete,
            task: None,
            incomplete_reason: reason.to_owned(),
            collect_time,
            bytes: 0,
        };
        match answer {
            Ok(task) => Some(Settlement {
                state: EvidenceState::Collected,
                bytes: task_weight(&task),
                task: Some(task),
                incomplete_reason: String::new(),
                collect_time,
            }),
            Err(fault) if matches!(fault.code(), Code::NotFound | Code::InvalidArgument) => {
                Some(incomplete("task-queue does not know the task"))
            }
            Err(fault) if collect_time - one.create_time < self.policy.evidence_patience => {
                tracing::debug!(%fault, task = one.task_id, "the task is asked for again");
                None
            }
            Err(fault) => {
                tracing::warn!(%fault, task = one.task_id, "evidence stays incomplete");
                Some(incomplete("task-queue could not be reached"))
            }
        }
    }

    /// Freezes evidence, and says so in the timeline.
    async fn settle(&self, one: &Pending, mut settlement: Settlement) -> Result<(), Error> {
        let tenant = TenantId::from_uuid(one.tenant_id);
        let id = IncidentId::from_uuid(one.incident_id);
        let mut tx = self.database.internal().await?;
        let found = incidents::lock(&mut tx, tenant, id).await?;
        let mut incident = found.ok_or_else(|| Error::no_incident(id))?;
        let (_, bytes) = count(&mut tx, tenant, id).await?;
        if bytes + settlement.bytes > MOST_BYTES {
            settlement.state = EvidenceState::Incomplete;
            (settlement.task, settlement.bytes) = (None, 0);
            "the incident has no room for it".clone_into(&mut settlement.incomplete_reason);
        }
        if !settle(&mut tx, tenant, EvidenceId::from_uuid(one.id), &settlement).await? {
            return Ok(());
        }
        let summary = match settlement.state {
            EvidenceState::Incomplete => {
                self.counters.evidence_incomplete.inc();
                format!(
                    "Evidence of task {} is incomplete: {}",
                    one.task_id, settlement.incomplete_reason
                )
            }
            EvidenceState::Pending | EvidenceState::Collected => {
                format!("Evidence of task {} collected", one.task_id)
            }
        };
        let now = settlement.collect_time.max(incident.update_time);
        let mut opened = Opened::default();
        if incident.timeline_count < MOST_ENTRIES {
            let details = json!({"evidence_id": one.id, "task_id": one.task_id});
            let entry = Entry::new(EntryKind::EvidenceCollected, summary).with(details);
            self.tell(&mut tx, &mut incident, vec![entry], now, &mut opened)
                .await?;
        }
        reeve_events::append(&mut tx, SOURCE, opened.events).await?;
        tx.commit().await?;
        self.wake.notify();
        Ok(())
    }
}
