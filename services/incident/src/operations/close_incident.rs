//! Closing an incident, and finding that it was not over.

use reeve_auth::Caller;
use reeve_ids::IncidentId;

use super::Operations;
use super::change::Change;
use super::view::View;
use crate::domain::classification::CloseReason;
use crate::domain::lifecycle::Refusal;
use crate::domain::parts::ActionState;
use crate::error::Error;
use crate::storage::{alerts, incidents, parts};

impl Operations {
    /// Nothing more is expected.
    pub async fn close_incident(
        &self,
        caller: &Caller,
        id: IncidentId,
        etag: Option<i64>,
        (reason, duplicate_of): (CloseReason, Option<IncidentId>),
        note: &str,
    ) -> Result<View, Error> {
        let tenant = caller.tenant();
        let mut change = Change::begin(self, caller, id, etag).await?;
        if let Some(original) = duplicate_of {
            let chain = incidents::duplicate_chain(&mut change.tx, tenant, original).await?;
            let why = match chain {
                chain if chain.is_empty() => Some("duplicate_of_incident_id names no incident"),
                chain if chain.contains(&id) => Some("duplicate_of_incident_id leads back to it"),
                _ => None,
            };
            if let Some(why) = why {
                return Err(incomplete(id, why));
            }
        }
        let actions = parts::list(&mut change.tx, tenant, id).await?.actions;
        let planned = actions
            .iter()
            .filter(|action| action.state == ActionState::Planned)
            .count();
        let entry =
            change.apply(|incident, by| incident.close(by, reason, duplicate_of, planned, note))?;
        alerts::resolve(&mut change.tx, tenant, id).await?;
        change.finish(self, vec![entry]).await
    }

    /// It is not over.
    pub async fn reopen_incident(
        &self,
        caller: &Caller,
        id: IncidentId,
        etag: Option<i64>,
        note: &str,
    ) -> Result<View, Error> {
        let mut change = Change::begin(self, caller, id, etag).await?;
        let (targets, limit) = (self.policy.targets, self.policy.reopen_limit);
        let entry = change.apply(|incident, by| incident.reopen(by, &targets, limit, note))?;
        if let Some(key) = change.incident.key {
            let tenant = caller.tenant();
            let open = incidents::lock_open_by_key(&mut change.tx, tenant, &key).await?;
            if open.is_some() {
                return Err(incomplete(
                    id,
                    "another incident of the same trouble is open",
                ));
            }
        }
        change.finish(self, vec![entry]).await
    }
}

fn incomplete(incident: IncidentId, why: &'static str) -> Error {
    Error::Refused {
        incident,
        refusal: Refusal::Incomplete(vec![why]),
    }
}
