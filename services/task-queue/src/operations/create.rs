//! CreateTask and BatchCreateTasks.

use std::collections::HashMap;

use reeve_auth::Caller;
use reeve_events::Actor;
use reeve_ids::{TaskId, TenantId};
use reeve_status::{Fault, Violation, Violations};

use crate::domain::{self, NewTask, Spec, Task};
use crate::lanes::{CreateGroup, Created};
use crate::{Error, Queue, storage};

/// A task to be created.
#[derive(Debug)]
pub struct Creation {
    /// What is to be done.
    pub spec: Spec,
    /// How large the spec was.
    pub bytes: usize,
    /// The client's request id with the digest of the spec.
    pub request: Option<domain::Request>,
    /// Where the parameters do not match the schema of the type.
    pub unfit: Vec<Violation>,
}

/// Creates one task; answers with it as it is now.
///
/// # Errors
/// INVALID_ARGUMENT for related tasks that do not exist, FAILED_PRECONDITION for a reused request
/// id, RESOURCE_EXHAUSTED when the lane is full.
pub async fn create(queue: &Queue, caller: &Caller, creation: Creation) -> Result<Task, Fault> {
    refuse_unfit(queue, caller.tenant(), std::slice::from_ref(&creation)).await?;
    let task = new_task(queue, caller, creation);
    let fresh = as_created(&task);
    let actor = Actor::from(caller);
    let group = CreateGroup {
        tasks: vec![task],
        actor,
        path: |_| "spec".to_owned(),
    };
    let created = queue.lanes.create.submit(group).await?;
    match created.first() {
        Some(Created::New { blocked_by, braked }) => Ok(Task {
            blocked_by: *blocked_by,
            braked: *braked,
            ..fresh
        }),
        Some(Created::Before(id)) => super::get(queue, caller.tenant(), *id).await,
        None => Err(Fault::internal()),
    }
}

/// Creates several tasks, all or none; answers with their ids in order.
///
/// # Errors
/// As [`create`].
pub async fn create_batch(
    queue: &Queue,
    caller: &Caller,
    creations: Vec<Creation>,
) -> Result<Vec<TaskId>, Fault> {
    refuse_unfit(queue, caller.tenant(), &creations).await?;
    let tasks: Vec<_> = creations
        .into_iter()
        .map(|creation| new_task(queue, caller, creation))
        .collect();
    let ids: Vec<_> = tasks.iter().map(|task| task.id).collect();
    let path = |index| format!("requests[{index}].spec");
    let group = CreateGroup {
        tasks,
        actor: Actor::from(caller),
        path,
    };
    let created = queue.lanes.create.submit(group).await?;
    let id = |(fresh, created)| match created {
        Created::New { .. } => fresh,
        Created::Before(id) => id,
    };
    Ok(ids.into_iter().zip(created).map(id).collect())
}

/// Refuses tasks whose parameters do not match the schema of their type. A repeat of a request that
/// created its task is none of them: the schema may have changed since.
///
/// # Errors
/// INVALID_ARGUMENT with every place.
pub async fn refuse_unfit(
    queue: &Queue,
    tenant: TenantId,
    creations: &[Creation],
) -> Result<(), Fault> {
    let unfit = creations.iter().filter(|one| !one.unfit.is_empty());
    let unfit: Vec<_> = unfit.collect();
    if unfit.is_empty() {
        return Ok(());
    }
    let requests = unfit.iter().filter_map(|one| one.request.as_ref());
    let asked: Vec<_> = requests.map(|request| request.id.as_str()).collect();
    let known = made_by(queue, tenant, &asked).await?;
    let is_repeat = |one: &&&Creation| {
        let request = one.request.as_ref();
        request.is_some_and(|request| known.get(&request.id) == Some(&request.digest))
    };
    let mut violations = Violations::new();
    for violation in unfit
        .iter()
        .filter(|one| !is_repeat(one))
        .flat_map(|one| &one.unfit)
    {
        violations.add(&violation.field, violation.description.clone());
    }
    violations.finish()
}

/// The digests of those of these requests that created a task before.
async fn made_by(
    queue: &Queue,
    tenant: TenantId,
    requests: &[&str],
) -> Result<HashMap<String, Vec<u8>>, Error> {
    if requests.is_empty() {
        return Ok(HashMap::new());
    }
    let mut tx = queue.shared.database.tenant(tenant).await?;
    let now = queue.shared.clock.now();
    let found = storage::find_requests(&mut tx, tenant, requests, now).await?;
    tx.commit().await?;
    Ok(found)
}

/// A task that is to be written.
pub fn new_task(queue: &Queue, caller: &Caller, creation: Creation) -> NewTask {
    NewTask {
        id: TaskId::new(),
        tenant_id: caller.tenant(),
        spec: creation.spec,
        bytes: creation.bytes,
        creator: creator(caller),
        traceparent: caller.traceparent.clone().unwrap_or_default(),
        create_time: queue.shared.clock.now(),
        request: creation.request,
    }
}

/// Who calls, as it is stored.
pub fn creator(caller: &Caller) -> domain::Actor {
    let principal = &caller.principal;
    domain::Actor {
        kind: match principal.kind {
            reeve_auth::PrincipalKind::User => domain::ActorKind::User,
            reeve_auth::PrincipalKind::Agent => domain::ActorKind::Agent,
            reeve_auth::PrincipalKind::Service => domain::ActorKind::Service,
        } as i16,
        subject: principal.subject.clone(),
        display_name: principal.display_name.clone(),
    }
}

/// The task as it will be stored, so that an answer needs no read.
fn as_created(task: &NewTask) -> Task {
    Task {
        id: task.id,
        tenant_id: task.tenant_id,
        spec: task.spec.clone(),
        creator: task.creator.clone(),
        traceparent: task.traceparent.clone(),
        create_time: task.create_time,
        state: domain::State::Pending,
        version: 1,
        attempt: 0,
        failures: 0,
        lost_leases: 0,
        dead: false,
        discard: None,
        delegation: None,
        agent_id: None,
        gate_kind: None,
        gates: Vec::new(),
        blocked_by: 0,
        braked: false,
        parked: false,
        admission: task.admission(),
        hold_id: None,
        cancel_requested: false,
        cancel_reason: String::new(),
        update_time: task.create_time,
        ready_time: task.ready_time(),
        assign_time: None,
        start_time: None,
        end_time: None,
        lease_until: None,
        rejected_by: Vec::new(),
        result: None,
        result_message: String::new(),
        error: None,
        progress: None,
        attempts: Vec::new(),
        artifacts: Vec::new(),
        children: domain::Children::default(),
    }
}
