//! Changing what an incident says, and how urgent it is.

use std::collections::BTreeMap;

use reeve_auth::Caller;
use reeve_ids::IncidentId;
use serde_json::{Map, json};

use super::Operations;
use super::change::Change;
use super::view::View;
use crate::domain::classification::{Category, Priority, Severity};
use crate::domain::timeline::{Entry, EntryKind};
use crate::error::Error;

/// New values; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Update {
    /// One line.
    pub title: Option<String>,
    /// What is known.
    pub description: Option<String>,
    /// What part of the estate is concerned.
    pub category: Option<Category>,
    /// Who deals with it.
    pub assignee: Option<String>,
    /// The project.
    pub project_id: Option<String>,
    /// Labels, as a whole.
    pub labels: Option<BTreeMap<String, String>>,
}

impl Operations {
    /// Changes what an incident says.
    pub async fn update_incident(
        &self,
        caller: &Caller,
        id: IncidentId,
        etag: Option<i64>,
        update: Update,
    ) -> Result<View, Error> {
        let mut change = Change::begin(self, caller, id, etag).await?;
        change.check_room()?;
        let incident = &mut change.incident;
        let mut changed = Map::new();
        let mut set = |name: &str, field: &mut String, value: Option<String>| {
            if let Some(value) = value.filter(|value| value != field) {
                // Descriptions are long; that one changed is enough.
                let shown = if name == "description" {
                    json!(true)
                } else {
                    json!(&value)
                };
                changed.insert(name.to_owned(), shown);
                *field = value;
            }
        };
        set("title", &mut incident.title, update.title);
        set("description", &mut incident.description, update.description);
        set("assignee", &mut incident.assignee, update.assignee);
        set("project_id", &mut incident.project_id, update.project_id);
        if let Some(category) = update.category.filter(|new| *new != incident.category) {
            changed.insert("category".to_owned(), json!(category));
            incident.category = category;
        }
        if let Some(labels) = update.labels.filter(|new| *new != incident.labels) {
            changed.insert("labels".to_owned(), json!(labels));
            incident.labels = labels;
        }
        if changed.is_empty() {
            return change.finish(self, Vec::new()).await;
        }
        let names: Vec<&str> = changed.keys().map(String::as_str).collect();
        let summary = format!("Changed {}", names.join(", "));
        let entry = Entry::new(EntryKind::Updated, summary).with(changed.into());
        change.finish(self, vec![entry]).await
    }

    /// Sets severity, priority or both.
    pub async fn set_incident_priority(
        &self,
        caller: &Caller,
        id: IncidentId,
        etag: Option<i64>,
        (severity, priority): (Option<Severity>, Option<Priority>),
        note: &str,
    ) -> Result<View, Error> {
        let mut change = Change::begin(self, caller, id, etag).await?;
        let severity = severity.unwrap_or(change.incident.severity);
        let priority = priority.unwrap_or(change.incident.priority);
        let targets = self.policy.targets;
        let entry = change
            .apply(|incident, by| incident.reclassify(by, severity, priority, &targets, note))?;
        change.finish(self, entry.into_iter().collect()).await
    }
}
