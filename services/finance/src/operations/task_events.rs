//! What the end of a task's attempt costs: the task queue's events, applied.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use reeve_events::{Actor, Event};
use reeve_ids::{TaskId, TenantId, Uuid};
use reeve_money::{Decimal, parse_decimal};
use serde_json::Value as Json;
use sqlx::{Connection as _, PgConnection};

use super::recording::Report;
use super::{Context, SERVICE};
use crate::domain::billing::TimeEntry;
use crate::domain::usage::{Attribution, Outcome, Usage, is_reserved, task_source};
use crate::error::Error;
use crate::storage::{refused_events, time};

/// The longest busy time, as the task queue allows it: 366 days.
const MOST_SECONDS: i64 = 366 * 86_400;

impl Context {
    /// Applies a batch of events in the transaction that moves the cursor. The cursor is one for all
    /// tenants: what does not read as the end of an attempt is passed over, and an event that cannot
    /// be applied is set aside, so that none stops those behind it.
    ///
    /// # Errors
    /// When the database is away or busy; the batch comes again.
    pub async fn apply_task_events(
        &self,
        connection: &mut PgConnection,
        events: &[Event],
    ) -> Result<(), Error> {
        let read = |event| End::read(event).map(|end| (event, end));
        let ends: Vec<(&Event, End)> = events.iter().filter_map(read).collect();
        let all = ends.iter().map(|(_, end)| end.clone()).collect();
        match self.try_apply(connection, all).await {
            Err(error) if !error.is_passing() => {}
            done => return done,
        }
        for (event, end) in ends {
            match self.try_apply(connection, vec![end]).await {
                Err(error) if !error.is_passing() => {
                    self.set_aside(connection, event, &error).await?;
                }
                done => done?,
            }
        }
        Ok(())
    }

    /// Applies all of them, or leaves the transaction as it was.
    async fn try_apply(&self, connection: &mut PgConnection, ends: Vec<End>) -> Result<(), Error> {
        let mut savepoint = connection.begin().await?;
        let entries: Vec<_> = ends.iter().filter_map(End::time_entry).collect();
        let reports = ends.into_iter().map(|end| end.report).collect();
        let done = async {
            let (_, raised) = self.record(&mut savepoint, reports, false).await?;
            time::insert(&mut savepoint, &entries, self.now()).await?;
            Ok(reeve_events::append(&mut savepoint, SERVICE, raised).await?)
        };
        match done.await {
            Ok(()) => Ok(savepoint.commit().await?),
            Err(error) => {
                savepoint.rollback().await?;
                Err(error)
            }
        }
    }

    async fn set_aside(
        &self,
        connection: &mut PgConnection,
        event: &Event,
        error: &Error,
    ) -> Result<(), Error> {
        tracing::error!(
            event = event.id,
            tenant = event.tenant_id,
            task = event.resource_id,
            ?error,
            "an event of the task queue cannot be applied and is set aside"
        );
        self.counters.set_aside.inc();
        Ok(refused_events::insert(connection, event, &format!("{error:?}"), self.now()).await?)
    }
}

/// The end of an attempt.
#[derive(Clone)]
struct End {
    report: Report,
    task_type: String,
    started: Option<DateTime<Utc>>,
    ended: DateTime<Utc>,
}

/// Whether events of this type tell of the end of an attempt.
pub fn tells_of_an_end(kind: &str) -> bool {
    outcome_of(kind).is_some()
}

/// How an attempt ended by an event of this type, and whether its hold ended with it. A lost,
/// rejected or delegated attempt may go on with its hold; what it used is paid all the same. A
/// suspended one may not: nothing is set aside for a task while it waits for a person.
fn outcome_of(kind: &str) -> Option<(Outcome, bool)> {
    match kind {
        "task.completed" => Some((Outcome::Completed, true)),
        "task.failed" => Some((Outcome::Failed, true)),
        "task.cancelled" => Some((Outcome::Cancelled, true)),
        "task.timed_out" => Some((Outcome::TimedOut, true)),
        "task.suspended" => Some((Outcome::Suspended, true)),
        "task.lease_lost" | "task.rejected" | "task.returned" | "task.delegated" => {
            Some((Outcome::Failed, false))
        }
        _ => None,
    }
}

impl End {
    fn read(event: &Event) -> Option<Self> {
        let (outcome, ends_hold) = outcome_of(&event.r#type)?;
        let tenant_id: TenantId = event.tenant_id.parse().ok()?;
        let task_id: TaskId = event.resource_id.parse().ok()?;
        let data = event
            .data
            .clone()
            .map(reeve_wellknown::json_from_struct)
            .unwrap_or_default();
        let attempt = i32::try_from(data["attempt"].as_i64().unwrap_or(0))
            .ok()?
            .max(0);
        let occurred = event
            .occur_time
            .as_ref()
            .and_then(reeve_wellknown::datetime)?;
        let ended = moment(&data["ended_time"]).unwrap_or(occurred);
        let origin = &data["origin"];
        // A lost attempt after which a person has to decide.
        let ends_hold = ends_hold || data["gate_kind"].is_string();
        let in_workflow = origin["kind"].as_str() == Some("workflow");
        let attribution = Attribution {
            task_id: Some(task_id),
            attempt,
            agent_id: id(&data["agent_id"]),
            project_id: id(&data["project_id"]),
            execution_id: in_workflow.then(|| id(&origin["resource_id"])).flatten(),
            budget_id: id(&data["budget_id"]),
        };
        let usages = data["usage"].as_array().map_or(&[][..], Vec::as_slice);
        let report = Report {
            tenant_id,
            source: task_source(task_id, attempt),
            attribution,
            outcome,
            usages: usages
                .iter()
                .map(read_usage)
                .filter(|one| !one.meters().is_empty())
                .collect(),
            use_time: ended,
            hold_id: ends_hold.then(|| id(&data["hold_id"])).flatten(),
            actor: Actor::service(SERVICE).traced(&event.traceparent),
        };
        let task_type = data["type"].as_str().unwrap_or_default().to_owned();
        Some(Self {
            report,
            task_type,
            started: moment(&data["started_time"]),
            ended,
        })
    }

    fn time_entry(&self) -> Option<(TenantId, TimeEntry)> {
        let whose = &self.report.attribution;
        let entry = TimeEntry {
            id: Uuid::now_v7(),
            agent_id: whose.agent_id?,
            task_id: whose.task_id?,
            attempt: (whose.attempt >= 1).then_some(whose.attempt)?,
            task_type: self.task_type.clone(),
            project_id: whose.project_id,
            start_time: self.started.filter(|start| *start <= self.ended)?,
            end_time: self.ended,
            billable: self.is_billable(),
            invoice_id: None,
        };
        Some((self.report.tenant_id, entry))
    }

    /// What was suspended was done in order as far as it goes; the rest follows with another attempt.
    fn is_billable(&self) -> bool {
        matches!(self.report.outcome, Outcome::Completed | Outcome::Suspended)
    }
}

fn id<T: std::str::FromStr>(json: &Json) -> Option<T> {
    json.as_str().and_then(|text| text.parse().ok())
}

fn moment(json: &Json) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(json.as_str()?).ok()?;
    Some(reeve_clock::to_microseconds(time.with_timezone(&Utc)))
}

fn read_usage(json: &Json) -> Usage {
    let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
    let count = |key: &str| json[key].as_i64().unwrap_or(0).max(0);
    let quantities: BTreeMap<String, Decimal> = json["quantities"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| {
            // It has a field of its own, and would be paid twice.
            let reserved = is_reserved(name);
            if reserved {
                tracing::warn!(name, "a quantity bears a reserved name and is left out");
            }
            !reserved
        })
        .filter_map(|(name, amount)| Some((name.clone(), decimal(amount)?)))
        .collect();
    Usage {
        provider: text("provider"),
        model: text("model"),
        input_tokens: count("input_tokens"),
        cached_input_tokens: count("cached_input_tokens"),
        output_tokens: count("output_tokens"),
        busy: seconds(&json["duration_seconds"]),
        quantities: quantities.into_iter().collect(),
    }
}

fn decimal(json: &Json) -> Option<Decimal> {
    let text = json
        .as_str()
        .map_or_else(|| json.to_string(), str::to_owned);
    parse_decimal(&text)
        .ok()
        .filter(|amount| *amount >= Decimal::ZERO)
}

/// A span within what its column and a Duration can hold.
fn seconds(json: &Json) -> TimeDelta {
    let seconds = decimal(json).unwrap_or_default().min(MOST_SECONDS.into());
    let micros = seconds * Decimal::from(1_000_000);
    TimeDelta::microseconds(i64::try_from(micros.round()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &str, data: Json) -> Event {
        Event {
            r#type: kind.to_owned(),
            tenant_id: TenantId::new().to_string(),
            resource_id: TaskId::new().to_string(),
            occur_time: Some(reeve_wellknown::timestamp(DateTime::UNIX_EPOCH)),
            data: reeve_wellknown::struct_from_json(data),
            ..Event::default()
        }
    }

    #[test]
    fn the_end_of_an_attempt_carries_usage_and_time() {
        let agent = Uuid::now_v7().to_string();
        let end = End::read(&event("task.completed", json!({
            "attempt": 2, "agent_id": agent, "type": "lint",
            "origin": {"kind": "workflow", "resource_id": agent},
            "started_time": "2026-11-22T10:00:00Z", "ended_time": "2026-11-22T10:00:05Z",
            "usage": [
                {"provider": "p", "model": "m", "input_tokens": 12, "duration_seconds": "1.500000",
                 "quantities": {"gpu_seconds": "0.5", "odd": "-1", "agent_seconds": "1.5"}},
                {"provider": "", "model": ""},
            ],
        })))
        .unwrap();
        assert_eq!(end.report.usages.len(), 1, "an empty line is none");
        let usage = &end.report.usages[0];
        assert_eq!(
            (usage.input_tokens, usage.busy),
            (12, TimeDelta::milliseconds(1_500))
        );
        assert_eq!(
            usage.quantities.len(),
            1,
            "nothing negative, and no time a second time"
        );
        assert!(end.report.attribution.execution_id.is_some());
        let (_, entry) = end.time_entry().unwrap();
        assert_eq!(
            (entry.duration(), entry.billable),
            (TimeDelta::seconds(5), true)
        );
    }

    #[test]
    fn no_event_is_a_stumbling_block() {
        assert!(End::read(&event("task.created", json!({}))).is_none());
        let end = End::read(&event("task.failed", json!({"usage": "?", "attempt": "x"}))).unwrap();
        assert!(end.report.usages.is_empty());
        assert!(end.time_entry().is_none());
    }
}
