//! The lane of creates.

use std::collections::{HashMap, HashSet};

use reeve_events::NewEvent;
use reeve_ids::{TaskId, TenantId};
use reeve_status::Violations;
use sqlx::PgConnection;

use super::Flush;
use crate::Error;
use crate::core::Shared;
use crate::domain::{Admission, NewTask, State};
use crate::operations::events;
use crate::storage;

/// The tasks of one call: all are created, or none.
#[derive(Debug)]
pub struct CreateGroup {
    /// The tasks.
    pub tasks: Vec<NewTask>,
    /// Who creates them.
    pub actor: reeve_events::Actor,
    /// Path of each task in the request, for violations; "spec" for a single one.
    pub path: fn(usize) -> String,
}

/// What became of one task of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is new.
    New {
        /// How many dependencies are not complete.
        blocked_by: i32,
    },
    /// The same request had created it.
    Before(TaskId),
}

/// Writes creates.
pub struct CreateFlush {
    /// What the service shares.
    pub shared: Shared,
}

impl Flush for CreateFlush {
    type Item = CreateGroup;
    type Output = Vec<Created>;
    const NAME: &'static str = "create";

    fn weight(group: &CreateGroup) -> usize {
        group.tasks.len()
    }

    async fn flush(
        &self,
        groups: &[CreateGroup],
    ) -> Result<Vec<Result<Vec<Created>, Error>>, Error> {
        let tasks: Vec<&NewTask> = groups.iter().flat_map(|group| &group.tasks).collect();
        let mut tx = self.shared.lane_transaction().await?;
        let before = repeats(&mut tx, &tasks).await?;
        let blocked = blocked_by(&mut tx, groups, &tasks, &before).await?;
        let new: Vec<_> = tasks
            .iter()
            .enumerate()
            .filter(|(index, _)| !before.contains_key(index))
            .map(|(_, task)| (*task, blocked.get(&task.id).copied().unwrap_or(0)))
            .collect();
        storage::insert_tasks(&mut tx, &new).await?;
        self.shared
            .append(&mut tx, created_events(groups, &before))
            .await?;
        tx.commit().await?;
        self.shared.wake.notify();
        self.announce(&new);
        Ok(answers(groups, &before, &blocked))
    }
}

impl CreateFlush {
    fn announce(&self, new: &[(&NewTask, i32)]) {
        let admitted = new
            .iter()
            .filter(|(task, blocked)| *blocked == 0 && task.admission().lets_run());
        self.shared
            .dispatch
            .announce(admitted.map(|(task, _)| (*task).into()).collect());
        if new
            .iter()
            .any(|(task, _)| task.admission() == Admission::Awaiting)
        {
            self.shared.admission.notify_one();
        }
    }
}

/// Which tasks a request id had created before, by index; refuses a request id with another body.
async fn repeats(
    connection: &mut PgConnection,
    tasks: &[&NewTask],
) -> Result<HashMap<usize, TaskId>, Error> {
    let claimed = storage::claim_requests(connection, tasks).await?;
    let mut before = HashMap::with_capacity(claimed.len());
    for (index, claim) in claimed {
        let Some((request_id, digest)) = &tasks[index].request else {
            continue;
        };
        if *digest != claim.digest {
            return Err(Error::RequestIdReused {
                request_id: request_id.clone(),
            });
        }
        before.insert(index, TaskId::from_uuid(claim.task_id));
    }
    Ok(before)
}

/// How many of each task's dependencies are not complete. Refuses parents and dependencies that do
/// not exist, and dependencies that ended otherwise.
async fn blocked_by(
    connection: &mut PgConnection,
    groups: &[CreateGroup],
    tasks: &[&NewTask],
    before: &HashMap<usize, TaskId>,
) -> Result<HashMap<TaskId, i32>, Error> {
    let related: Vec<(TenantId, TaskId)> = tasks
        .iter()
        .enumerate()
        .filter(|(index, _)| !before.contains_key(index))
        .flat_map(|(_, task)| {
            let parent = task.spec.parent_task_id.iter();
            parent
                .chain(&task.spec.depends_on)
                .map(|id| (task.tenant_id, *id))
        })
        .collect();
    if related.is_empty() {
        return Ok(HashMap::new());
    }
    let known: HashSet<_> = storage::existing_tasks(connection, &related)
        .await?
        .into_iter()
        .collect();
    let ids: Vec<_> = related.iter().map(|(_, id)| *id).collect();
    let open: HashSet<_> = storage::hold_dependencies(connection, &ids)
        .await?
        .into_iter()
        .collect();
    let ended: HashMap<_, _> = storage::end_states(connection, &ids)
        .await?
        .into_iter()
        .collect();
    let mut blocked = HashMap::new();
    let mut index = 0;
    for group in groups {
        let mut violations = Violations::new();
        for (at, task) in group.tasks.iter().enumerate() {
            if !before.contains_key(&index) {
                let path = (group.path)(at);
                let count =
                    violations.within(path, |inner| related_of(inner, task, &known, &open, &ended));
                blocked.insert(task.id, count);
            }
            index += 1;
        }
        violations.finish()?;
    }
    Ok(blocked)
}

fn related_of(
    violations: &mut Violations,
    task: &NewTask,
    known: &HashSet<TaskId>,
    open: &HashSet<TaskId>,
    ended: &HashMap<TaskId, State>,
) -> i32 {
    if let Some(parent) = task.spec.parent_task_id {
        violations.check(
            known.contains(&parent),
            "parent_task_id",
            "there is no such task",
        );
    }
    let mut blocked_by = 0;
    for (at, on) in task.spec.depends_on.iter().enumerate() {
        let field = format!("depends_on[{at}]");
        if !known.contains(on) {
            violations.add(field, "there is no such task");
        } else if open.contains(on) {
            blocked_by += 1;
        } else if let Some(state) = ended.get(on).filter(|state| **state != State::Completed) {
            violations.add(
                field,
                format!("the task is {} and will not complete", state.word()),
            );
        }
    }
    blocked_by
}

fn created_events(groups: &[CreateGroup], before: &HashMap<usize, TaskId>) -> Vec<NewEvent> {
    let tasks = groups
        .iter()
        .flat_map(|group| group.tasks.iter().map(move |task| (group, task)));
    tasks
        .enumerate()
        .filter(|(index, _)| !before.contains_key(index))
        .map(|(_, (group, task))| events::created(task, &group.actor))
        .collect()
}

fn answers(
    groups: &[CreateGroup],
    before: &HashMap<usize, TaskId>,
    blocked: &HashMap<TaskId, i32>,
) -> Vec<Result<Vec<Created>, Error>> {
    let mut index = 0;
    let mut answer = |task: &NewTask| {
        let created = before.get(&index).map_or_else(
            || Created::New {
                blocked_by: blocked.get(&task.id).copied().unwrap_or(0),
            },
            |id| Created::Before(*id),
        );
        index += 1;
        created
    };
    groups
        .iter()
        .map(|group| Ok(group.tasks.iter().map(&mut answer).collect()))
        .collect()
}
