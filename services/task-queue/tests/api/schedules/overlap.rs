//! A schedule fires and the task of its run before is not over.

use reeve_contracts::task::v1::{OverlapPolicy, TaskState};

use super::*;
use ScheduleRunOutcome::{Created, SkippedOverlap};

fn with(policy: OverlapPolicy) -> Schedule {
    Schedule {
        overlap_policy: policy.into(),
        ..schedule("often", "*/10 * * * *")
    }
}

async fn due_again(world: &World, id: &str) -> DateTime<Utc> {
    let due = world.later(TimeDelta::minutes(10));
    world.is_handled(id).await;
    due
}

#[tokio::test]
async fn another_task_is_created_beside_it_where_that_is_allowed() {
    let world = world().await;
    let created = world.schedule(with(OverlapPolicy::Allow)).await;
    due_again(&world, &created.id).await;
    due_again(&world, &created.id).await;
    let states: Vec<_> = world.tasks_of(&created.id).await;
    let states: Vec<_> = states.iter().map(Task::state).collect();
    assert_eq!(states, [TaskState::Pending; 2]);
}

#[tokio::test]
async fn the_due_time_is_skipped_until_the_task_before_is_over() {
    let world = world().await;
    let agent = world.agent(&["lint"]);
    let created = world.schedule(with(OverlapPolicy::Skip)).await;
    let first = due_again(&world, &created.id).await;
    let second = due_again(&world, &created.id).await;
    let run = world.trigger(&created.id, "").await.expect("an answer");
    assert_eq!(run.outcome(), SkippedOverlap);
    assert!(run.task_id.is_empty() && !run.reason.is_empty());
    let lease = world.lease_one(agent).await;
    world.complete(&lease.lease_token).await.expect("completed");
    let third = due_again(&world, &created.id).await;
    let expected = [
        (first, Created, 1),
        (second, SkippedOverlap, 1),
        (second, SkippedOverlap, 1),
        (third, Created, 1),
    ];
    assert_eq!(story(&world.runs(&created.id).await), expected);
}

#[tokio::test]
async fn the_task_before_is_cancelled_while_it_waits() {
    let world = world().await;
    let created = world.schedule(with(OverlapPolicy::CancelPrevious)).await;
    due_again(&world, &created.id).await;
    due_again(&world, &created.id).await;
    let tasks = world.tasks_of(&created.id).await;
    let states: Vec<_> = tasks.iter().map(Task::state).collect();
    assert_eq!(states, [TaskState::Cancelled, TaskState::Pending]);
    assert_eq!(tasks[0].cancel_reason, "SCHEDULE_OVERLAP");
    let run = world.trigger(&created.id, "").await.expect("it runs");
    world.reaches(&tasks[1].id, TaskState::Cancelled).await;
    assert_eq!(world.get(&run.task_id).await.state(), TaskState::Pending);
}

#[tokio::test]
async fn triggers_at_the_same_time_see_each_other() {
    let world = world().await;
    for policy in [OverlapPolicy::Skip, OverlapPolicy::CancelPrevious] {
        let name = format!("at-once-{}", i32::from(policy));
        let created = world
            .schedule(Schedule {
                name,
                ..with(policy)
            })
            .await;
        let triggers = (0..4).map(|_| world.trigger(&created.id, ""));
        for run in futures::future::join_all(triggers).await {
            run.expect("an answer");
        }
        let tasks = world.tasks_of(&created.id).await;
        let waits = |task: &&Task| task.state() == TaskState::Pending;
        assert_eq!(tasks.iter().filter(waits).count(), 1, "{policy:?}");
    }
}

#[tokio::test]
async fn the_holder_of_the_task_before_is_asked_to_let_go() {
    let world = world().await;
    let agent = world.agent(&["lint"]);
    let created = world.schedule(with(OverlapPolicy::CancelPrevious)).await;
    due_again(&world, &created.id).await;
    let lease = world
        .lease_as(proto::LeaseTasksRequest {
            lease_duration: Some(seconds(3_600)),
            ..lease_of(agent, 1)
        })
        .await
        .remove(0);
    due_again(&world, &created.id).await;
    let held = world.get(id_of(&lease)).await;
    assert!(held.cancel_requested, "{held:?}");
    assert_eq!(held.cancel_reason, "SCHEDULE_OVERLAP");
    assert_eq!(world.tasks_of(&created.id).await.len(), 2);
}
