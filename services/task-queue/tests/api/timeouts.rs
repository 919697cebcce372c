//! What time overtakes.

use chrono::TimeDelta;
use reeve_contracts::task::v1::{self as proto, TaskState};
use reeve_status::{Code, Reason};

use crate::harness::*;

fn with(timeouts: proto::TaskTimeouts, max_attempts: i32) -> proto::TaskSpec {
    proto::TaskSpec {
        timeouts: Some(timeouts),
        ..hasty("lint", max_attempts)
    }
}

#[tokio::test]
async fn a_task_that_nobody_begins_times_out() {
    let world = World::by_test_clock(&[]).await;
    let timeouts = proto::TaskTimeouts {
        schedule_to_start_timeout: Some(seconds(60)),
        ..Default::default()
    };
    let created = world.create(with(timeouts, 3)).await;
    world.clock.advance(TimeDelta::seconds(61));
    let dead = world.reaches(&created.id, TaskState::Timeout).await;
    assert_eq!(
        dead.error.map(|error| error.code),
        Some("SCHEDULE_TO_START_TIMEOUT".to_owned())
    );
    assert!(dead.dead, "waiting again would not help");
    assert_eq!(world.story(&created.id, "task.timed_out").await.len(), 2);
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_ended_and_retried() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let timeouts = proto::TaskTimeouts {
        start_to_close_timeout: Some(seconds(60)),
        ..Default::default()
    };
    let created = world.create(with(timeouts, 2)).await;
    let long = || proto::LeaseTasksRequest {
        lease_duration: Some(seconds(3_600)),
        ..lease_of(agent, 1)
    };
    let lease = world.lease_as(long()).await.remove(0);
    world.clock.advance(TimeDelta::seconds(61));
    let again = world.reaches(&created.id, TaskState::Pending).await;
    assert_eq!(again.failure_count, 1);
    let answer = world.complete(&lease.lease_token).await;
    refused(answer, Code::FailedPrecondition, Reason::LeaseLost);
    let lease = world.lease_as(long()).await.remove(0);
    // Starting begins the time anew.
    world.clock.advance(TimeDelta::seconds(40));
    let start = proto::StartTaskRequest {
        lease_token: lease.lease_token.clone(),
    };
    world
        .work()
        .start_task(world.ask(start))
        .await
        .expect("it starts");
    world.clock.advance(TimeDelta::seconds(40));
    let report = proto::ReportProgressRequest {
        lease_token: lease.lease_token,
        ..Default::default()
    };
    world
        .work()
        .report_progress(world.ask(report))
        .await
        .expect("it is still under way");
    world.clock.advance(TimeDelta::seconds(21));
    let dead = world.reaches(&created.id, TaskState::Timeout).await;
    assert_eq!(
        dead.error.map(|error| error.code),
        Some("START_TO_CLOSE_TIMEOUT".to_owned())
    );
    assert_eq!((dead.dead, dead.attempts.len()), (true, 2));
}
