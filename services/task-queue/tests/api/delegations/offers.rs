//! What becomes of a task between the hands.

use chrono::TimeDelta;
use reeve_contracts::task::v1::queue_service_client::QueueServiceClient;
use reeve_contracts::task::v1::work_service_client::WorkServiceClient;
use reeve_contracts::task::v1::{
    self as proto, AttemptOutcome, DelegationOutcome, TaskDelegation, TaskState,
};
use reeve_ids::AgentId;
use reeve_testkit::eventually;

use super::{reassignment, to_agent};
use crate::harness::*;

async fn outcomes(world: &World, task: &str) -> Vec<DelegationOutcome> {
    let chain = world.chain_of(task).await;
    chain.iter().map(TaskDelegation::outcome).collect()
}

fn at_once(agent: AgentId) -> proto::LeaseTasksRequest {
    proto::LeaseTasksRequest {
        wait_duration: None,
        ..lease_of(agent, 10)
    }
}

/// A task that the first has handed to the second, who has not fetched it.
async fn offered(world: &World, first: AgentId, second: AgentId) -> String {
    let created = world.create(spec("lint")).await;
    let lease = world.lease_one(first).await;
    let handed = world.delegate(to_agent(&lease.lease_token, second)).await;
    handed.expect("it is handed on");
    created.id
}

#[tokio::test]
async fn an_offer_that_nobody_fetches_lapses_and_counts_as_nothing() {
    let world = World::by_test_clock(&[("queue.hand_over", "30s")]).await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let task = offered(&world, first, second).await;
    world.clock.advance(TimeDelta::seconds(29));
    world.next_tick("due").await;
    assert_eq!(world.get(&task).await.state(), TaskState::Assigned);
    world.clock.advance(TimeDelta::seconds(2));
    let back = world.reaches(&task, TaskState::Pending).await;
    assert_eq!((back.failure_count, back.lost_lease_count), (0, 0));
    assert_eq!(outcomes(&world, &task).await, [DelegationOutcome::Expired]);
    let lease = world.lease_one(first).await;
    assert_eq!((id_of(&lease), lease.attempt), (task.as_str(), 2));
    world
        .complete(&lease.lease_token)
        .await
        .expect("it completes");
    let ended = world.get(&task).await;
    let ends: Vec<_> = ended.attempts.iter().map(proto::Attempt::outcome).collect();
    assert_eq!(ends, [AttemptOutcome::Delegated, AttemptOutcome::Completed]);
    let story = world.story(&task, "task.completed").await;
    assert_eq!(story[2..4], ["task.delegated", "task.offer_lapsed"]);
}

#[tokio::test]
async fn who_comes_too_late_gets_it_like_anybody() {
    let world = World::by_test_clock(&[]).await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let task = offered(&world, first, second).await;
    world.clock.advance(TimeDelta::seconds(31));
    let lease = world.lease_one(second).await;
    assert_eq!((id_of(&lease), lease.attempt), (task.as_str(), 2));
    assert_eq!(outcomes(&world, &task).await, [DelegationOutcome::Expired]);
}

#[tokio::test]
async fn a_lease_that_came_of_an_offer_is_one_like_any() {
    let world = World::by_test_clock(&[]).await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let task = offered(&world, first, second).await;
    world.lease_one(second).await;
    world.clock.advance(TimeDelta::seconds(31));
    let back = world.reaches(&task, TaskState::Pending).await;
    assert_eq!(back.lost_lease_count, 1);
    assert_eq!(outcomes(&world, &task).await, [DelegationOutcome::Taken]);
}

#[tokio::test]
async fn what_cannot_be_fetched_hides_nothing_behind_it() {
    let world = World::start().await;
    let (first, second) = (
        world.agent(&["lint", "test"]),
        world.agent(&["lint", "test"]),
    );
    let mut tasks = Vec::new();
    for kind in ["lint", "test"] {
        let created = world.create(spec(kind)).await;
        let lease = world.lease_one(first).await;
        let handed = world.delegate(to_agent(&lease.lease_token, second)).await;
        handed.expect("it is handed on");
        tasks.push(created.id);
    }
    let brake = proto::PauseTasksRequest {
        name: "no-lint".to_owned(),
        selector: Some(proto::TaskSelector {
            types: vec!["lint".to_owned()],
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut queues = QueueServiceClient::new(world.channel());
    let set = queues.pause_tasks(world.ask(brake)).await;
    set.expect("the brake is set");
    assert_eq!(id_of(&world.lease_one(second).await), tasks[1]);
    assert_eq!(world.get(&tasks[0]).await.state(), TaskState::Assigned);
}

#[tokio::test]
async fn what_is_only_offered_is_cancelled_at_once() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let one = offered(&world, first, second).await;
    let many = offered(&world, first, second).await;
    let cancelled = world.cancel(&one).await.expect("it is cancelled");
    assert_eq!(cancelled.state(), TaskState::Cancelled);
    let ends: Vec<_> = cancelled
        .attempts
        .iter()
        .map(proto::Attempt::outcome)
        .collect();
    assert_eq!(ends, [AttemptOutcome::Delegated]);
    let filter = proto::TaskFilter {
        task_ids: vec![many.clone()],
        ..Default::default()
    };
    let request = proto::BulkCancelTasksRequest {
        filter: Some(filter),
        ..Default::default()
    };
    let answer = world.tasks().bulk_cancel_tasks(world.ask(request)).await;
    let answer = answer.expect("they are cancelled").into_inner();
    assert_eq!((answer.cancelled_count, answer.requested_count), (1, 0));
    for task in [&one, &many] {
        assert_eq!(outcomes(&world, task).await, [DelegationOutcome::Cancelled]);
    }
    assert!(world.lease_as(at_once(second)).await.is_empty());
}

#[tokio::test]
async fn who_gets_it_may_still_reject_it() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let task = offered(&world, first, second).await;
    let lease = world.lease_one(second).await;
    let reject = proto::RejectTaskRequest {
        lease_token: lease.lease_token,
        reason: "not mine".to_owned(),
    };
    let rejected = world.work().reject_task(world.ask(reject)).await;
    let rejected = rejected.expect("it is rejected").into_inner();
    assert_eq!(rejected.state(), TaskState::Pending);
    assert_eq!(outcomes(&world, &task).await, [DelegationOutcome::Rejected]);
    assert!(world.lease_as(at_once(second)).await.is_empty());
    assert_eq!(id_of(&world.lease_one(first).await), task);
}

#[tokio::test]
async fn it_comes_before_all_others_and_from_any_queue() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let task = offered(&world, first, second).await;
    let critical = proto::TaskSpec {
        queue: "other".to_owned(),
        priority: proto::TaskPriority::Critical.into(),
        ..spec("lint")
    };
    world.create(critical).await;
    let request = proto::LeaseTasksRequest {
        queues: vec!["other".to_owned()],
        start: true,
        lease_duration: Some(seconds(600)),
        ..lease_of(second, 1)
    };
    let lease = world.lease_as(request).await.remove(0);
    assert_eq!(id_of(&lease), task);
    assert_eq!(
        lease.task.as_ref().expect("a task").state(),
        TaskState::InProgress
    );
    assert!(lease.lease_duration.expect("it is told").seconds > 500);
}

#[tokio::test]
async fn of_two_pulls_one_gets_it() {
    let world = World::start().await;
    let (there, _deps) = world.replica().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    for _ in 0..5 {
        offered(&world, first, second).await;
        let fetch = |channel| {
            let (world, mut work) = (&world, WorkServiceClient::new(channel));
            async move {
                let leases = work.lease_tasks(world.ask(at_once(second))).await;
                leases.expect("it may ask").into_inner().leases
            }
        };
        let mut all = Vec::new();
        while all.is_empty() {
            let (here, other) = tokio::join!(fetch(world.channel()), fetch(there.channel()));
            all.extend(here.into_iter().chain(other));
        }
        assert_eq!(all.len(), 1);
        world
            .complete(&all[0].lease_token)
            .await
            .expect("it completes");
    }
}

#[tokio::test]
async fn an_agent_that_waits_is_woken_here_and_there() {
    let world = World::with(&[
        ("queue.poll_period", "1h"),
        ("queue.reconcile_period", "1h"),
    ])
    .await;
    let (there, deps) = world.replica().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    for here in [true, false] {
        let created = world.create(spec("lint")).await;
        let lease = world.lease_one(first).await;
        let channel = if here {
            world.channel()
        } else {
            there.channel()
        };
        let mut work = WorkServiceClient::new(channel);
        let waiting = work.lease_tasks(world.ask(lease_of(second, 1)));
        let hand_over = async {
            let metrics = if here {
                &world.deps.metrics
            } else {
                &deps.metrics
            };
            let waits = || async { metrics.render().contains("reeve_rpc_in_flight 1") };
            eventually(waits).await;
            let handed = world.delegate(to_agent(&lease.lease_token, second)).await;
            handed.expect("it is handed on");
        };
        let both = async { tokio::join!(waiting, hand_over) };
        let (leases, ()) = tokio::time::timeout(LONG, both).await.expect("it is woken");
        let leases = leases.expect("it may lease").into_inner().leases;
        assert_eq!(id_of(&leases[0]), created.id);
        world
            .complete(&leases[0].lease_token)
            .await
            .expect("it completes");
    }
}

#[tokio::test]
async fn an_offer_outlives_the_process_and_is_known_on_every_replica() {
    let mut world = World::start().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let one = offered(&world, first, second).await;
    world.stop().await;
    world.run().await;
    let fetch = || async { world.lease_as(at_once(second)).await.pop() };
    assert_eq!(id_of(&eventually(fetch).await), one);
    let (there, _deps) = world.replica().await;
    let two = offered(&world, first, second).await;
    let fetch = || async {
        let mut work = WorkServiceClient::new(there.channel());
        let leases = work.lease_tasks(world.ask(at_once(second))).await;
        leases.expect("it may ask").into_inner().leases.pop()
    };
    assert_eq!(id_of(&eventually(fetch).await), two);
}

#[tokio::test]
async fn a_brake_keeps_it_from_being_fetched() {
    let world = World::by_test_clock(&[]).await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let task = offered(&world, first, second).await;
    world.pause("default", "a release").await;
    assert!(world.lease_as(at_once(second)).await.is_empty());
    assert_eq!(world.get(&task).await.state(), TaskState::Assigned);
    world.resume("default").await;
    let fetch = || async { world.lease_as(at_once(second)).await.pop() };
    assert_eq!(id_of(&eventually(fetch).await), task);
}

#[tokio::test]
async fn whatever_is_done_at_the_same_time_one_of_it_is_true() {
    let world = World::start().await;
    let agents: Vec<_> = (0..3).map(|_| world.agent(&["lint"])).collect();
    for _ in 0..10 {
        let created = world.create(spec("lint")).await;
        let lease = world.lease_one(agents[0]).await;
        let (handed, taken, completed) = tokio::join!(
            world.delegate(to_agent(&lease.lease_token, agents[1])),
            world.reassign(reassignment(&created.id, agents[2])),
            world.complete(&lease.lease_token),
        );
        let done = [handed.is_ok(), taken.is_ok(), completed.is_ok()];
        assert_eq!(done.iter().filter(|done| **done).count(), 1, "{done:?}");
        let chain = world.chain_of(&created.id).await;
        assert_eq!(chain.len(), usize::from(!done[2]));
        if done[2] {
            continue;
        }
        let to = chain[0].to_agent_id.parse().expect("an id");
        let lease = world.lease_one(to).await;
        world
            .complete(&lease.lease_token)
            .await
            .expect("it completes");
    }
}
