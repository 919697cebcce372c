//! UpdateSchedule.

use reeve_auth::Caller;
use reeve_ids::ScheduleId;
use reeve_status::Fault;
use serde_json::json;

use super::{Draft, check_parent, finish, lock};
use crate::Queue;
use crate::core::Shared;
use crate::domain::Schedule;

/// Changes a schedule to what `edit` makes of it.
///
/// # Errors
/// NOT_FOUND, ABORTED for a stale etag, ALREADY_EXISTS for the name, and what `edit` says.
pub async fn update(
    queue: &Queue,
    caller: &Caller,
    id: ScheduleId,
    etag: Option<i32>,
    edit: impl FnOnce(&Schedule) -> Result<Draft, Fault> + Send,
) -> Result<Schedule, Fault> {
    let (shared, tenant) = (&queue.shared, caller.tenant());
    let work = async {
        let mut tx = shared.database.tenant(tenant).await?;
        let before = lock(&mut tx, tenant, id, etag).await?.schedule;
        let draft = edit(&before)?;
        check_parent(&mut tx, tenant, &draft).await?;
        let after = changed(&before, draft, shared);
        let facts = json!({"changed": differences(&before, &after)});
        finish(shared, tx, caller, after, "schedule.updated", facts).await
    };
    work.await?;
    super::get(queue, tenant, id).await
}

fn changed(before: &Schedule, draft: Draft, shared: &Shared) -> Schedule {
    let now = shared.clock.now();
    let (old, new) = (&before.timing, &draft.timing);
    let another = (&old.cron, &old.zone, old.start) != (&new.cron, &new.zone, new.start);
    let ended = before.next_due.is_none();
    let next_due = if before.paused {
        None
    } else if another || ended {
        before.first_due(&draft.calendar, now)
    } else {
        let end = draft.timing.end;
        before
            .next_due
            .filter(|due| end.is_none_or(|end| *due < end))
    };
    Schedule {
        name: draft.name,
        timing: draft.timing,
        jitter: draft.jitter,
        policies: draft.policies,
        template: draft.template,
        next_due,
        ..before.clone()
    }
}

/// The fields that differ.
fn differences(before: &Schedule, after: &Schedule) -> Vec<&'static str> {
    let (old, new) = (&before.timing, &after.timing);
    let (was, is) = (&before.policies, &after.policies);
    let differ = [
        ("name", before.name != after.name),
        ("cron", old.cron != new.cron),
        ("time_zone", old.zone != new.zone),
        ("task", before.template != after.template),
        ("start_time", old.start != new.start),
        ("end_time", old.end != new.end),
        ("jitter_duration", before.jitter != after.jitter),
        ("missed_run_policy", was.missed != is.missed),
        ("catch_up_duration", was.catch_up != is.catch_up),
        ("catch_up_limit", was.catch_up_limit != is.catch_up_limit),
        ("overlap_policy", was.overlap != is.overlap),
    ];
    let differ = differ.into_iter().filter(|(_, differs)| *differs);
    differ.map(|(field, _)| field).collect()
}
