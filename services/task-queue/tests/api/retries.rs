//! Failures, retries and dead letters.

use chrono::TimeDelta;
use reeve_clock::Clock as _;
use reeve_contracts::task::v1::{self as proto, PendingReason, TaskState};
use reeve_status::{Code, Reason};
use reeve_testkit::eventually;

use crate::harness::*;

#[tokio::test]
async fn a_failed_task_waits_and_is_tried_again_until_it_is_dead() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let policy = proto::RetryPolicy {
        max_attempts: 2,
        initial_backoff_duration: Some(seconds(600)),
        max_backoff_duration: Some(seconds(600)),
        ..Default::default()
    };
    let created = world
        .create(proto::TaskSpec {
            retry_policy: Some(policy),
            ..spec("lint")
        })
        .await;
    let lease = world.lease_one(agent).await;
    let failed = world
        .fail(&lease.lease_token, true)
        .await
        .expect("it fails");
    assert_eq!(failed.state(), TaskState::Pending);
    let ready = failed
        .ready_time
        .and_then(|time| reeve_wellknown::datetime(&time));
    let wait = ready.expect("it waits") - world.clock.now();
    assert!(
        wait >= TimeDelta::zero() && wait <= TimeDelta::seconds(600),
        "{wait}"
    );
    let waiting = world.get(&created.id).await;
    assert_eq!(
        waiting.error.as_ref().map(|error| error.code.as_str()),
        Some("BROKEN")
    );
    if wait > TimeDelta::zero() {
        assert_eq!(waiting.pending_reason(), PendingReason::Scheduled);
    }
    world.clock.advance(TimeDelta::seconds(601));
    let lease = world.lease_one(agent).await;
    assert_eq!(lease.attempt, 2);
    let dead = world
        .fail(&lease.lease_token, true)
        .await
        .expect("it fails");
    assert_eq!(dead.state(), TaskState::Failed);
    let dead = world.get(&created.id).await;
    assert_eq!(
        (dead.dead, dead.failure_count, dead.attempts.len()),
        (true, 2, 2)
    );
    let events = world
        .events(|events| events.last().is_some_and(|e| data(e)["dead"] == true))
        .await;
    let failures: Vec<_> = events
        .iter()
        .filter(|event| event.r#type == "task.failed")
        .collect();
    assert_eq!(
        (
            data(failures[0])["retry"].clone(),
            data(failures[0])["dead"].clone()
        ),
        (true.into(), false.into())
    );
    assert_eq!(data(failures[1])["error_code"], "BROKEN");
}

#[tokio::test]
async fn the_agent_may_say_when_and_that_it_is_useless() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    world.create(spec("lint")).await;
    let lease = world.lease_one(agent).await;
    let request = proto::FailTaskRequest {
        retry_after_duration: Some(seconds(120)),
        ..failure(&lease.lease_token, "BUSY", true)
    };
    let failed = world
        .work()
        .fail_task(world.ask(request))
        .await
        .expect("it fails")
        .into_inner();
    let expected = reeve_wellknown::timestamp(world.clock.now() + TimeDelta::seconds(120));
    assert_eq!(failed.ready_time, Some(expected));
    world.clock.advance(TimeDelta::seconds(121));
    let lease = world.lease_one(agent).await;
    let failed = world
        .fail(&lease.lease_token, false)
        .await
        .expect("it fails");
    assert_eq!(
        failed.state(),
        TaskState::Failed,
        "two attempts are left, and it is useless"
    );
}

#[tokio::test]
async fn a_dead_letter_is_redriven_by_hand() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(hasty("lint", 1)).await;
    let request = || proto::RetryTaskRequest {
        task_id: created.id.clone(),
        ..Default::default()
    };
    let answer = world.tasks().retry_task(world.ask(request())).await;
    let fault = refused(
        answer,
        Code::FailedPrecondition,
        Reason::TransitionForbidden,
    );
    assert_eq!(fault.metadata()["from"], "PENDING");
    let old = world.lease_one(agent).await;
    world.fail(&old.lease_token, true).await.expect("it fails");
    let filter = proto::TaskFilter {
        dead: true,
        ..Default::default()
    };
    let list = proto::ListTasksRequest {
        filter: Some(filter),
        ..Default::default()
    };
    let dead = world
        .tasks()
        .list_tasks(world.ask(list))
        .await
        .expect("a list")
        .into_inner()
        .tasks;
    assert_eq!(
        dead.iter().map(|task| task.id.as_str()).collect::<Vec<_>>(),
        [&created.id]
    );

    let stale = proto::RetryTaskRequest {
        etag: "1".to_owned(),
        ..request()
    };
    let answer = world.tasks().retry_task(world.ask(stale)).await;
    refused(answer, Code::Aborted, Reason::EtagMismatch);
    let answer = world
        .tasks()
        .retry_task(world.ask(request()))
        .await
        .expect("it is redriven");
    let again = answer.into_inner().task.expect("the answer holds it");
    assert_eq!(
        (again.state(), again.failure_count),
        (TaskState::Pending, 0)
    );
    let answer = world.complete(&old.lease_token).await;
    refused(answer, Code::FailedPrecondition, Reason::LeaseLost);
    let new = world.lease_one(agent).await;
    assert_eq!(new.attempt, 2);
    world
        .complete(&new.lease_token)
        .await
        .expect("it completes");
    let done = world.get(&created.id).await;
    assert_eq!(
        (done.state(), done.attempts.len()),
        (TaskState::Completed, 2)
    );
    let story = world.story(&created.id, "task.completed").await;
    assert!(story.contains(&"task.redriven".to_owned()));
}

#[tokio::test]
async fn a_task_that_loses_too_many_leases_is_dead() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let policy = proto::RetryPolicy {
        max_attempts: 1,
        max_lost_leases: 2,
        ..Default::default()
    };
    let created = world
        .create(proto::TaskSpec {
            retry_policy: Some(policy),
            ..spec("lint")
        })
        .await;
    for lost in 1..=2 {
        eventually(|| async { world.get(&created.id).await.state() == TaskState::Pending }).await;
        world.lease_one(agent).await;
        world.clock.advance(TimeDelta::seconds(31));
        eventually(|| async { world.get(&created.id).await.lost_lease_count == lost }).await;
    }
    let dead = world.reaches(&created.id, TaskState::Failed).await;
    assert_eq!(
        dead.error.map(|error| error.code),
        Some("LEASE_LOST".to_owned())
    );
}
