//! What agent-registry says decides who works.

use reeve_contracts::agent::v1::AgentState;
use reeve_contracts::task::v1::{self as proto, PendingReason, TaskState};
use reeve_ids::AgentId;
use reeve_status::{Code, Reason};
use reeve_testkit::eventually;
use serde_json::json;

use crate::harness::*;

#[tokio::test]
async fn only_an_active_agent_leases_but_any_may_finish() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    world.create_many(spec("lint"), 2).await;
    let lease = world.lease_one(agent).await;
    world
        .known()
        .transition(world.tenant, agent, AgentState::Draining);
    let refusal = eventually(|| async {
        let request = proto::LeaseTasksRequest {
            queues: vec!["empty".to_owned()],
            wait_duration: None,
            ..lease_of(agent, 1)
        };
        world.work().lease_tasks(world.ask(request)).await.err()
    })
    .await;
    let fault = refused::<()>(
        Err(refusal),
        Code::FailedPrecondition,
        Reason::AgentNotActive,
    );
    assert_eq!(fault.metadata()["state"], "DRAINING");
    world
        .complete(&lease.lease_token)
        .await
        .expect("what it holds it may finish");
    let answer = world
        .work()
        .lease_tasks(world.ask(lease_of(AgentId::new(), 1)))
        .await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
}

#[tokio::test]
async fn a_lost_agent_gives_its_leases_back_at_once() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let created = world.create(spec("lint")).await;
    let request = proto::LeaseTasksRequest {
        lease_duration: Some(seconds(3_600)),
        ..lease_of(first, 1)
    };
    let old = world.lease_as(request).await.remove(0);
    world
        .known()
        .tell(world.tenant, first, "agent.heartbeat_lost", json!({}));
    let new = world.lease_one(second).await;
    assert_eq!((id_of(&new), new.attempt), (created.id.as_str(), 2));
    let answer = world.complete(&old.lease_token).await;
    refused(answer, Code::FailedPrecondition, Reason::LeaseLost);
    world
        .complete(&new.lease_token)
        .await
        .expect("the second completes it");
    let story = world.story(&created.id, "task.completed").await;
    assert!(story.contains(&"task.lease_lost".to_owned()));
}

#[tokio::test]
async fn an_agent_in_error_gives_its_leases_back() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(spec("lint")).await;
    world.lease_one(agent).await;
    world
        .known()
        .transition(world.tenant, agent, AgentState::Error);
    let back = world.reaches(&created.id, TaskState::Pending).await;
    assert_eq!(back.lost_lease_count, 1);
    let reason = || async {
        world.get(&created.id).await.pending_reason() == PendingReason::NoEligibleAgent
    };
    eventually(reason).await;
}

#[tokio::test]
async fn a_task_says_when_nobody_can_do_it() {
    let world = World::start().await;
    let created = world.create(spec("lint")).await;
    let reason = |wanted| {
        let (world, id) = (&world, &created.id);
        eventually(move || async move { world.get(id).await.pending_reason() == wanted })
    };
    reason(PendingReason::NoEligibleAgent).await;
    world.agent(&["lint"]);
    reason(PendingReason::Ready).await;
}

#[tokio::test]
async fn a_rejected_task_goes_to_another_agent_and_never_back() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let created = world.create(spec("lint")).await;
    let reject = |token: &str| proto::RejectTaskRequest {
        lease_token: token.to_owned(),
        reason: "too hard".to_owned(),
    };
    let lease = world.lease_one(first).await;
    let answer = world
        .work()
        .reject_task(world.ask(reject(&lease.lease_token)))
        .await;
    assert_eq!(
        answer.expect("it is rejected").into_inner().state(),
        TaskState::Pending
    );
    let answer = world
        .work()
        .reject_task(world.ask(reject(&lease.lease_token)))
        .await;
    assert_eq!(
        answer.expect("a repeat").into_inner().state(),
        TaskState::Pending
    );
    eventually(|| async { world.ready_in_redis("default", "lint").await == 1 }).await;
    let request = proto::LeaseTasksRequest {
        wait_duration: None,
        ..lease_of(first, 1)
    };
    assert!(
        world.lease_as(request).await.is_empty(),
        "not to the same agent"
    );
    let lease = world.lease_one(second).await;
    assert_eq!(id_of(&lease), created.id);
    let answer = world
        .work()
        .reject_task(world.ask(reject(&lease.lease_token)))
        .await;
    assert_eq!(
        answer.expect("it is rejected").into_inner().state(),
        TaskState::Failed
    );
    let dead = world.get(&created.id).await;
    let error = dead.error.as_ref().expect("it says why");
    assert_eq!(error.code, "REJECTED_BY_ALL");
    assert!(error.message.ends_with("too hard"), "{}", error.message);
    assert_eq!(
        dead.attempts[0].error.as_ref().map(|e| e.code.as_str()),
        Some("REJECTED")
    );
    let rejected = |events: &[reeve_contracts::event::v1::Event]| {
        events
            .iter()
            .filter(|event| event.r#type == "task.rejected")
            .count()
            == 1
    };
    let events = world.events(rejected).await;
    let event = events.iter().find(|event| event.r#type == "task.rejected");
    assert_eq!(event.map(data).expect("just counted")["reason"], "too hard");
    assert_eq!((dead.dead, dead.attempts.len()), (true, 2));
}

#[tokio::test]
async fn a_task_under_way_cannot_be_rejected() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    world.create(spec("lint")).await;
    let lease = world.lease_one(agent).await;
    let start = proto::StartTaskRequest {
        lease_token: lease.lease_token.clone(),
    };
    world
        .work()
        .start_task(world.ask(start))
        .await
        .expect("it starts");
    let reject = proto::RejectTaskRequest {
        lease_token: lease.lease_token.clone(),
        ..Default::default()
    };
    let answer = world.work().reject_task(world.ask(reject)).await;
    let fault = refused(
        answer,
        Code::FailedPrecondition,
        Reason::TransitionForbidden,
    );
    assert_eq!(fault.metadata()["from"], "IN_PROGRESS");
    world
        .complete(&lease.lease_token)
        .await
        .expect("the lease is untouched");
}

#[tokio::test]
async fn an_old_event_takes_nothing_that_was_leased_since() {
    let world = World::start().await;
    let (back, gone) = (world.agent(&["lint"]), world.agent(&["test"]));
    let loss = chrono::Utc::now();
    let kept = world.create(spec("lint")).await;
    let lost = world.create(spec("test")).await;
    world.lease_one(back).await;
    world.lease_one(gone).await;
    let event = "agent.heartbeat_lost";
    world
        .known()
        .tell_of(loss, (world.tenant, back), event, json!({}));
    world.known().tell(world.tenant, gone, event, json!({}));
    // The second event comes after the first.
    world.reaches(&lost.id, TaskState::Pending).await;
    assert_eq!(world.get(&kept.id).await.state(), TaskState::Assigned);
}

#[tokio::test]
async fn a_registry_that_hangs_is_waited_for_once() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(spec("lint")).await;
    world.lease_one(agent).await;
    for kind in 0..20 {
        world.create(spec(&format!("kind-{kind}"))).await;
    }
    world
        .known()
        .hangs
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let list = world
        .tasks()
        .list_tasks(world.ask(Default::default()))
        .await;
    let tasks = list.expect("within its deadline").into_inner().tasks;
    let ready = |task: &&proto::Task| task.pending_reason() == PendingReason::Ready;
    assert_eq!(tasks.iter().filter(ready).count(), 20);
    let next = world.create(spec("lint")).await;
    let lease = world.lease_one(agent).await;
    assert_eq!(
        id_of(&lease),
        next.id,
        "what was known of the agent is believed"
    );
    assert_ne!(next.id, created.id);
}

#[tokio::test]
async fn a_rejection_after_a_cancellation_cancels_and_repeats_so() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(spec("lint")).await;
    let lease = world.lease_one(agent).await;
    world
        .cancel(&created.id)
        .await
        .expect("the holder is asked");
    for _ in 0..2 {
        let reject = proto::RejectTaskRequest {
            lease_token: lease.lease_token.clone(),
            ..Default::default()
        };
        let answer = world.work().reject_task(world.ask(reject)).await;
        let state = answer.expect("it is let go").into_inner().state();
        assert_eq!(state, TaskState::Cancelled);
    }
}
