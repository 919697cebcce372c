//! The verbs between detection and resolution.

use reeve_auth::Caller;
use reeve_ids::IncidentId;

use super::Operations;
use super::change::Change;
use super::view::View;
use crate::error::Error;

/// Which way an incident goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Somebody takes notice.
    Acknowledge,
    /// Nobody works on it after all.
    Unacknowledge,
    /// The search for its cause begins; with who searches, if said.
    StartInvestigation(String),
    /// The work on stopping its effect begins.
    StartMitigation,
    /// Its effect has stopped.
    MarkMitigated,
}

impl Operations {
    /// Takes a step.
    pub async fn transition_incident(
        &self,
        caller: &Caller,
        id: IncidentId,
        etag: Option<i64>,
        step: &Step,
        note: &str,
    ) -> Result<View, Error> {
        let mut change = Change::begin(self, caller, id, etag).await?;
        let entry = change.apply(|incident, by| match step {
            Step::Acknowledge => incident.acknowledge(by, note),
            Step::Unacknowledge => incident.unacknowledge(note),
            Step::StartInvestigation(who) => incident.start_investigation(by, who, note),
            Step::StartMitigation => incident.start_mitigation(by, note),
            Step::MarkMitigated => incident.mark_mitigated(by, note),
        })?;
        change.finish(self, vec![entry]).await
    }
}
