//! WaitTasks and WaitSubtasks: until tasks are over.

use std::collections::HashMap;
use std::time::Duration;

use reeve_ids::{TaskId, TenantId};
use reeve_runtime::CallContext;
use reeve_status::{Fault, Violations};
use tokio::time::{Instant, sleep_until};

use super::lease::wait_within;
use crate::domain::{LeaseToken, Task};
use crate::{Error, Queue, storage};

/// How often it is looked without a wake-up: the end may have been written by another replica.
const POLL: Duration = Duration::from_secs(1);

/// What is waited for.
#[derive(Debug)]
pub struct WaitAsk {
    /// Whose the tasks are.
    pub tenant_id: TenantId,
    /// The tasks.
    pub tasks: Vec<TaskId>,
    /// Whether one of them is enough.
    pub any: bool,
    /// How long.
    pub patience: Duration,
    /// The lease of the task of which they must be parts, if they must.
    pub of: Option<LeaseToken>,
}

/// What was found when the wait ended.
#[derive(Debug)]
pub struct Waited {
    /// Whether as many are over as were waited for.
    pub satisfied: bool,
    /// Those that are over, in the order of the request.
    pub ended: Vec<Task>,
    /// Those that are not.
    pub open: Vec<TaskId>,
    /// Whether cancellation of the held task was asked for.
    pub cancel_requested: bool,
}

/// Waits until tasks are over.
///
/// # Errors
/// NOT_FOUND or INVALID_ARGUMENT for tasks that are not there or no parts, FAILED_PRECONDITION when
/// the lease is lost, UNAVAILABLE.
pub async fn wait(queue: &Queue, ask: &WaitAsk) -> Result<Waited, Fault> {
    let left = CallContext::current().and_then(|call| call.remaining());
    let deadline = Instant::now() + wait_within(ask.patience, left);
    check(queue, ask).await?;
    let held = ask.of.map(|lease| lease.task_id);
    let watched = ask.tasks.iter().copied().chain(held);
    let waiter = queue.shared.ends.wait(watched.collect());
    loop {
        let looked = look(queue, ask).await?;
        let late = Instant::now() >= deadline || queue.shared.drain.is_cancelled();
        if looked.is_enough(ask) || late {
            return looked.read(queue, ask).await;
        }
        tokio::select! {
            () = waiter.rung() => {}
            () = sleep_until(deadline.min(Instant::now() + POLL)) => {}
            () = queue.shared.drain.cancelled() => {}
        }
    }
}

/// Whether the tasks are there, and parts of the held one.
async fn check(queue: &Queue, ask: &WaitAsk) -> Result<(), Fault> {
    let known = async {
        let mut tx = queue.shared.database.tenant(ask.tenant_id).await?;
        let known: Vec<TaskId> = match ask.of {
            Some(lease) => {
                let parent = (ask.tenant_id, lease.task_id);
                storage::parts_of(&mut tx, parent, &ask.tasks).await?
            }
            None => {
                let asked = ask.tasks.iter().map(|task| (ask.tenant_id, *task));
                let found = storage::existing_tasks(&mut tx, &asked.collect::<Vec<_>>()).await?;
                found.into_iter().map(|(_, task)| task).collect()
            }
        };
        tx.commit().await?;
        Ok::<_, Error>(known)
    };
    let known = known.await?;
    let is_missing = |task: &TaskId| !known.contains(task);
    if ask.of.is_none() {
        let missing = ask.tasks.iter().find(|task| is_missing(task));
        return missing.map_or(Ok(()), |task| Err(Error::NoTask(*task).into()));
    }
    let mut violations = Violations::new();
    let missing = ask
        .tasks
        .iter()
        .enumerate()
        .filter(|(_, task)| is_missing(task));
    for (at, _) in missing {
        violations.add(
            format!("task_ids[{at}]"),
            "must be a part of the task that is held",
        );
    }
    violations.finish()
}

/// What one look found.
struct Look {
    ended: Vec<TaskId>,
    cancel_requested: bool,
}

/// However many wait, the connections are there for others first.
async fn look(queue: &Queue, ask: &WaitAsk) -> Result<Look, Fault> {
    let _turn = queue.shared.log_readers.acquire().await;
    let asked: Vec<_> = ask
        .tasks
        .iter()
        .map(|task| (ask.tenant_id, *task))
        .collect();
    let pool = queue.shared.database.internal_pool();
    let mut connection = pool.acquire().await.map_err(Error::from)?;
    let ended = storage::end_states(&mut connection, &asked).await?;
    drop(connection);
    let ended = ended.into_iter().map(|(task, _)| task).collect();
    let cancel_requested = match ask.of {
        Some(lease) => is_to_let_go(queue, ask.tenant_id, lease).await?,
        None => false,
    };
    Ok(Look {
        ended,
        cancel_requested,
    })
}

async fn is_to_let_go(queue: &Queue, tenant: TenantId, lease: LeaseToken) -> Result<bool, Error> {
    let pool = queue.shared.database.internal_pool();
    let standing = storage::standing_of(pool, tenant, &[lease.task_id]).await?;
    let held = standing.iter().find(|row| row.is_of(lease));
    let held = held.ok_or(Error::LeaseLost(lease.task_id))?;
    Ok(held.cancel_requested)
}

impl Look {
    fn is_enough(&self, ask: &WaitAsk) -> bool {
        self.is_satisfied(ask) || self.cancel_requested
    }

    fn is_satisfied(&self, ask: &WaitAsk) -> bool {
        if ask.any {
            !self.ended.is_empty()
        } else {
            self.ended.len() == ask.tasks.len()
        }
    }

    /// The tasks that are over.
    async fn read(self, queue: &Queue, ask: &WaitAsk) -> Result<Waited, Fault> {
        let read = async {
            let mut tx = queue.shared.database.tenant(ask.tenant_id).await?;
            let tasks = storage::get(&mut tx, ask.tenant_id, &self.ended, true).await?;
            tx.commit().await?;
            Ok::<_, Error>(tasks)
        };
        // Redriven since the look, it is not over any more.
        let over = read.await?.into_iter().filter(|task| task.state.is_ended());
        let mut over: HashMap<_, _> = over.map(|task| (task.id, task)).collect();
        let (mut ended, mut open) = (Vec::new(), Vec::new());
        for task in &ask.tasks {
            match over.remove(task) {
                Some(task) => ended.push(task),
                None => open.push(*task),
            }
        }
        Ok(Waited {
            satisfied: if ask.any {
                !ended.is_empty()
            } else {
                open.is_empty()
            },
            ended,
            open,
            cancel_requested: self.cancel_requested,
        })
    }
}
