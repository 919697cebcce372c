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
        let parent = token.task_id.to_string();
        v.check(
            spec.parent_task_id.is_empty() || spec.parent_task_id == parent,
            "spec.parent_task_id",
            "must be the task that is held, or empty",
        );
        spec.parent_task_id = parent;
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
