//! Parts of held tasks.

use reeve_contracts::task::v1 as proto;
use reeve_status::{Fault, Violations};

use super::parse_spec::{Asked, creation};
use super::{parse, unfit};
use crate::domain::LeaseToken;
use crate::operations::Creation;

/// CreateSubtask.
///
/// # Errors
/// INVALID_ARGUMENT with every violation.
pub fn create(
    request: proto::CreateSubtaskRequest,
    asked: Asked<'_>,
) -> Result<(LeaseToken, Creation), Fault> {
    let mut v = Violations::new();
    let token = parse::required::<LeaseToken>(&mut v, "lease_token", &request.lease_token);
    let mut spec = request.spec;
    if let (Some(token), Some(spec)) = (token, spec.as_mut()) {
        let is_held = |id: &String| id.parse() == Ok(token.task_id);
        v.check(
            spec.parent_task_id.is_empty() || is_held(&spec.parent_task_id),
            "spec.parent_task_id",
            "must be the task that is held, or empty",
        );
        // It could only run once nobody waits for it any more.
        v.check(
            !spec.depends_on.iter().any(is_held),
            "spec.depends_on",
            "must not name the task that is held, which the new one is a part of",
        );
        spec.parent_task_id = token.task_id.to_string();
    }
    let request = proto::CreateTaskRequest {
        spec,
        request_id: request.request_id,
        ..Default::default()
    };
    let creation = creation(&mut v, request, asked, "", &mut 0);
    unfit::add(&mut v, creation.iter());
    parse::finish(v, token.zip(creation))
}
