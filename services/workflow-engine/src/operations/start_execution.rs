//! Starting an execution: it is under way when its row is first written.

use std::collections::BTreeMap;
use std::sync::Arc;

use reeve_ids::{BudgetId, ExecutionId, ProjectId, TenantId};
use reeve_status::Violations;
use serde_json::{Value, json};

use super::engine::{Author, Engine, Planned};
use super::held::decide_safely;
use super::publish;
use crate::domain::canonical::{Digest, digest};
use crate::domain::event::Event;
use crate::domain::history::GENESIS;
use crate::domain::plan::Plan;
use crate::domain::run::{Run, StepRun};
use crate::domain::state::{ExecutionState, Priority};
use crate::error::Error;
use crate::storage::rows::{Stored, Tip};
use crate::storage::workflows::{self, Which};
use crate::storage::{executions, save};

/// What a caller wants to run.
#[derive(Debug, Clone)]
pub struct Start {
    /// The client's request_id; empty for none.
    pub request_id: String,
    /// The workflow.
    pub which: Which,
    /// Its version; 0 is the newest.
    pub version: i32,
    /// What expressions call `input`.
    pub input: Value,
    /// The caller's context.
    pub context: Value,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Project of its tasks.
    pub project_id: Option<ProjectId>,
    /// Budget of its tasks.
    pub budget_id: Option<BudgetId>,
    /// Priority of its tasks.
    pub priority: Priority,
    /// Trace that it belongs to; empty for none.
    pub traceparent: String,
}

impl Start {
    /// What a repeat must be equal in: everything the caller said, not the trace it came with.
    fn digest(&self) -> Digest {
        let which = match &self.which {
            Which::Id(id) => json!({"id": id.to_string()}),
            Which::Name(name) => json!({"name": name}),
        };
        digest(&json!({
            "workflow": which, "version": self.version, "input": self.input,
            "context": self.context, "labels": self.labels,
            "project": self.project_id.map(|id| id.to_string()),
            "budget": self.budget_id.map(|id| id.to_string()),
            "priority": self.priority.as_str(),
        }))
    }
}

impl Engine {
    /// Starts an execution, or finds the one that the same request_id started.
    ///
    /// # Errors
    /// When there is no such workflow, the input does not match its schema, or the request_id was
    /// used with another body.
    pub async fn start_execution(
        &self,
        tenant: TenantId,
        author: &Author,
        start: Start,
    ) -> Result<(Stored, Arc<Planned>), Error> {
        for _ in 0..2 {
            match self.try_start(tenant, author, &start).await {
                // The same request_id was used by another call a moment ago: its execution is found
                // now.
                Err(Error::Database(reeve_postgres::Error::UniqueViolation { .. })) => {}
                started => return started,
            }
        }
        Err(Error::RequestIdReused(start.request_id))
    }

    async fn try_start(
        &self,
        tenant: TenantId,
        author: &Author,
        start: &Start,
    ) -> Result<(Stored, Arc<Planned>), Error> {
        let request_digest = start.digest();
        let mut tx = self.database.tenant(tenant).await?;
        if !start.request_id.is_empty()
            && let Some(first) = executions::by_request(&mut tx, tenant, &start.request_id).await?
        {
            if first.request_digest != request_digest {
                return Err(Error::RequestIdReused(start.request_id.clone()));
            }
            let (workflow, version) = (first.run.workflow_id, first.run.version);
            let planned = self.plan(&mut tx, tenant, workflow, version).await?;
            return Ok((first, planned));
        }
        let published = workflows::get(&mut tx, tenant, &start.which, start.version).await?;
        let published = published.ok_or_else(|| not_found(start))?;
        let planned = self.plans.keep(published).await?;
        check_input(&planned.plan, &start.input)?;
        let at = self.circumstances(author);
        let mut run = new_run(tenant, author, start, &planned, at.now);
        let writes = decide_safely(self, &planned, &mut run, Event::Start, &at).await?;
        let mut stored = Stored {
            run,
            workflow_name: planned.plan.definition.name.clone(),
            request_digest,
            tip: Tip {
                sequence: 0,
                hash: GENESIS,
            },
        };
        let (plan, request_id) = (&planned.plan, &start.request_id);
        save::create(
            &mut tx,
            plan,
            &mut stored,
            request_id,
            &writes,
            &author.actor,
        )
        .await?;
        publish::append(&mut tx, &stored.workflow_name, &stored.run, &writes, author).await?;
        tx.commit().await?;
        self.counters.started.inc();
        self.changed(stored.run.id, !writes.commands.is_empty());
        Ok((stored, planned))
    }
}

fn not_found(start: &Start) -> Error {
    let name = match &start.which {
        Which::Id(id) => id.to_string(),
        Which::Name(name) => name.clone(),
    };
    let version = if start.version == 0 {
        String::new()
    } else {
        format!(" version {}", start.version)
    };
    Error::NotFound {
        kind: "workflow",
        name: format!("{name}{version}"),
    }
}

fn check_input(plan: &Plan, input: &Value) -> Result<(), Error> {
    let mut violations = Violations::new();
    for mismatch in plan.schema.iter().flat_map(|schema| schema.check(input)) {
        violations.add(format!("input{}", mismatch.pointer), mismatch.description);
    }
    Ok(violations.finish()?)
}

fn new_run(
    tenant: TenantId,
    author: &Author,
    start: &Start,
    planned: &Planned,
    now: chrono::DateTime<chrono::Utc>,
) -> Run {
    Run {
        id: ExecutionId::new(),
        tenant,
        workflow_id: planned.published.id,
        version: planned.published.version,
        state: ExecutionState::Pending,
        stopping: None,
        input: start.input.clone(),
        context: start.context.clone(),
        labels: start.labels.clone(),
        initiated_by: author.actor.subject.clone(),
        project_id: start.project_id,
        budget_id: start.budget_id,
        priority: start.priority,
        traceparent: start.traceparent.clone(),
        output: None,
        error: None,
        create_time: now,
        start_time: None,
        end_time: None,
        deadline_time: None,
        update_time: now,
        steps: vec![StepRun::new(); planned.plan.steps().len()],
    }
}
