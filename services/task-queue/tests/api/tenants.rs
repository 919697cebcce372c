//! Another tenant's tasks do not exist.

use reeve_contracts::task::v1 as proto;
use reeve_ids::TenantId;
use reeve_status::{Code, Reason};
use reeve_testkit::authorize;

use crate::harness::*;

#[tokio::test]
async fn another_tenant_sees_and_changes_nothing() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let other = TenantId::new();
    let key = world.authenticator.admin(other);
    let stranger = world.known().add_agent(other, &["lint"]);
    let created = world.create(spec("lint")).await;

    let get = proto::GetTaskRequest {
        task_id: created.id.clone(),
    };
    let answer = world.tasks().get_task(authorize(&key, get)).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
    let cancel = proto::CancelTaskRequest {
        task_id: created.id.clone(),
        ..Default::default()
    };
    let answer = world.tasks().cancel_task(authorize(&key, cancel)).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
    let retry = proto::RetryTaskRequest {
        task_id: created.id.clone(),
        ..Default::default()
    };
    let answer = world.tasks().retry_task(authorize(&key, retry)).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
    let list = world
        .tasks()
        .list_tasks(authorize(&key, Default::default()))
        .await;
    assert!(list.expect("a list").into_inner().tasks.is_empty());
    let child = proto::TaskSpec {
        parent_task_id: created.id.clone(),
        ..spec("lint")
    };
    let child = proto::CreateTaskRequest {
        spec: Some(child),
        ..Default::default()
    };
    let answer = world.tasks().create_task(authorize(&key, child)).await;
    refused(answer, Code::InvalidArgument, Reason::ValidationFailed);

    let lease = proto::LeaseTasksRequest {
        wait_duration: None,
        ..lease_of(stranger, 1)
    };
    let leases = world
        .work()
        .lease_tasks(authorize(&key, lease))
        .await
        .expect("it may ask");
    assert!(leases.into_inner().leases.is_empty());
    let borrowed = proto::LeaseTasksRequest {
        wait_duration: None,
        ..lease_of(agent, 1)
    };
    let answer = world.work().lease_tasks(authorize(&key, borrowed)).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);

    let lease = world.lease_one(agent).await;
    let complete = proto::CompleteTaskRequest {
        lease_token: lease.lease_token.clone(),
        ..Default::default()
    };
    let answer = world.work().complete_task(authorize(&key, complete)).await;
    refused(answer, Code::FailedPrecondition, Reason::LeaseLost);
    let fail = failure(&lease.lease_token, "X", false);
    let answer = world.work().fail_task(authorize(&key, fail)).await;
    refused(answer, Code::FailedPrecondition, Reason::LeaseLost);
    world
        .complete(&lease.lease_token)
        .await
        .expect("its holder completes it");
    let complete = proto::CompleteTaskRequest {
        lease_token: lease.lease_token,
        ..Default::default()
    };
    let answer = world.work().complete_task(authorize(&key, complete)).await;
    refused(answer, Code::FailedPrecondition, Reason::LeaseLost);
}

#[tokio::test]
async fn tenants_may_use_the_same_request_id() {
    let world = World::start().await;
    let key = world.authenticator.admin(TenantId::new());
    let request = || proto::CreateTaskRequest {
        spec: Some(spec("lint")),
        request_id: "r".to_owned(),
    };
    let ours = world
        .tasks()
        .create_task(world.ask(request()))
        .await
        .expect("created");
    let theirs = world
        .tasks()
        .create_task(authorize(&key, request()))
        .await
        .expect("created");
    let id = |answer: proto::CreateTaskResponse| answer.task.expect("the answer holds it").id;
    assert_ne!(id(ours.into_inner()), id(theirs.into_inner()));
}
