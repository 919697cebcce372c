//! TriggerSchedule.

use reeve_auth::Caller;
use reeve_ids::ScheduleId;
use reeve_status::Fault;

use super::runs::{By, Firing, Trigger, commit};
use super::{ReadSpec, lock};
use crate::domain::{OverlapPolicy, Run, RunOutcome, Skipped, Step};
use crate::operations::creator;
use crate::{Error, Queue, storage};

/// Runs a schedule at once, or finds the run that the same request caused.
///
/// # Errors
/// NOT_FOUND, INVALID_ARGUMENT when its task is refused.
pub async fn trigger(
    queue: &Queue,
    caller: &Caller,
    read: ReadSpec,
    id: ScheduleId,
    request_id: Option<String>,
) -> Result<Run, Fault> {
    let (shared, tenant) = (&queue.shared, caller.tenant());
    let types = shared.catalogues.of(tenant).await?;
    let work = async {
        let mut tx = shared.database.tenant(tenant).await?;
        let locked = lock(&mut tx, tenant, id, None).await?;
        if let Some(request) = &request_id {
            let found = storage::schedule_runs::by_request(&mut tx, tenant, id, request).await?;
            if let Some(run) = found {
                return Ok(run);
            }
        }
        let now = shared.clock.now();
        let schedule = locked.schedule;
        let overlap = schedule.policies.overlap;
        let step = if locked.busy && overlap == OverlapPolicy::Skip {
            Step::Skip(Skipped {
                first: now,
                last: now,
                count: 1,
                outcome: RunOutcome::SkippedOverlap,
            })
        } else {
            Step::Fire(now)
        };
        let firing = Firing {
            steps: vec![step],
            cancels: locked.busy && overlap == OverlapPolicy::CancelPrevious,
            next_due: schedule.next_due,
            spec: read(&schedule.template, &types, now),
            stops: None,
            trigger: Some(Trigger { request_id }),
            schedule,
        };
        let by = By {
            actor: caller.into(),
            creator: creator(caller),
            traceparent: caller.traceparent.clone().unwrap_or_default(),
        };
        let runs = commit(shared, tx, vec![firing], &by, now).await?;
        let run = runs.into_iter().next();
        run.ok_or_else(|| Error::from(Fault::internal()))
    };
    Ok(work.await?)
}
