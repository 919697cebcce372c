//! Ending what was begun: planned actions and impacts that last.

use chrono::{DateTime, Utc};
use reeve_auth::Caller;
use reeve_ids::{IncidentId, PartId};
use serde_json::json;

use super::Operations;
use super::change::Change;
use super::record_part::line;
use super::view::View;
use crate::domain::parts::ActionState;
use crate::domain::timeline::{Entry, EntryKind};
use crate::error::Error;
use crate::storage::parts;

impl Operations {
    /// Ends a planned action.
    pub async fn finish_action(
        &self,
        caller: &Caller,
        (incident_id, etag): (IncidentId, Option<i64>),
        id: PartId,
        (state, outcome): (ActionState, String),
    ) -> Result<View, Error> {
        let mut change = Change::begin(self, caller, incident_id, etag).await?;
        let held = parts::list(&mut change.tx, caller.tenant(), incident_id).await?;
        let found = held.actions.into_iter().find(|action| action.id == id);
        let mut action = found.ok_or_else(|| Error::NotFound {
            kind: "action",
            id: id.to_string(),
        })?;
        if action.state != ActionState::Planned {
            let (state, wanted) = (action.state.as_str(), state.as_str());
            return Err(Error::PartState {
                kind: "action",
                id: id.to_string(),
                state,
                wanted,
            });
        }
        action.state = state;
        action.finish_time = Some(change.now);
        if !outcome.is_empty() {
            action.outcome = outcome;
        }
        parts::update(&mut change.tx, caller.tenant(), id, &action).await?;
        let summary = format!("{state}: {}", line(&action.description));
        let entry = Entry::noted(EntryKind::ActionTaken, &summary, &line(&action.outcome));
        let entry = entry.with(json!({"action_id": id, "state": state}));
        change.finish(self, vec![entry]).await
    }

    /// Says when an impact ended; now, unless said.
    pub async fn end_impact(
        &self,
        caller: &Caller,
        (incident_id, etag): (IncidentId, Option<i64>),
        id: PartId,
        end_time: Option<DateTime<Utc>>,
    ) -> Result<View, Error> {
        let mut change = Change::begin(self, caller, incident_id, etag).await?;
        let held = parts::list(&mut change.tx, caller.tenant(), incident_id).await?;
        let found = held.impacts.into_iter().find(|impact| impact.id == id);
        let mut impact = found.ok_or_else(|| Error::NotFound {
            kind: "impact",
            id: id.to_string(),
        })?;
        if impact.end_time.is_some() {
            let (state, wanted) = ("ended", "lasting");
            return Err(Error::PartState {
                kind: "impact",
                id: id.to_string(),
                state,
                wanted,
            });
        }
        let end = end_time.unwrap_or(change.now);
        if end < impact.start_time {
            let description = format!("must not be before the start, {}", impact.start_time);
            return Err(Error::Field {
                field: "end_time",
                description,
            });
        }
        impact.end_time = Some(end);
        parts::update(&mut change.tx, caller.tenant(), id, &impact).await?;
        let summary = format!("Impact ended: {}", line(&impact.description));
        let entry = Entry::new(EntryKind::ImpactChanged, summary);
        let entry = entry.with(json!({"impact_id": id, "end_time": end}));
        change.finish(self, vec![entry]).await
    }
}
