//! Cancellation reaches whoever works on the task.

use chrono::TimeDelta;
use reeve_contracts::task::v1::{self as proto, LeaseVerdict, TaskState};
use reeve_status::{Code, Reason};

use crate::harness::*;

#[tokio::test]
async fn a_waiting_task_is_cancelled_at_once_and_never_leased() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(spec("lint")).await;
    let cancelled = world.cancel(&created.id).await.expect("it is cancelled");
    assert_eq!(cancelled.state(), TaskState::Cancelled);
    assert_eq!(cancelled.cancel_reason, "not needed");
    world.cancel(&created.id).await.expect("again");
    let request = proto::LeaseTasksRequest {
        wait_duration: None,
        ..lease_of(agent, 1)
    };
    assert!(world.lease_as(request).await.is_empty());
    let story = world.story(&created.id, "task.cancelled").await;
    assert_eq!(story, ["task.created", "task.cancelled"]);
}

#[tokio::test]
async fn a_holder_learns_of_it_and_lets_go() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(spec("lint")).await;
    let lease = world.lease_one(agent).await;
    let asked = world
        .cancel(&created.id)
        .await
        .expect("the holder is asked");
    assert_eq!(
        (asked.state(), asked.cancel_requested),
        (TaskState::Assigned, true)
    );
    let renew = proto::RenewLeasesRequest {
        lease_tokens: vec![lease.lease_token.clone()],
        ..Default::default()
    };
    let renewal = world
        .work()
        .renew_leases(world.ask(renew))
        .await
        .expect("a verdict");
    let renewal = renewal.into_inner().renewals.remove(0);
    assert_eq!(renewal.verdict(), LeaseVerdict::Cancel);
    assert_eq!(renewal.cancel_reason, "not needed");
    let report = proto::ReportProgressRequest {
        lease_token: lease.lease_token.clone(),
        ..Default::default()
    };
    let report = world
        .work()
        .report_progress(world.ask(report))
        .await
        .expect("it is stored");
    assert!(report.into_inner().cancel_requested);
    let request = failure(&lease.lease_token, "CANCELLED", false);
    let ended = world
        .work()
        .fail_task(world.ask(request))
        .await
        .expect("it lets go")
        .into_inner();
    assert_eq!(ended.state(), TaskState::Cancelled);
    let task = world.get(&created.id).await;
    assert_eq!((task.state(), task.dead), (TaskState::Cancelled, false));
    assert_eq!(task.attempts[0].outcome(), proto::AttemptOutcome::Cancelled);
}

#[tokio::test]
async fn a_holder_that_completes_first_wins() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(spec("lint")).await;
    let lease = world.lease_one(agent).await;
    world
        .cancel(&created.id)
        .await
        .expect("the holder is asked");
    world
        .complete(&lease.lease_token)
        .await
        .expect("it was done already");
    world.reaches(&created.id, TaskState::Completed).await;
    let answer = world.cancel(&created.id).await;
    let fault = refused(
        answer,
        Code::FailedPrecondition,
        Reason::TransitionForbidden,
    );
    assert_eq!(fault.metadata()["from"], "COMPLETED");
    assert_eq!(fault.metadata()["legal"], "none");
}

#[tokio::test]
async fn a_holder_that_does_not_let_go_loses_the_lease() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let created = world.create(spec("lint")).await;
    let request = proto::LeaseTasksRequest {
        lease_duration: Some(seconds(3_600)),
        ..lease_of(agent, 1)
    };
    let lease = world.lease_as(request).await.remove(0);
    world
        .cancel(&created.id)
        .await
        .expect("the holder is asked");
    world.clock.advance(TimeDelta::seconds(31));
    world.reaches(&created.id, TaskState::Cancelled).await;
    let answer = world.complete(&lease.lease_token).await;
    refused(answer, Code::FailedPrecondition, Reason::LeaseLost);
}

#[tokio::test]
async fn a_stale_etag_cancels_nothing() {
    let world = World::start().await;
    let created = world.create(spec("lint")).await;
    let request = |etag: &str| proto::CancelTaskRequest {
        task_id: created.id.clone(),
        etag: etag.to_owned(),
        ..Default::default()
    };
    let answer = world.tasks().cancel_task(world.ask(request("7"))).await;
    let fault = refused(answer, Code::Aborted, Reason::EtagMismatch);
    assert_eq!(fault.metadata()["current_etag"], created.etag);
    let answer = world.tasks().cancel_task(world.ask(request("x"))).await;
    refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(world.get(&created.id).await.state(), TaskState::Pending);
    world
        .tasks()
        .cancel_task(world.ask(request(&created.etag)))
        .await
        .expect("the right etag");
}
