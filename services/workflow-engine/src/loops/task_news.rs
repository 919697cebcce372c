//! task-queue's events, turned into news of steps.
//!
//! Results are fetched and news applied before the cursor moves, each in a transaction of its own: a
//! crash in between brings the same news again, which the domain recognises by step and attempt.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use reeve_contracts::event::v1::Event as WireEvent;
use reeve_events::Handler;
use reeve_ids::{ExecutionId, TaskId, TenantId};
use reeve_status::Code;
use serde_json::{Value, json};

use crate::clients::ORIGIN;
use crate::domain::event::TaskNews;
use crate::domain::failure::{Failure, FailureClass};
use crate::error::Error;
use crate::operations::apply_report::Report;
use crate::operations::{Author, Engine};

/// Executions whose news are applied at the same time.
const AT_A_TIME: usize = 8;

/// Applies news of tasks.
#[derive(Debug)]
pub struct TaskNewsHandler {
    engine: Arc<Engine>,
}

/// What an event says, before a result is fetched.
#[derive(Debug, PartialEq)]
enum Said {
    News(TaskNews),
    Completed { agent_id: String },
}

/// What an event is about.
struct About {
    tenant: TenantId,
    execution_id: ExecutionId,
    step_id: String,
    attempt: u32,
}

impl About {
    /// Nothing when its origin is no step of ours.
    fn of(event: &WireEvent, data: &Value) -> Option<Self> {
        let origin = &data["origin"];
        let text = |key: &str| origin[key].as_str().unwrap_or_default();
        let attempt = origin["attempt"].as_u64().unwrap_or(0);
        Some(Self {
            tenant: event.tenant_id.parse().ok()?,
            execution_id: text("resource_id").parse().ok()?,
            step_id: text("step_path").to_owned(),
            attempt: u32::try_from(attempt).ok()?,
        })
    }
}

impl TaskNewsHandler {
    /// A handler that brings news to an engine.
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// Applies one execution's news, in their order. What can never be applied fails the execution,
    /// or is put away: the news behind it are other people's.
    async fn bring(&self, events: Vec<&WireEvent>) -> Result<(), Error> {
        for event in events {
            let data = event.data.clone().map(reeve_wellknown::json_from_struct);
            let data = data.unwrap_or_default();
            let about = About::of(event, &data).zip(said(&event.r#type, &data));
            let Some((about, said)) = about else { continue };
            let applied = self.apply(event, &about, said).await;
            let (tenant, execution) = (about.tenant, about.execution_id);
            let applied = self.engine.or_abandon(tenant, execution, applied).await;
            match applied {
                Err(error) if error.is_permanent() => {
                    let of = (about.step_id.as_str(), about.attempt);
                    self.engine
                        .bury(tenant, execution, of, event.sequence, &error)
                        .await?;
                }
                applied => applied?,
            }
        }
        Ok(())
    }

    async fn apply(&self, event: &WireEvent, about: &About, said: Said) -> Result<(), Error> {
        let news = match said {
            Said::News(news) => news,
            Said::Completed { agent_id } => self.result(about.tenant, event, agent_id).await?,
        };
        let report = Report {
            tenant: about.tenant,
            execution_id: about.execution_id,
            step_id: about.step_id.clone(),
            attempt: about.attempt,
            task_id: event.resource_id.parse::<TaskId>().ok(),
            news,
            author: Author::from(event),
        };
        self.engine.apply_report(report).await
    }

    /// Results are not in events; the task has it.
    async fn result(
        &self,
        tenant: TenantId,
        event: &WireEvent,
        agent_id: String,
    ) -> Result<TaskNews, Error> {
        match self.engine.tasks.get(tenant, &event.resource_id).await {
            Ok(task) => {
                let result = task.result.map(reeve_wellknown::json_from_struct);
                Ok(TaskNews::Completed {
                    agent_id,
                    result: result.unwrap_or_else(|| json!({})),
                })
            }
            Err(fault) if fault.code() == Code::NotFound => {
                let failure = Failure::new(FailureClass::Engine, "the task's result is gone");
                Ok(TaskNews::Failed { failure })
            }
            Err(fault) => Err(Error::TaskQueue(fault)),
        }
    }
}

#[tonic::async_trait]
impl Handler for TaskNewsHandler {
    fn concerns(&self, event: &WireEvent) -> bool {
        execution_of(event).is_some()
    }

    async fn prepare(&self, events: &[WireEvent]) -> Result<(), reeve_events::Error> {
        let mut by_execution: BTreeMap<String, Vec<&WireEvent>> = BTreeMap::new();
        for event in events {
            if let Some(execution) = execution_of(event) {
                by_execution.entry(execution).or_default().push(event);
            }
        }
        // Listed first: a lazy map over borrowed events is not general enough for the trait's future.
        let work: Vec<_> = by_execution
            .into_values()
            .map(|events| self.bring(events))
            .collect();
        let mut brought = futures::stream::iter(work).buffer_unordered(AT_A_TIME);
        let mut failed = None;
        while let Some(result) = brought.next().await {
            if let Err(error) = result {
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), |error| {
            Err(reeve_events::Error::Handler(Box::new(error)))
        })
    }
}

/// The execution that an event's task belongs to; nothing for other tasks.
fn execution_of(event: &WireEvent) -> Option<String> {
    let origin = event.data.as_ref()?.fields.get("origin")?.clone();
    let origin = reeve_wellknown::json_from_value(origin);
    (origin["kind"] == ORIGIN).then(|| origin["resource_id"].as_str().map(str::to_owned))?
}

/// What an event says about its task; nothing when it changes nothing for the step.
fn said(kind: &str, data: &Value) -> Option<Said> {
    let agent_id = data["agent_id"].as_str().unwrap_or_default().to_owned();
    let text = |key: &str| data[key].as_str().unwrap_or_default();
    // The queue tries again by itself, which it does only where it was told to.
    let retried = data["retry"].as_bool().unwrap_or(false);
    let failed = |failure| Some(Said::News(TaskNews::Failed { failure }));
    match kind {
        "task.started" => Some(Said::News(TaskNews::Started { agent_id })),
        "task.lease_lost" | "task.returned" | "task.delegated" => {
            Some(Said::News(TaskNews::LeaseLost))
        }
        "task.completed" => Some(Said::Completed { agent_id }),
        "task.cancelled" => Some(Said::News(TaskNews::Cancelled)),
        "task.failed" | "task.timed_out" if retried => None,
        "task.failed" if text("error_code") == FailureClass::LeaseLost.as_str() => {
            failed(Failure::new(FailureClass::LeaseLost, text("error_message")))
        }
        "task.failed" => failed(reported(text("error_code"), text("error_message"))),
        "task.timed_out" => failed(Failure::new(FailureClass::Timeout, text("error_message"))),
        _ => None,
    }
}

/// What an agent reported, or how a person decided about its task: that is not tried again unless
/// the step asks for it.
fn reported(code: &str, message: &str) -> Failure {
    let class = match code {
        "OUTCOME_UNKNOWN" => FailureClass::OutcomeUnknown,
        "APPROVAL_REJECTED" => FailureClass::Rejected,
        "GATE_EXPIRED" => FailureClass::ApprovalExpired,
        _ => return Failure::reported(code, message),
    };
    Failure::new(class, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: &str, data: &Value) -> Failure {
        match said(kind, data) {
            Some(Said::News(TaskNews::Failed { failure })) => failure,
            other => panic!("{kind} said {other:?}"),
        }
    }

    #[test]
    fn an_agents_own_code_is_kept() {
        let data = json!({"error_code": "LINT", "error_message": "line 3", "retry": false});
        let failure = failure("task.failed", &data);
        assert_eq!(
            (failure.class, failure.code.as_str()),
            (FailureClass::TaskFailed, "LINT")
        );
    }

    #[test]
    fn endings_have_their_class() {
        let lost = failure("task.failed", &json!({"error_code": "LEASE_LOST"}));
        assert_eq!(lost.class, FailureClass::LeaseLost);
        let late = failure(
            "task.timed_out",
            &json!({"error_code": "START_TO_CLOSE_TIMEOUT"}),
        );
        assert_eq!(late.class, FailureClass::Timeout);
        for (code, class) in [
            ("OUTCOME_UNKNOWN", FailureClass::OutcomeUnknown),
            ("APPROVAL_REJECTED", FailureClass::Rejected),
            ("GATE_EXPIRED", FailureClass::ApprovalExpired),
        ] {
            let decided = failure("task.failed", &json!({"error_code": code}));
            assert_eq!(decided.class, class);
        }
        assert_eq!(
            said("task.cancelled", &json!({})),
            Some(Said::News(TaskNews::Cancelled))
        );
    }

    #[test]
    fn a_task_in_other_hands_waits_for_its_next_start() {
        for kind in ["task.lease_lost", "task.returned", "task.delegated"] {
            let news = Some(Said::News(TaskNews::LeaseLost));
            assert_eq!(said(kind, &json!({})), news, "{kind}");
        }
    }

    #[test]
    fn what_the_queue_does_by_itself_is_no_news() {
        for kind in [
            "task.offer_lapsed",
            "task.created",
            "task.assigned",
            "task.rejected",
            "task.over_budget",
            "task.suspended",
            "task.gate_opened",
            "task.gate_answered",
            "task.gate_expired",
        ] {
            assert_eq!(said(kind, &json!({})), None, "{kind}");
        }
        assert_eq!(said("task.failed", &json!({"retry": true})), None);
    }

    #[test]
    fn other_tasks_are_nobodys_business() {
        let event = |origin: Value| WireEvent {
            data: reeve_wellknown::struct_from_json(json!({"origin": origin})),
            ..WireEvent::default()
        };
        let ours = event(json!({"kind": "workflow", "resource_id": "x"}));
        assert_eq!(execution_of(&ours).as_deref(), Some("x"));
        assert_eq!(
            execution_of(&event(json!({"kind": "incident", "resource_id": "x"}))),
            None
        );
        assert_eq!(execution_of(&WireEvent::default()), None);
    }
}
