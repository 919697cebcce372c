//! CreateSchedule.

use reeve_auth::Caller;
use reeve_ids::ScheduleId;
use reeve_status::{Code, Fault, Reason};
use serde_json::json;

use super::{Draft, check_parent, events, name_taken, no_schedule};
use crate::domain::Schedule;
use crate::operations::creator;
use crate::{Error, Queue, storage};

/// Schedules of a tenant.
const MOST: i64 = 1_000;

/// Creates a schedule, or finds the one that the same request created.
///
/// # Errors
/// ALREADY_EXISTS for the name, FAILED_PRECONDITION for a reused request id, RESOURCE_EXHAUSTED when
/// the tenant has as many as it may.
pub async fn create(
    queue: &Queue,
    caller: &Caller,
    draft: Draft,
    request: Option<(String, Vec<u8>)>,
) -> Result<Schedule, Fault> {
    Ok(attempt(queue, caller, draft, request).await?)
}

async fn attempt(
    queue: &Queue,
    caller: &Caller,
    draft: Draft,
    request: Option<(String, Vec<u8>)>,
) -> Result<Schedule, Error> {
    let (shared, tenant) = (&queue.shared, caller.tenant());
    let mut tx = shared.database.tenant(tenant).await?;
    // One create of a tenant after the other, so that a repeat that comes at the same time finds
    // the first.
    let count = storage::schedules::count(&mut tx, tenant).await?;
    if let Some((request_id, digest)) = &request {
        let found = storage::schedules::by_request(&mut tx, tenant, request_id).await?;
        if let Some((id, before)) = found {
            if before != *digest {
                let request_id = request_id.clone();
                return Err(Error::RequestIdReused { request_id });
            }
            let found = storage::schedules::get(&mut tx, tenant, id).await?;
            return found.ok_or_else(|| no_schedule(id));
        }
    }
    if count >= MOST {
        return Err(full(caller).into());
    }
    check_parent(&mut tx, tenant, &draft).await?;
    let schedule = fresh(queue, caller, draft);
    let inserted = storage::schedules::insert(&mut tx, &schedule, request.as_ref()).await;
    inserted.map_err(|error| name_taken(error, &schedule.name))?;
    let event = events::changed(&schedule, "schedule.created", caller.into(), json!({}));
    shared.append(&mut tx, vec![event]).await?;
    tx.commit().await?;
    shared.wake.notify();
    shared.schedules.notify_one();
    Ok(schedule)
}

fn fresh(queue: &Queue, caller: &Caller, draft: Draft) -> Schedule {
    let now = queue.shared.clock.now();
    Schedule {
        id: ScheduleId::new(),
        tenant_id: caller.tenant(),
        name: draft.name,
        version: 1,
        next_due: draft.calendar.next(now),
        timing: draft.timing,
        jitter: draft.jitter,
        policies: draft.policies,
        template: draft.template,
        paused: false,
        pause_reason: String::new(),
        handled: None,
        runs: 0,
        last_task_id: None,
        last_run: None,
        creator: creator(caller),
        create_time: now,
        update_time: now,
    }
}

fn full(caller: &Caller) -> Fault {
    let subject = format!("tenant/{}", caller.tenant());
    let description = format!("{subject} may have {MOST} schedules, and does");
    Fault::new(
        Code::ResourceExhausted,
        Reason::LimitReached,
        description.clone(),
    )
    .with("limit", MOST.to_string())
    .with_quota(subject, description)
}
