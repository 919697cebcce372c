//! Taking in what became of a task. News may come twice and late; the domain compares step and
//! attempt, so that it counts once.

use reeve_ids::{ExecutionId, TaskId, TenantId};

use super::engine::{Author, Engine};
use super::held::Held;
use crate::domain::event::{Event, TaskNews, TaskReport};
use crate::error::Error;
use crate::storage::commands;

/// News of a task, by the names that task-queue knows.
#[derive(Debug, Clone)]
pub struct Report {
    /// The tenant.
    pub tenant: TenantId,
    /// The execution.
    pub execution_id: ExecutionId,
    /// The step.
    pub step_id: String,
    /// The attempt that the task was created for.
    pub attempt: u32,
    /// The task; nothing when none was created.
    pub task_id: Option<TaskId>,
    /// What became of it.
    pub news: TaskNews,
    /// Who caused it.
    pub author: Author,
}

impl Engine {
    /// Applies news. An execution or a step that is not there is no error: the news is about nothing.
    ///
    /// # Errors
    /// When the database is away; the news must then be brought again.
    pub async fn apply_report(&self, report: Report) -> Result<(), Error> {
        let Report {
            tenant,
            execution_id,
            step_id,
            attempt,
            task_id,
            news,
            author,
        } = report;
        let Some(mut held) = Held::lock(self, tenant, execution_id).await? else {
            return Ok(());
        };
        let Some(step) = held.planned.plan.index_of(&step_id) else {
            return Ok(());
        };
        if let Some(task) = task_id {
            let tx = &mut held.tx;
            let of = (tenant, execution_id);
            let own = commands::record_dispatch(tx, of.0, of.1, &step_id, attempt, task).await?;
            if own != task {
                tracing::warn!(%task, %own, execution = %execution_id, "news of a task that is not the step's");
                return Ok(());
            }
        }
        held.apply(
            Event::Task(TaskReport {
                step,
                attempt,
                news,
            }),
            &author,
        )
        .await?;
        held.commit().await?;
        Ok(())
    }
}
