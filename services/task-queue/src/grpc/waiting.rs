//! What is waited for, and what was found.

use std::collections::HashSet;

use chrono::TimeDelta;
use prost_types::Duration;
use reeve_contracts::task::v1 as proto;
use reeve_ids::{TaskId, TenantId};
use reeve_runtime::answer;
use reeve_status::{Fault, Violations};

use super::{parse, render};
use crate::domain::Task;
use crate::operations::{WaitAsk, Waited};

/// Tasks of one call.
const MOST: usize = 100;

/// WaitTasks.
///
/// # Errors
/// INVALID_ARGUMENT with every violation.
pub fn tasks(request: &proto::WaitTasksRequest, tenant: TenantId) -> Result<WaitAsk, Fault> {
    let mut v = Violations::new();
    let wait = request.wait_duration.as_ref();
    let ask = ask(&mut v, tenant, &request.task_ids, request.condition, wait);
    v.finish()?;
    Ok(ask)
}

/// WaitSubtasks.
///
/// # Errors
/// INVALID_ARGUMENT with every violation.
pub fn subtasks(request: &proto::WaitSubtasksRequest, tenant: TenantId) -> Result<WaitAsk, Fault> {
    let mut v = Violations::new();
    let token = parse::required(&mut v, "lease_token", &request.lease_token);
    let wait = request.wait_duration.as_ref();
    let ask = ask(&mut v, tenant, &request.task_ids, request.condition, wait);
    v.finish()?;
    Ok(WaitAsk { of: token, ..ask })
}

fn ask(
    v: &mut Violations,
    tenant_id: TenantId,
    ids: &[String],
    condition: i32,
    wait: Option<&Duration>,
) -> WaitAsk {
    v.check(
        (1..=MOST).contains(&ids.len()),
        "task_ids",
        "must be 1 to 100",
    );
    let mut seen = HashSet::new();
    let mut tasks = Vec::with_capacity(ids.len().min(MOST));
    for (at, id) in ids.iter().take(MOST).enumerate() {
        let field = format!("task_ids[{at}]");
        if let Some(task) = parse::required::<TaskId>(v, &field, id) {
            v.check(seen.insert(task), field, "must not be named twice");
            tasks.push(task);
        }
    }
    let condition = proto::WaitCondition::try_from(condition);
    v.check(condition.is_ok(), "condition", "must be a condition");
    let (zero, most) = (TimeDelta::zero(), TimeDelta::seconds(50));
    let patience = parse::duration(v, "wait_duration", wait, zero, most).unwrap_or_default();
    WaitAsk {
        tenant_id,
        tasks,
        any: condition == Ok(proto::WaitCondition::Any),
        patience: patience.to_std().unwrap_or_default(),
        of: None,
    }
}

/// What was found, as much as fits into a message.
pub fn found(waited: Waited) -> proto::WaitSubtasksResponse {
    let fitting = answer::fit(&waited.ended, |task: &Task| {
        render::task(task.clone(), None)
    });
    let left_out = waited.ended.iter().skip(fitting.len());
    proto::WaitSubtasksResponse {
        satisfied: waited.satisfied,
        left_out_task_ids: left_out.map(|task| task.id.to_string()).collect(),
        ended_tasks: fitting,
        open_task_ids: waited.open.iter().map(ToString::to_string).collect(),
        cancel_requested: waited.cancel_requested,
    }
}
