//! The post-mortem document.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use reeve_auth::Caller;
use reeve_ids::IncidentId;

use super::Operations;
use super::postmortem_text::render;
use super::view::{View, find};
use crate::domain::costs::sum;
use crate::domain::incident::Figures;
use crate::error::Error;
use crate::storage::events;

/// Entries of the timeline that the document lists; what is left out is said.
const ENTRIES: i64 = 500;

/// A document and what it was made of.
#[derive(Debug, Clone)]
pub struct Postmortem {
    /// The incident.
    pub incident_id: IncidentId,
    /// The document.
    pub markdown: String,
    /// The durations.
    pub figures: Figures,
    /// What the tasks cost, by currency.
    pub costs: BTreeMap<String, String>,
    /// Whether the incident is over.
    pub is_final: bool,
    /// When the document was made.
    pub generate_time: DateTime<Utc>,
}

impl Operations {
    /// Makes the document from the record.
    pub async fn get_postmortem(
        &self,
        caller: &Caller,
        id: IncidentId,
    ) -> Result<Postmortem, Error> {
        let tenant = caller.tenant();
        let mut tx = self.snapshot(tenant).await?;
        let incident = find(&mut tx, tenant, id).await?;
        let view = View::of(&mut tx, incident, ENTRIES, self.now()).await?;
        let mut tasks: Vec<String> = view.evidence.iter().map(|one| one.task_id()).collect();
        let attempts = view.evidence.iter().flat_map(|one| &one.attempts);
        tasks.extend(attempts.map(|attempt| attempt.task_id.clone()));
        tasks.retain(|task| !task.is_empty());
        tasks.sort_unstable();
        tasks.dedup();
        let booked = events::costs(&mut tx, tenant, &tasks).await?;
        let costs = sum(booked
            .into_iter()
            .filter_map(|(amount, currency)| amount.zip(currency)));
        let figures = view.incident.figures(&view.parts.impacts);
        Ok(Postmortem {
            incident_id: id,
            markdown: render(&view, &figures, &costs),
            figures,
            costs,
            is_final: !view.incident.status.is_open(),
            generate_time: view.now,
        })
    }
}
