//! Looking.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::{ApprovalId, ExecutionId, TenantId};
use reeve_postgres::Tx;

use super::control_execution::not_found;
use super::engine::{Engine, Planned};
use crate::domain::approval::Approval;
use crate::domain::diagnose::{self, Reason, Tasks};
use crate::domain::plan::Plan;
use crate::domain::run::Run;
use crate::domain::state::ExecutionState;
use crate::error::Error;
use crate::storage::rows::{Chained, Listed, Published, Standing, Stored};
use crate::storage::workflows::{self, Which};
use crate::storage::{self, approvals, executions, history, wakefulness};

/// Bytes of outputs that one look reads; an answer holds no more.
const OUTPUT_BYTES: i64 = 3 << 20;

/// An execution with what its status needs.
#[derive(Debug)]
pub struct Seen {
    /// The execution.
    pub stored: Stored,
    /// Its plan.
    pub planned: Arc<Planned>,
    /// The steps whose outputs were asked for, of which the first were read.
    pub wanted: Vec<usize>,
    /// The newest attempts' tasks.
    pub tasks: Tasks,
    /// When it will probably end.
    pub estimated_end: Option<DateTime<Utc>>,
    /// When it was looked at.
    pub now: DateTime<Utc>,
}

/// Which steps' outputs are wanted.
#[derive(Debug, Default)]
pub struct Outputs {
    /// Any at all.
    pub wanted: bool,
    /// Only of these steps; empty means of all.
    pub steps: Vec<String>,
}

impl Outputs {
    /// The steps, by index.
    fn of(&self, plan: &Plan) -> Vec<usize> {
        if !self.wanted {
            return Vec::new();
        }
        let steps = plan.steps().iter().enumerate();
        let steps = steps.filter(|(_, it)| self.steps.is_empty() || self.steps.contains(&it.id));
        steps.map(|(index, _)| index).collect()
    }
}

/// What an execution waits for.
#[derive(Debug)]
pub struct Diagnosis {
    /// Where it stands.
    pub state: ExecutionState,
    /// In one sentence.
    pub summary: String,
    /// Everything.
    pub reasons: Vec<Reason>,
    /// Whether nothing will wake it: a bug.
    pub is_asleep: bool,
}

impl Engine {
    /// One version of a workflow; 0 is the newest.
    ///
    /// # Errors
    /// When there is none such.
    pub async fn get_workflow(
        &self,
        tenant: TenantId,
        which: &Which,
        version: i32,
    ) -> Result<Published, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        let published = workflows::get(&mut tx, tenant, which, version).await?;
        published.ok_or_else(|| {
            let name = match which {
                Which::Id(id) => id.to_string(),
                Which::Name(name) => name.clone(),
            };
            Error::NotFound {
                kind: "workflow",
                name,
            }
        })
    }

    /// A page of newest versions by name.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn list_workflows(
        &self,
        tenant: TenantId,
        prefix: &str,
        tag: &str,
        after: &str,
        limit: i64,
    ) -> Result<Vec<Published>, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        Ok(workflows::list(&mut tx, tenant, prefix, tag, after, limit).await?)
    }

    /// One execution with its status.
    ///
    /// # Errors
    /// When there is none such.
    pub async fn get_execution(
        &self,
        tenant: TenantId,
        id: ExecutionId,
        outputs: &Outputs,
    ) -> Result<Seen, Error> {
        let mut tx = self.snapshot(tenant).await?;
        let mut stored = executions::get(&mut tx, tenant, id)
            .await?
            .ok_or_else(|| not_found(id))?;
        let run = &stored.run;
        let planned = self
            .plan(&mut tx, tenant, run.workflow_id, run.version)
            .await?;
        let wanted = outputs.of(&planned.plan);
        let bound = Some(OUTPUT_BYTES);
        executions::read_outputs(&mut tx, &mut stored, &wanted, bound).await?;
        let run = &stored.run;
        let tasks = executions::tasks_of(&mut tx, tenant, id).await?;
        let now = self.now();
        let predictable = run.state == ExecutionState::Running && !run.awaits_people(&planned.plan);
        let estimated_end = if predictable {
            let median = executions::median_duration(&mut tx, tenant, run.workflow_id).await?;
            estimate(run, median).filter(|end| *end > now)
        } else {
            None
        };
        Ok(Seen {
            stored,
            planned,
            wanted,
            tasks,
            estimated_end,
            now,
        })
    }

    /// A page of executions, newest first.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn list_executions(
        &self,
        tenant: TenantId,
        filter: &executions::Filter,
        before: Option<ExecutionId>,
        limit: i64,
    ) -> Result<Vec<Listed>, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        Ok(executions::list(&mut tx, tenant, filter, before, limit).await?)
    }

    /// Entries of an execution's history after a sequence, and where it stood at that moment.
    ///
    /// # Errors
    /// When there is no such execution.
    pub async fn history(
        &self,
        tenant: TenantId,
        id: ExecutionId,
        after: i64,
        limit: i64,
    ) -> Result<(Standing, Vec<Chained>), Error> {
        let mut tx = self.snapshot(tenant).await?;
        let standing = executions::standing(&mut tx, tenant, id)
            .await?
            .ok_or_else(|| not_found(id))?;
        let entries = history::list(&mut tx, tenant, id, after, limit).await?;
        Ok((standing, entries))
    }

    /// A transaction whose reads all see the same moment.
    async fn snapshot(&self, tenant: TenantId) -> Result<Tx, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        storage::snapshot(&mut tx).await?;
        Ok(tx)
    }

    /// Everything that an execution waits for.
    ///
    /// # Errors
    /// When there is no such execution.
    pub async fn diagnose(&self, tenant: TenantId, id: ExecutionId) -> Result<Diagnosis, Error> {
        let mut tx = self.snapshot(tenant).await?;
        let stored = executions::get(&mut tx, tenant, id)
            .await?
            .ok_or_else(|| not_found(id))?;
        let run = &stored.run;
        let planned = self
            .plan(&mut tx, tenant, run.workflow_id, run.version)
            .await?;
        let tasks = executions::tasks_of(&mut tx, tenant, id).await?;
        let sources = wakefulness::sources(&mut tx, tenant, id).await?;
        let is_asleep = wakefulness::is_asleep(&mut tx, tenant, id).await?;
        let reasons = diagnose::reasons(&planned.plan, run, &sources, &tasks);
        let summary = diagnose::summary(run, &reasons, is_asleep);
        Ok(Diagnosis {
            state: run.state,
            summary,
            reasons,
            is_asleep,
        })
    }

    /// One approval with its artifact.
    ///
    /// # Errors
    /// When there is none such.
    pub async fn get_approval(&self, tenant: TenantId, id: ApprovalId) -> Result<Approval, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        let approval = approvals::get(&mut tx, tenant, id).await?;
        approval.ok_or_else(|| Error::NotFound {
            kind: "approval",
            name: id.to_string(),
        })
    }

    /// A page of approvals, newest first.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn list_approvals(
        &self,
        tenant: TenantId,
        filter: &approvals::Filter,
        before: Option<ApprovalId>,
        limit: i64,
    ) -> Result<Vec<Approval>, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        Ok(approvals::list(&mut tx, tenant, filter, before, limit).await?)
    }

    /// Counts executions that nothing will wake, for the metric that must be 0.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn count_asleep(&self) -> Result<i64, Error> {
        let asleep = wakefulness::count_asleep(self.database.internal_pool()).await?;
        self.counters.asleep.set(asleep);
        if asleep > 0 {
            tracing::error!(asleep, "executions that nothing will ever wake");
        }
        Ok(asleep)
    }
}

fn estimate(run: &Run, median_seconds: Option<f64>) -> Option<DateTime<Utc>> {
    let seconds = std::time::Duration::try_from_secs_f64(median_seconds?).ok()?;
    run.start_time?
        .checked_add_signed(TimeDelta::from_std(seconds).ok()?)
}
