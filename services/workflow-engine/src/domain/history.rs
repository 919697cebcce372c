//! What happened, chained by hashes.

use chrono::{DateTime, SecondsFormat, Utc};
use reeve_ids::ExecutionId;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::canonical::{Digest, canonical};
use super::event::Actor;
use super::words::words;

words! {
    /// What happened. Most of them are domain events too.
    EntryKind {
        /// It began.
        ExecutionStarted = "execution.started",
        /// A caller paused it.
        ExecutionPaused = "execution.paused",
        /// A caller resumed it.
        ExecutionResumed = "execution.resumed",
        /// A caller cancelled it; tasks are being stopped.
        ExecutionCancelRequested = "execution.cancel_requested",
        /// Ended well.
        ExecutionCompleted = "execution.completed",
        /// Ended by a failure.
        ExecutionFailed = "execution.failed",
        /// Ended by a caller.
        ExecutionCancelled = "execution.cancelled",
        /// Ended by its deadline.
        ExecutionTimedOut = "execution.timed_out",
        /// An attempt was dispatched.
        StepStarted = "step.started",
        /// An agent works on it.
        StepRunning = "step.running",
        /// Its agent vanished; the queue offers it again.
        StepLeaseLost = "step.lease_lost",
        /// Has its output.
        StepCompleted = "step.completed",
        /// Failed for good.
        StepFailed = "step.failed",
        /// An attempt failed; another follows.
        StepRetried = "step.retried",
        /// Did not have to run.
        StepSkipped = "step.skipped",
        /// Stopped, or never begun.
        StepCancelled = "step.cancelled",
        /// News of an attempt that is over; not applied.
        StepLateReport = "step.late_report",
        /// A person is asked.
        ApprovalRequested = "approval.requested",
        /// A person decided, or nobody did.
        ApprovalDecided = "approval.decided",
    }
}

impl EntryKind {
    /// Whether other services learn of it as a domain event. The others are detail that only the
    /// execution's own history needs.
    pub const fn is_event(self) -> bool {
        !matches!(
            self,
            Self::ExecutionCancelRequested
                | Self::StepRunning
                | Self::StepLeaseLost
                | Self::StepLateReport
        )
    }

    /// Kind of the resource that a domain event is about.
    pub fn resource(self) -> &'static str {
        self.as_str().split('.').next().unwrap_or_default()
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What.
    pub kind: EntryKind,
    /// The step's id; empty for the execution itself.
    pub step_id: String,
    /// The step's attempt.
    pub attempt: u32,
    /// Who caused it.
    pub actor: Actor,
    /// When.
    pub time: DateTime<Utc>,
    /// Facts; never payloads.
    pub data: Value,
}

/// The hash before the first entry.
pub const GENESIS: Digest = [0; 32];

impl Entry {
    /// The entry's hash, after the entry before it.
    pub fn hash(&self, execution: ExecutionId, sequence: i64, previous: &Digest) -> Digest {
        let text = canonical(&json!({
            "actor": {
                "kind": self.actor.kind.as_str(),
                "name": self.actor.display_name,
                "subject": self.actor.subject,
            },
            "attempt": self.attempt,
            "data": self.data,
            "execution_id": execution.to_string(),
            "sequence": sequence,
            "step_id": self.step_id,
            "time": self.time.to_rfc3339_opts(SecondsFormat::Micros, true),
            "type": self.kind.as_str(),
        }));
        let mut hasher = Sha256::new();
        hasher.update(previous);
        hasher.update(text.as_bytes());
        hasher.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            kind: EntryKind::StepFailed,
            step_id: "lint".into(),
            attempt: 2,
            actor: Actor::engine(),
            time: DateTime::from_timestamp_micros(1_800_000_000_000_001).unwrap(),
            data: json!({"message": "no"}),
        }
    }

    #[test]
    fn every_part_is_covered() {
        let id = ExecutionId::new();
        let hash = entry().hash(id, 1, &GENESIS);
        assert_eq!(hash, entry().hash(id, 1, &GENESIS));
        let changed = [
            Entry {
                kind: EntryKind::StepCompleted,
                ..entry()
            }
            .hash(id, 1, &GENESIS),
            Entry {
                step_id: "other".into(),
                ..entry()
            }
            .hash(id, 1, &GENESIS),
            Entry {
                attempt: 3,
                ..entry()
            }
            .hash(id, 1, &GENESIS),
            Entry {
                data: json!({}),
                ..entry()
            }
            .hash(id, 1, &GENESIS),
            entry().hash(id, 2, &GENESIS),
            entry().hash(id, 1, &hash),
            entry().hash(ExecutionId::new(), 1, &GENESIS),
        ];
        assert!(changed.iter().all(|other| *other != hash));
    }

    #[test]
    fn events_name_their_resource() {
        assert_eq!(EntryKind::ApprovalDecided.resource(), "approval");
        assert!(EntryKind::StepRetried.is_event() && !EntryKind::StepLateReport.is_event());
    }
}
