//! Opening an incident by hand.

use reeve_auth::Caller;
use reeve_ids::IncidentId;
use serde_json::json;

use super::change::{self, SOURCE};
use super::view::View;
use super::{Operations, actor};
use crate::domain::incident::{Incident, Opening};
use crate::domain::timeline::{Entry, EntryKind};
use crate::error::Error;
use crate::storage::incidents;
use crate::storage::requests::{self, Key};

impl Operations {
    /// Opens an incident, or finds the one that this request opened before.
    pub async fn create_incident(
        &self,
        caller: &Caller,
        opening: Opening,
        key: Option<&Key>,
    ) -> Result<View, Error> {
        let tenant = caller.tenant();
        let (who, now) = (actor(caller), self.now());
        let mut tx = self.database.tenant(tenant).await?;
        let related = opening.related.clone();
        let mut incident = Incident::open(opening, &self.policy.targets, &who, now);
        if let Some(key) = key {
            let id = incident.id.uuid();
            if let Some(earlier) = requests::claim(&mut tx, tenant, key, id, now).await? {
                if earlier.digest != key.digest {
                    return Err(Error::RequestIdReused(key.request_id.clone()));
                }
                let id = IncidentId::from_uuid(earlier.resource_id);
                // Locked, so that its timeline is read at the same moment.
                let found = incidents::lock(&mut tx, tenant, id).await?;
                let incident = found.ok_or_else(|| Error::no_incident(id))?;
                return View::for_answer(&mut tx, incident, now).await;
            }
        }
        let known = incidents::existing(&mut tx, tenant, &related).await?;
        if let Some(unknown) = related.iter().find(|id| !known.contains(id)) {
            let description = format!("there is no incident {unknown}");
            return Err(Error::Field {
                field: "related_incident_ids",
                description,
            });
        }
        incidents::insert(&mut tx, &incident).await?;
        let summary = format!("Reported: {}", incident.title);
        let details = json!({"source": incident.source, "detect_time": incident.detect_time});
        let entry = Entry::new(EntryKind::Detected, summary).with(details);
        let written = change::record(&mut tx, &mut incident, vec![entry], &who, now).await?;
        change::save(&mut tx, &mut incident, now).await?;
        let events = written
            .iter()
            .map(|entry| change::event(&incident, entry, caller.into(), now));
        reeve_events::append(&mut tx, SOURCE, events.collect()).await?;
        let view = View::for_answer(&mut tx, incident, now).await?;
        tx.commit().await?;
        self.counters.incidents_opened.inc();
        self.wake.notify();
        Ok(view)
    }
}
