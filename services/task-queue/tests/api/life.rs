//! The life of a task from its creation to its end.

use chrono::TimeDelta;
use reeve_clock::Clock as _;
use reeve_contracts::task::v1::{self as proto, PendingReason, TaskState};
use reeve_status::{Code, Reason};
use reeve_testkit::eventually;
use serde_json::json;

use crate::harness::*;

#[tokio::test]
async fn a_task_is_created_leased_started_and_completed() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let parameters = reeve_wellknown::struct_from_json(json!({ "path": "Dockerfile" }));
    let created = world
        .create(proto::TaskSpec {
            parameters: parameters.clone(),
            ..spec("lint")
        })
        .await;
    assert_eq!(created.state(), TaskState::Pending);
    assert_eq!(created.pending_reason(), PendingReason::Ready);

    let lease = world.lease_one(agent).await;
    let task = lease.task.clone().expect("a lease has its task");
    assert_eq!(
        (task.id.as_str(), task.state()),
        (created.id.as_str(), TaskState::Assigned)
    );
    assert_eq!(
        task.spec.as_ref().and_then(|spec| spec.parameters.clone()),
        parameters
    );
    assert_eq!(
        (lease.attempt, task.assigned_agent_id.clone()),
        (1, agent.to_string())
    );

    let start = proto::StartTaskRequest {
        lease_token: lease.lease_token.clone(),
    };
    world
        .work()
        .start_task(world.ask(start))
        .await
        .expect("it starts");
    assert_eq!(world.get(&created.id).await.state(), TaskState::InProgress);

    let result = reeve_wellknown::struct_from_json(json!({ "warnings": 2 }));
    let complete = proto::CompleteTaskRequest {
        lease_token: lease.lease_token,
        result: result.clone(),
        message: "two warnings".to_owned(),
        usage: vec![proto::Usage {
            provider: "anthropic".to_owned(),
            model: "m".to_owned(),
            input_tokens: 10,
            duration: Some(seconds(3)),
            ..Default::default()
        }],
        ..Default::default()
    };
    world
        .work()
        .complete_task(world.ask(complete))
        .await
        .expect("it completes");
    let done = world.get(&created.id).await;
    assert_eq!(done.state(), TaskState::Completed);
    assert_eq!(
        (done.result, done.result_message.as_str()),
        (result, "two warnings")
    );
    assert_eq!(done.attempts.len(), 1);
    assert_eq!(done.attempts[0].outcome(), proto::AttemptOutcome::Completed);
    assert_eq!(done.attempts[0].usage[0].duration, Some(seconds(3)));

    let story = world.story(&created.id, "task.completed").await;
    assert_eq!(
        story,
        [
            "task.created",
            "task.assigned",
            "task.started",
            "task.completed"
        ]
    );
    let events = world.events(|events| events.len() == 4).await;
    let last = data(&events[3]);
    assert_eq!(last["agent_id"], agent.to_string());
    assert_eq!(last["usage"][0]["input_tokens"], 10);
    assert_eq!(last["usage"][0]["duration_seconds"], "3");
}

#[tokio::test]
async fn a_task_may_be_accepted_first_and_started_with_its_lease() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(spec("lint")).await;
    let lease = world.lease_one(agent).await;
    let accept = proto::AcceptTaskRequest {
        lease_token: lease.lease_token.clone(),
    };
    world
        .work()
        .accept_task(world.ask(accept.clone()))
        .await
        .expect("it is accepted");
    world
        .work()
        .accept_task(world.ask(accept))
        .await
        .expect("and again");
    assert_eq!(world.get(&created.id).await.state(), TaskState::Accepted);
    world
        .complete(&lease.lease_token)
        .await
        .expect("it completes");
    world.reaches(&created.id, TaskState::Completed).await;

    let second = world.create(spec("lint")).await;
    let request = proto::LeaseTasksRequest {
        start: true,
        ..lease_of(agent, 1)
    };
    let leases = world.lease_as(request).await;
    assert_eq!(id_of(&leases[0]), second.id);
    assert_eq!(world.get(&second.id).await.state(), TaskState::InProgress);
    let accept = proto::AcceptTaskRequest {
        lease_token: leases[0].lease_token.clone(),
    };
    let answer = world.work().accept_task(world.ask(accept)).await;
    refused(
        answer,
        Code::FailedPrecondition,
        Reason::TransitionForbidden,
    );
}

#[tokio::test]
async fn progress_is_kept_and_its_checkpoint_reaches_the_next_attempt() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(hasty("lint", 3)).await;
    let lease = world.lease_one(agent).await;
    let checkpoint = reeve_wellknown::struct_from_json(json!({ "line": 7 }));
    let report = proto::ReportProgressRequest {
        lease_token: lease.lease_token.clone(),
        percent: 40.0,
        message: "nearly half".to_owned(),
        checkpoint: checkpoint.clone(),
        usage: vec![proto::Usage {
            output_tokens: 5,
            ..Default::default()
        }],
    };
    let answer = world
        .work()
        .report_progress(world.ask(report))
        .await
        .expect("it is stored");
    assert!(!answer.into_inner().cancel_requested);
    let task = world.get(&created.id).await;
    assert_eq!(
        task.state(),
        TaskState::InProgress,
        "progress starts a task"
    );
    let progress = task.progress.expect("it was reported");
    assert!((progress.percent - 40.0).abs() < f64::EPSILON);
    assert_eq!(progress.checkpoint, checkpoint);

    world
        .fail(&lease.lease_token, true)
        .await
        .expect("it fails");
    let next = world.lease_one(agent).await;
    assert_eq!((next.attempt, next.checkpoint.clone()), (2, checkpoint));
    world
        .complete(&next.lease_token)
        .await
        .expect("it completes");
    let done = world.get(&created.id).await;
    assert_eq!(
        done.attempts[0].usage[0].output_tokens, 5,
        "what progress said counts"
    );
    assert!(done.attempts[1].usage.is_empty());
}

#[tokio::test]
async fn higher_priority_goes_first_and_equals_by_age() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let mut expected = Vec::new();
    for priority in [
        proto::TaskPriority::Low,
        proto::TaskPriority::Normal,
        proto::TaskPriority::Critical,
        proto::TaskPriority::High,
        proto::TaskPriority::Normal,
    ] {
        let task = world
            .create(proto::TaskSpec {
                priority: priority.into(),
                ..spec("lint")
            })
            .await;
        expected.push(task.id);
    }
    let expected = [2, 3, 1, 4, 0].map(|index: usize| expected[index].clone());
    // All of them are in the lane once a look from aside finds five.
    eventually(|| async { world.ready_in_redis("default", "lint").await == 5 }).await;
    let leases = world.lease(agent, 10).await;
    let leased: Vec<_> = leases.iter().map(|lease| id_of(lease).to_owned()).collect();
    assert_eq!(leased, expected);
}

#[tokio::test]
async fn a_waiting_agent_is_woken_by_a_create() {
    // A poll that came in time would hide a wake-up that did not.
    let world = World::with(&[
        ("queue.poll_period", "1h"),
        ("queue.reconcile_period", "1h"),
    ])
    .await;
    let agent = world.agent(&["lint"]);
    let waiting = world.lease(agent, 1);
    let create = async {
        eventually(|| async { world.waits_for_lease().await }).await;
        world.create(spec("lint")).await
    };
    let (leases, created) = tokio::time::timeout(LONG, async { tokio::join!(waiting, create) })
        .await
        .expect("the wait ends with the create");
    assert_eq!(id_of(&leases[0]), created.id);
}

#[tokio::test]
async fn a_scheduled_task_waits_for_its_time() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let later = world.clock.now() + TimeDelta::minutes(5);
    let schedule_time = Some(reeve_wellknown::timestamp(later));
    let created = world
        .create(proto::TaskSpec {
            schedule_time,
            ..spec("lint")
        })
        .await;
    assert_eq!(created.pending_reason(), PendingReason::Scheduled);
    let request = || proto::LeaseTasksRequest {
        wait_duration: None,
        ..lease_of(agent, 1)
    };
    assert!(world.lease_as(request()).await.is_empty());
    world.clock.advance(TimeDelta::minutes(5));
    eventually(|| async { !world.lease_as(request()).await.is_empty() }).await;
}

#[tokio::test]
async fn an_agent_takes_only_from_its_queues_and_for_its_capabilities() {
    let world = World::start().await;
    let agent = world.agent(&["lint", "test"]);
    world.create(spec("build")).await;
    let queue = || "night".to_owned();
    let night = world
        .create(proto::TaskSpec {
            queue: queue(),
            ..spec("test")
        })
        .await;
    let capability = "test".to_owned();
    let other = world
        .create(proto::TaskSpec {
            capability,
            ..spec("strange")
        })
        .await;
    let lease = world.lease_one(agent).await;
    assert_eq!(id_of(&lease), other.id, "by capability, not by type");
    let request = proto::LeaseTasksRequest {
        wait_duration: None,
        ..lease_of(agent, 10)
    };
    assert!(world.lease_as(request.clone()).await.is_empty());
    let request = proto::LeaseTasksRequest {
        queues: vec![queue()],
        ..lease_of(agent, 10)
    };
    let leases = world.lease_as(request).await;
    assert_eq!(
        leases.iter().map(id_of).collect::<Vec<_>>(),
        [night.id.as_str()]
    );
}

#[tokio::test]
async fn a_task_of_a_later_time_is_found_beside_any_number_of_others() {
    let mut world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    // Too far away to be kept in memory, which does not survive a restart either.
    let later = world.clock.now() + TimeDelta::minutes(15);
    let scheduled = world
        .create(proto::TaskSpec {
            schedule_time: Some(reeve_wellknown::timestamp(later)),
            priority: proto::TaskPriority::Critical.into(),
            ..spec("lint")
        })
        .await;
    world.create_many(spec("lint"), 20).await;
    world.stop().await;
    world.run().await;
    world.clock.advance(TimeDelta::minutes(16));
    eventually(|| async { world.ready_in_redis("default", "lint").await == 21 }).await;
    assert_eq!(id_of(&world.lease_one(agent).await), scheduled.id);
}
