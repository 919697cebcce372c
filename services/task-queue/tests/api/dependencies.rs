//! Tasks that wait for others.

use reeve_contracts::task::v1::{self as proto, PendingReason, TaskState};
use reeve_status::{Code, Reason};

use crate::harness::*;

fn after(ids: &[&str]) -> proto::TaskSpec {
    let depends_on = ids.iter().map(|id| (*id).to_owned()).collect();
    proto::TaskSpec {
        depends_on,
        ..spec("test")
    }
}

#[tokio::test]
async fn a_task_is_ready_when_all_it_depends_on_is_complete() {
    let world = World::start().await;
    let (linter, tester) = (world.agent(&["lint"]), world.agent(&["test"]));
    let (one, two) = (
        world.create(spec("lint")).await,
        world.create(spec("lint")).await,
    );
    let last = world.create(after(&[&one.id, &two.id, &one.id])).await;
    assert_eq!(last.pending_reason(), PendingReason::Blocked);
    let lease = world.lease_one(linter).await;
    world
        .complete(&lease.lease_token)
        .await
        .expect("it completes");
    assert_eq!(
        world.get(&last.id).await.pending_reason(),
        PendingReason::Blocked
    );
    let request = proto::LeaseTasksRequest {
        wait_duration: None,
        ..lease_of(tester, 1)
    };
    assert!(world.lease_as(request).await.is_empty());
    let lease = world.lease_one(linter).await;
    world
        .complete(&lease.lease_token)
        .await
        .expect("it completes");
    let lease = world.lease_one(tester).await;
    assert_eq!(id_of(&lease), last.id);
    let late = world.create(after(&[&one.id])).await;
    assert_eq!(
        late.pending_reason(),
        PendingReason::Ready,
        "that is complete already"
    );
}

#[tokio::test]
async fn what_depends_on_a_task_that_ends_otherwise_is_cancelled_with_it() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let first = world.create(hasty("lint", 1)).await;
    let second = world.create(after(&[&first.id])).await;
    let third = world.create(after(&[&second.id])).await;
    let lease = world.lease_one(agent).await;
    world
        .fail(&lease.lease_token, true)
        .await
        .expect("it fails");
    for id in [&second.id, &third.id] {
        let cancelled = world.get(id).await;
        assert_eq!(cancelled.state(), TaskState::Cancelled);
        assert_eq!(cancelled.cancel_reason, "DEPENDENCY_FAILED");
    }
    let request = proto::CreateTaskRequest {
        spec: Some(after(&[&first.id])),
        ..Default::default()
    };
    let answer = world.tasks().create_task(world.ask(request)).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["spec.depends_on[0]"]);
}

#[tokio::test]
async fn dependencies_that_complete_while_tasks_are_created_block_nobody_for_ever() {
    let world = World::start().await;
    let (linter, tester) = (world.agent(&["lint"]), world.agent(&["test"]));
    for _ in 0..10 {
        let first = world.create(spec("lint")).await;
        let lease = world.lease_one(linter).await;
        let complete = world.complete(&lease.lease_token);
        let create = world.create(after(&[&first.id]));
        let (done, waiting) = tokio::join!(complete, create);
        done.expect("it completes");
        let lease = world.lease_one(tester).await;
        assert_eq!(id_of(&lease), waiting.id);
    }
}
