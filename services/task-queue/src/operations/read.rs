//! GetTask and ListTasks.

use reeve_ids::{TaskId, TenantId};
use reeve_status::Fault;

use crate::domain::Task;
use crate::storage::{self, Filter, GateRow};
use crate::{Error, Queue};

/// A task with everything.
///
/// # Errors
/// NOT_FOUND.
pub async fn get(queue: &Queue, tenant: TenantId, id: TaskId) -> Result<Task, Fault> {
    Ok(try_get(queue, tenant, id).await?)
}

async fn try_get(queue: &Queue, tenant: TenantId, id: TaskId) -> Result<Task, Error> {
    let mut tx = queue.shared.database.tenant(tenant).await?;
    let found = storage::get(&mut tx, tenant, &[id], true).await?;
    let mut task = found.into_iter().next().ok_or(Error::NoTask(id))?;
    if task.attempt > 0 {
        let mut attempts = storage::attempts(&mut tx, tenant, id).await?;
        attempts.append(&mut task.attempts);
        task.attempts = attempts;
        task.artifacts = storage::artifacts_of(&mut tx, tenant, id).await?;
        let gates = storage::gates_of(&mut tx, tenant, id).await?;
        let gates = gates.into_iter().map(GateRow::into_gate);
        task.gates = gates.collect::<Result<_, _>>()?;
    }
    task.children = storage::children(&mut tx, tenant, id).await?;
    tx.commit().await?;
    Ok(task)
}

/// Tasks that a filter chooses, newest first, after `after`.
///
/// # Errors
/// UNAVAILABLE.
pub async fn list(
    queue: &Queue,
    tenant: TenantId,
    filter: &Filter,
    after: Option<TaskId>,
    full: bool,
    limit: i64,
) -> Result<Vec<Task>, Fault> {
    let read = async {
        let mut tx = queue.shared.database.tenant(tenant).await?;
        let (mut tasks, mut after) = (Vec::new(), after);
        loop {
            let left = limit - i64::try_from(tasks.len()).unwrap_or(limit);
            let listed = storage::list(&mut tx, tenant, filter, after, full, left).await?;
            tasks.extend(listed.tasks);
            after = listed.next;
            // In place of those that could not be read.
            let enough = i64::try_from(tasks.len()).is_ok_and(|tasks| tasks >= limit);
            if enough || after.is_none() {
                break;
            }
        }
        tx.commit().await?;
        Ok::<_, Error>(tasks)
    };
    Ok(read.await?)
}
