//! History entries as domain events.

use reeve_events::NewEvent;
use serde_json::{Value, json};

use super::engine::{Author, SERVICE};
use crate::domain::run::Run;
use crate::domain::writes::Writes;
use crate::error::Error;

/// Writes a transition's events into its transaction's outbox.
pub(super) async fn append(
    connection: &mut sqlx::PgConnection,
    workflow: &str,
    run: &Run,
    writes: &Writes,
    author: &Author,
) -> Result<(), Error> {
    let entries = writes.entries.iter().filter(|entry| entry.kind.is_event());
    let events = entries.map(|entry| {
        let mut data = json!({
            "execution_id": run.id.to_string(),
            "workflow_id": run.workflow_id.to_string(),
            "workflow": workflow,
            "labels": run.labels,
        });
        if let Some(project) = run.project_id {
            data["project_id"] = project.to_string().into();
        }
        if !entry.step_id.is_empty() {
            data["step_id"] = entry.step_id.clone().into();
            data["attempt"] = entry.attempt.into();
        }
        if let (Value::Object(all), Value::Object(own)) = (&mut data, &entry.data) {
            all.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        let kind = entry.kind.resource();
        let id = match kind {
            "step" => format!("{}/{}", run.id, entry.step_id),
            "approval" => data["approval_id"].as_str().unwrap_or_default().to_owned(),
            _ => run.id.to_string(),
        };
        let actor = author.event_actor.clone();
        NewEvent::new(
            run.tenant,
            actor,
            entry.time,
            entry.kind.as_str(),
            (kind, id),
        )
        .with(data)
    });
    reeve_events::append(connection, SERVICE, events.collect()).await?;
    Ok(())
}
