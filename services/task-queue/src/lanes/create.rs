//! The lane of creates.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use reeve_ids::{TaskId, TenantId};
use reeve_status::Violations;
use sqlx::PgConnection;

use super::Flush;
use crate::Error;
use crate::core::Shared;
use crate::domain::{Admission, Follows, NewTask, State};
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
        /// Whether a brake holds it.
        braked: bool,
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

    fn tenant(group: &CreateGroup) -> TenantId {
        let nobody = || TenantId::from_uuid(reeve_ids::Uuid::nil());
        group
            .tasks
            .first()
            .map_or_else(nobody, |task| task.tenant_id)
    }

    fn weight(group: &CreateGroup) -> usize {
        group
            .tasks
            .iter()
            .map(|task| super::by_bytes(task.bytes))
            .sum()
    }

    async fn flush(
        &self,
        groups: &[CreateGroup],
    ) -> Result<Vec<Result<Vec<Created>, Error>>, Error> {
        let mut tx = self.shared.lane_transaction().await?;
        let written = self.write(&mut tx, groups).await?;
        tx.commit().await?;
        self.shared.wake.notify();
        self.announce(&written.new);
        Ok(written.answers)
    }
}

/// What became of some calls, to be made known after the commit.
pub struct Written<'a> {
    /// The tasks, each with how many of its dependencies are not complete.
    pub new: Vec<(&'a NewTask, i32)>,
    /// What each call is told.
    pub answers: Vec<Result<Vec<Created>, Error>>,
}

impl CreateFlush {
    /// Writes calls in a transaction, with their events.
    ///
    /// # Errors
    /// When the database refuses; the transaction must then be rolled back.
    pub async fn write<'a>(
        &self,
        connection: &mut PgConnection,
        groups: &'a [CreateGroup],
    ) -> Result<Written<'a>, Error> {
        let mut plan = Plan::new(groups);
        // First, because of its locks.
        let no_room = self.put_demands(connection, &plan).await?;
        plan.find_repeats(connection, self.shared.clock.now())
            .await?;
        plan.refuse_demands(&no_room);
        plan.find_related(connection).await?;
        plan.give_up_refused(connection).await?;
        let new = plan.new_tasks();
        plan.braked = storage::insert_tasks(connection, &new).await?;
        let created = |entry: &&Entry<'_>| plan.is_new(entry);
        let events = plan.entries.iter().filter(created);
        let events = events.map(|entry| events::created(entry.task, &groups[entry.group].actor));
        self.shared.append(connection, events.collect()).await?;
        let answers = plan.answers(groups.len());
        Ok(Written { new, answers })
    }

    /// Writes down what the tasks ask of agents, unless that is known to be there.
    async fn put_demands(
        &self,
        connection: &mut PgConnection,
        plan: &Plan<'_>,
    ) -> Result<HashSet<(TenantId, String)>, Error> {
        let tasks = plan.entries.iter().map(|entry| entry.task);
        let unknown = tasks.filter(|task| {
            let demand = &task.spec.demand;
            task.spec.is_demanding() && !self.shared.demands.is_written(task.tenant_id, demand)
        });
        let unknown: Vec<_> = unknown.map(|task| (task.tenant_id, &task.spec)).collect();
        if unknown.is_empty() {
            return Ok(HashSet::new());
        }
        storage::put_demands(connection, &unknown, self.shared.clock.now()).await
    }

    /// Makes new tasks known, after the commit.
    pub fn announce(&self, new: &[(&NewTask, i32)]) {
        for (task, _) in new.iter().filter(|(task, _)| task.spec.is_demanding()) {
            self.shared.demands.note(task.tenant_id, &task.spec.demand);
        }
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

/// One task with the call that it belongs to.
struct Entry<'a> {
    group: usize,
    /// Its index there.
    at: usize,
    /// Path by index.
    path: fn(usize) -> String,
    task: &'a NewTask,
}

/// What is to become of each task of a flush. A call that is refused keeps nobody else's from being
/// written: the refusals are known before anything is.
struct Plan<'a> {
    entries: Vec<Entry<'a>>,
    /// Tasks that the same request had created, by the ids that they would have got.
    before: HashMap<TaskId, TaskId>,
    /// Dependencies that are not complete.
    blocked: HashMap<TaskId, i32>,
    /// Tasks that a brake holds.
    braked: HashSet<TaskId>,
    refused: HashMap<usize, Error>,
}

impl<'a> Plan<'a> {
    fn new(groups: &'a [CreateGroup]) -> Self {
        let entries = groups.iter().enumerate().flat_map(|(group, call)| {
            let tasks = call.tasks.iter().enumerate();
            tasks.map(move |(at, task)| Entry {
                group,
                at,
                path: call.path,
                task,
            })
        });
        Self {
            entries: entries.collect(),
            before: HashMap::new(),
            blocked: HashMap::new(),
            braked: HashSet::new(),
            refused: HashMap::new(),
        }
    }

    fn is_new(&self, entry: &Entry<'_>) -> bool {
        !self.before.contains_key(&entry.task.id) && !self.refused.contains_key(&entry.group)
    }

    /// The tasks to be written, each with how many of its dependencies are not complete.
    fn new_tasks(&self) -> Vec<(&'a NewTask, i32)> {
        let new = self.entries.iter().filter(|entry| self.is_new(entry));
        new.map(|entry| (entry.task, self.blocked_by(entry.task.id)))
            .collect()
    }

    fn blocked_by(&self, task: TaskId) -> i32 {
        self.blocked.get(&task).copied().unwrap_or(0)
    }

    /// Finds the tasks that a request id had created before; refuses a request id with another body.
    async fn find_repeats(
        &mut self,
        connection: &mut PgConnection,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let tasks: Vec<_> = self.entries.iter().map(|entry| entry.task).collect();
        for (index, claim) in storage::claim_requests(connection, &tasks, now).await? {
            let Entry { group, task, .. } = &self.entries[index];
            let Some(request) = &task.request else {
                continue;
            };
            if request.digest == claim.digest {
                self.before
                    .insert(task.id, TaskId::from_uuid(claim.task_id));
            } else {
                let request_id = request.id.clone();
                let reused = Error::RequestIdReused { request_id };
                self.refused.entry(*group).or_insert(reused);
            }
        }
        Ok(())
    }

    /// Refuses what asks for something for which there is no room.
    fn refuse_demands(&mut self, no_room: &HashSet<(TenantId, String)>) {
        if no_room.is_empty() {
            return;
        }
        let new = self.entries.iter().filter(|entry| self.is_new(entry));
        let over = new.filter(|entry| {
            let Entry { task, .. } = entry;
            no_room.contains(&(task.tenant_id, task.spec.demand.clone()))
        });
        let over: Vec<_> = over
            .map(|entry| (entry.group, entry.task.tenant_id))
            .collect();
        for (group, tenant) in over {
            let refusal = Error::TooManyDemands(tenant);
            self.refused.entry(group).or_insert(refusal);
        }
    }

    /// Counts dependencies that are not complete. Refuses parents and dependencies that do not
    /// exist, and dependencies that ended otherwise.
    async fn find_related(&mut self, connection: &mut PgConnection) -> Result<(), Error> {
        let new = self.entries.iter().filter(|entry| self.is_new(entry));
        let related: Vec<(TenantId, TaskId)> = new
            .flat_map(|entry| {
                let spec = &entry.task.spec;
                let related = spec.parent_task_id.iter().chain(&spec.depends_on);
                related.map(|id| (entry.task.tenant_id, *id))
            })
            .collect();
        if related.is_empty() {
            return Ok(());
        }
        let found = Related::find(connection, &related).await?;
        let mut violations = BTreeMap::<usize, Violations>::new();
        let mut blocked = HashMap::new();
        for entry in self.entries.iter().filter(|entry| self.is_new(entry)) {
            let of_call = violations.entry(entry.group).or_default();
            let count = of_call.within((entry.path)(entry.at), |inner| {
                found.check(inner, entry.task)
            })?;
            blocked.insert(entry.task.id, count);
        }
        self.blocked = blocked;
        for (group, violations) in violations {
            if let Err(fault) = violations.finish() {
                self.refused.insert(group, fault.into());
            }
        }
        Ok(())
    }

    /// Gives back what refused calls had claimed. One whose request id another call of this flush
    /// repeats must not share a flush with it.
    async fn give_up_refused(&self, connection: &mut PgConnection) -> Result<(), Error> {
        let given_up = self.entries.iter().filter(|entry| {
            self.refused.contains_key(&entry.group) && !self.before.contains_key(&entry.task.id)
        });
        let given_up: Vec<_> = given_up.map(|entry| entry.task).collect();
        let repeated = self.before.values().find(|id| {
            let same = |task: &&NewTask| task.id == **id;
            given_up.iter().any(same)
        });
        if let Some(id) = repeated {
            return Err(Error::Moved(*id));
        }
        storage::unclaim_requests(connection, &given_up).await
    }

    fn answers(mut self, groups: usize) -> Vec<Result<Vec<Created>, Error>> {
        let mut created: Vec<Vec<Created>> = (0..groups).map(|_| Vec::new()).collect();
        for entry in &self.entries {
            let id = entry.task.id;
            let blocked_by = self.blocked_by(id);
            let braked = self.braked.contains(&id);
            let new = Created::New { blocked_by, braked };
            let before = self.before.get(&id).copied();
            created[entry.group].push(before.map_or(new, Created::Before));
        }
        let each = created.into_iter().enumerate();
        each.map(|(group, created)| self.refused.remove(&group).map_or(Ok(created), Err))
            .collect()
    }
}

/// What is known of parents and dependencies.
struct Related {
    known: HashSet<(TenantId, TaskId)>,
    open: HashSet<TaskId>,
    ended: HashMap<TaskId, (State, bool)>,
}

impl Related {
    async fn find(
        connection: &mut PgConnection,
        related: &[(TenantId, TaskId)],
    ) -> Result<Self, Error> {
        let known = storage::existing_tasks(connection, related).await?;
        let open = storage::hold_dependencies(connection, related).await?;
        let ended = storage::end_states(connection, related).await?;
        Ok(Self {
            known: known.into_iter().collect(),
            open: open.into_iter().collect(),
            ended: ended.into_iter().collect(),
        })
    }

    /// How many of a task's dependencies are not complete.
    fn check(&self, violations: &mut Violations, task: &NewTask) -> Result<i32, Error> {
        let knows = |id: TaskId| self.known.contains(&(task.tenant_id, id));
        if let Some(parent) = task.spec.parent_task_id {
            violations.check(knows(parent), "parent_task_id", "there is no such task");
        }
        let mut blocked_by = 0;
        for (at, on) in task.spec.depends_on.iter().enumerate() {
            let field = format!("depends_on[{at}]");
            if !knows(*on) {
                violations.add(field, "there is no such task");
                continue;
            }
            match self.ended.get(on) {
                _ if self.open.contains(on) => blocked_by += 1,
                Some((state, discarded)) => {
                    match task.spec.dependency_policy.follows(*state, *discarded) {
                        Follows::Met => {}
                        Follows::Waits => blocked_by += 1,
                        Follows::Cancelled => {
                            let what =
                                format!("the task is {} and will not complete", state.word());
                            violations.add(field, what);
                        }
                    }
                }
                // Revived between the two questions.
                None => return Err(Error::Moved(*on)),
            }
        }
        Ok(blocked_by)
    }
}
