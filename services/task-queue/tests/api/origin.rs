//! Whoever names an origin speaks for it, so only Reeve's own services may.

use reeve_contracts::task::v1::{self as proto, TaskState};
use reeve_status::{Code, Reason};

use crate::harness::*;

fn step() -> proto::TaskSpec {
    let origin = proto::TaskOrigin {
        kind: "workflow".to_owned(),
        resource_id: "e-1".to_owned(),
        step_path: "apply".to_owned(),
        attempt: 1,
    };
    proto::TaskSpec {
        origin: Some(origin),
        ..spec("lint")
    }
}

#[tokio::test]
async fn nobody_but_a_service_names_an_origin() {
    let world = World::start().await;
    let request = proto::CreateTaskRequest {
        spec: Some(step()),
        ..Default::default()
    };
    let batch = proto::BatchCreateTasksRequest {
        requests: vec![request.clone()],
    };
    let agent = world.authenticator.agent_key(world.tenant, &["*"]);
    for key in [&world.admin, &agent] {
        let asked = reeve_testkit::authorize(key, request.clone());
        let answer = world.tasks().create_task(asked).await;
        let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
        assert_eq!(fields(&fault), ["spec.origin"]);
        let asked = reeve_testkit::authorize(key, batch.clone());
        let answer = world.tasks().batch_create_tasks(asked).await;
        let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
        assert_eq!(fields(&fault), ["requests[0].spec.origin"]);
    }
    let list = world
        .tasks()
        .list_tasks(world.ask(Default::default()))
        .await;
    assert!(list.expect("a list").into_inner().tasks.is_empty());
    let created = world.create_as_service(step()).await;
    assert_eq!(created.spec.and_then(|spec| spec.origin), step().origin);
}

#[tokio::test]
async fn a_step_of_a_workflow_is_retried_by_its_workflow_alone() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create_as_service(step()).await;
    let lease = world.lease_one(agent).await;
    world
        .fail(&lease.lease_token, false)
        .await
        .expect("it fails");
    let retry = proto::RetryTaskRequest {
        task_id: created.id.clone(),
        ..Default::default()
    };
    let answer = world.tasks().retry_task(world.ask(retry)).await;
    let fault = refused(
        answer,
        Code::FailedPrecondition,
        Reason::TransitionForbidden,
    );
    assert_eq!(fault.preconditions()[0].kind, "ORIGIN");
    assert_eq!(world.get(&created.id).await.state(), TaskState::Failed);
}
