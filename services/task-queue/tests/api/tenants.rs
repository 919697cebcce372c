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
        ..Default::default()
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

#[tokio::test]
async fn a_stranger_who_knows_a_token_disturbs_nobody_in_the_same_moment() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let key = world.authenticator.admin(TenantId::new());
    world.create(spec("lint")).await;
    let lease = world.lease_one(agent).await;
    let mut work = world.work();
    let checkpoint = |mark: &str| proto::ReportProgressRequest {
        lease_token: lease.lease_token.clone(),
        message: mark.to_owned(),
        ..Default::default()
    };
    let renew = || proto::RenewLeasesRequest {
        lease_tokens: vec![lease.lease_token.clone()],
        ..Default::default()
    };
    let complete = || proto::CompleteTaskRequest {
        lease_token: lease.lease_token.clone(),
        ..Default::default()
    };
    let both = |credential: String| {
        let mut work = work.clone();
        let (report, renew) = (checkpoint("mine"), renew());
        async move {
            let report = work.report_progress(authorize(&credential, report)).await;
            let renewed = work.renew_leases(authorize(&credential, renew)).await;
            (
                report,
                renewed.expect("verdicts").into_inner().renewals[0].verdict(),
            )
        }
    };
    let calls = (0..16).map(|n| {
        both(if n % 2 == 0 {
            key.clone()
        } else {
            world.admin.clone()
        })
    });
    for (n, (report, verdict)) in futures::future::join_all(calls)
        .await
        .into_iter()
        .enumerate()
    {
        if n % 2 == 0 {
            refused(report, Code::FailedPrecondition, Reason::LeaseLost);
            assert_eq!(verdict, proto::LeaseVerdict::Lost);
        } else {
            report.expect("the holder reports");
            assert_eq!(verdict, proto::LeaseVerdict::Ok);
        }
    }
    let calls = (0..16).map(|n| {
        let mut work = work.clone();
        let credential = if n % 2 == 0 { &key } else { &world.admin };
        let request = authorize(credential, complete());
        async move { work.complete_task(request).await }
    });
    for (n, answer) in futures::future::join_all(calls)
        .await
        .into_iter()
        .enumerate()
    {
        if n % 2 == 0 {
            refused(answer, Code::FailedPrecondition, Reason::LeaseLost);
        } else {
            answer.expect("the holder completes");
        }
    }
    let answer = work.complete_task(authorize(&key, complete())).await;
    refused(answer, Code::FailedPrecondition, Reason::LeaseLost);
}
