//! A gated task is nowhere among what is ready, whatever happens around it.

use chrono::TimeDelta;
use reeve_contracts::task::v1::{
    self as proto, GateDecision, GateKind, GateState, PendingReason, TaskState,
};
use reeve_redis::Ready;
use reeve_testkit::{TestRedis, eventually};
use serde_json::json;

use super::*;
use crate::bulk::{of_type, whole};
use crate::redis_loss::Wire;

#[tokio::test]
async fn it_is_in_no_ready_queue_and_no_agent_gets_it() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    world.ready_queues_are_whole().await;
    let (task, gate) = world
        .gated(agent, spec("lint"), gate_of(GateKind::Input))
        .await;
    assert!(world.lease_now(agent, 9).await.is_empty());
    // Redis loses everything, and is filled from the table.
    world.flush_redis().await;
    world.next_tick("ready queues").await;
    world.ready_queues_are_whole().await;
    assert_eq!(world.ready_in_redis("default", "lint").await, 0);
    // A pause is lifted.
    world.pause("default", "").await;
    assert_eq!(
        world.get(&task.id).await.pending_reason(),
        PendingReason::AwaitingInput
    );
    world.resume("default").await;
    // It is in a lane by mistake.
    let lane = format!("{}/default/lint", world.tenant);
    let stray = [Ready::new(lane.as_str(), task.id.as_str(), 1.0)];
    world
        .deps
        .redis
        .ready_queues(0)
        .push(&stray)
        .await
        .expect("Redis answers");
    assert!(world.lease_now(agent, 9).await.is_empty());
    world.next_tick("ready queues").await;
    assert_eq!(
        world.ready_in_redis("default", "lint").await,
        0,
        "forgotten"
    );
    let counts = world.queue("default").await.counts.expect("figures");
    assert_eq!((counts.ready, counts.paused), (0, 0));
    world
        .answer(input(&gate, json!({})))
        .await
        .expect("it is answered");
    assert_eq!(id_of(&world.lease_one(agent).await), task.id);
}

#[tokio::test]
async fn it_is_counted_by_what_it_waits_for() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    for kind in [GateKind::Input, GateKind::Approval, GateKind::Approval] {
        world.gated(agent, spec("lint"), gate_of(kind)).await;
    }
    eventually(|| async {
        let counts = world.queue("default").await.counts.expect("figures");
        (
            counts.awaiting_input,
            counts.awaiting_approval,
            counts.ready,
        ) == (1, 2, 0)
    })
    .await;
}

#[tokio::test]
async fn it_is_not_picked_from_the_table_either() {
    let redis = reeve_testkit::redis().await;
    let wire = Wire::to(&redis).await;
    let behind = TestRedis {
        url: wire.url.clone(),
        prefix: redis.prefix.clone(),
    };
    let world = World::on(behind, &[]).await;
    let agent = world.agent(&["lint"]);
    world
        .gated(agent, spec("lint"), gate_of(GateKind::Input))
        .await;
    wire.cut();
    let free = world.create(spec("lint")).await;
    assert_eq!(id_of(&world.lease_one(agent).await), free.id);
    assert!(world.lease_now(agent, 9).await.is_empty());
}

#[tokio::test]
async fn its_time_to_start_does_not_run_and_begins_anew() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let timeouts = proto::TaskTimeouts {
        schedule_to_start_timeout: Some(seconds(60)),
        ..Default::default()
    };
    let spec = || proto::TaskSpec {
        timeouts: Some(timeouts),
        ..spec("lint")
    };
    let (task, gate) = world.gated(agent, spec(), gate_of(GateKind::Input)).await;
    let witness = world.create(spec()).await;
    world.clock.advance(TimeDelta::seconds(61));
    world.reaches(&witness.id, TaskState::Timeout).await;
    assert_eq!(world.get(&task.id).await.state(), TaskState::Pending);
    world
        .answer(input(&gate, json!({})))
        .await
        .expect("it is answered");
    let witness = world.create(spec()).await;
    world.clock.advance(TimeDelta::seconds(61));
    world.reaches(&witness.id, TaskState::Timeout).await;
    world.reaches(&task.id, TaskState::Timeout).await;
}

#[tokio::test]
async fn it_can_be_cancelled_alone_and_with_others() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let (one, gate) = world
        .gated(agent, spec("lint"), gate_of(GateKind::Input))
        .await;
    world
        .gated(agent, spec("lint"), gate_of(GateKind::Approval))
        .await;
    let cancelled = world.cancel(&one.id).await.expect("it is cancelled");
    assert_eq!(cancelled.state(), TaskState::Cancelled);
    assert!(cancelled.gate.is_none());
    assert_eq!(cancelled.closed_gates[0].state(), GateState::Cancelled);
    assert!(cancelled.closed_gates[0].close_time.is_some());
    let late = world.answer(input(&gate, json!({}))).await;
    let fault = refused(
        late,
        reeve_status::Code::FailedPrecondition,
        reeve_status::Reason::GateClosed,
    );
    assert_eq!(
        fault.metadata().get("state").map(String::as_str),
        Some("CANCELLED")
    );
    let request = proto::BulkCancelTasksRequest {
        filter: Some(of_type("lint")),
        scope: Some(whole()),
        ..Default::default()
    };
    let answer = world.tasks().bulk_cancel_tasks(world.ask(request)).await;
    let tally = answer.expect("they are cancelled").into_inner();
    assert_eq!((tally.cancelled_count, tally.requested_count), (1, 0));
    let gates = world
        .gates()
        .list_gates(world.ask(Default::default()))
        .await;
    assert!(gates.expect("a list").into_inner().gates.is_empty());
}

#[tokio::test]
async fn a_brake_holds_it_when_it_is_answered() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let (task, gate) = world
        .gated(agent, spec("lint"), gate_of(GateKind::Input))
        .await;
    world.pause("default", "").await;
    let answered = world.answer(input(&gate, json!({}))).await;
    let answered = answered.expect("it is answered");
    assert_eq!(answered.pending_reason(), PendingReason::Paused);
    assert!(world.lease_now(agent, 9).await.is_empty());
    world.resume("default").await;
    assert_eq!(id_of(&world.lease_one(agent).await), task.id);
}

#[tokio::test]
async fn what_was_said_before_is_cut_where_it_would_not_fit() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let (task, gate) = world
        .gated(agent, spec("lint"), gate_of(GateKind::Input))
        .await;
    // Ninety-nine answers as large as they may be.
    let mut admin = world.database.admin().await;
    let earlier = "insert into task_queue.task_gate (
             id, tenant_id, task_id, queue, type, kind, state, prompt, content_digest, attempt,
             fence, opener_kind, opener_subject, opener_name, create_time, input, comment,
             answer_schema, answer_digest, answerer_kind, answerer_subject, answerer_name,
             close_time)
         select ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, tenant_id, task_id,
             queue, type, 1, 2, n::text, '', 1, n, 1, 'key:a', 'a', create_time,
             jsonb_build_object('text', repeat('x', 32000)), repeat('y', 4000),
             jsonb_build_object('description', repeat('z', 15000)), '', 1, 'key:b', 'b', create_time
         from task_queue.task_gate, generate_series(1, 99) as n";
    sqlx::query(earlier)
        .execute(&mut admin)
        .await
        .expect("they fit the table");
    let shown = world.get(&task.id).await;
    let last = shown.closed_gates.last().expect("some of them");
    assert_eq!(last.prompt, "99", "the last ones");
    assert!(
        (16..99).contains(&shown.closed_gates.len()),
        "{}",
        shown.closed_gates.len()
    );
    assert_eq!(shown.gate.map(|open| open.id), Some(gate.id.clone()));
    world
        .answer(input(&gate, json!({})))
        .await
        .expect("it is answered");
    let lease = world.lease_one(agent).await;
    assert_eq!(lease.gate_answers.len(), 16);
    assert_eq!(lease.gate_answers[0].prompt, "85", "oldest first");
}

#[tokio::test]
async fn a_watch_shows_what_it_waits_for() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let watch = world
        .tasks()
        .watch_tasks(world.ask(Default::default()))
        .await;
    let mut changes = watch.expect("a stream").into_inner();
    let (task, gate) = world
        .gated(agent, spec("lint"), gate_of(GateKind::Approval))
        .await;
    let mut until = async |kind: &str| loop {
        let change = tokio::time::timeout(LONG, changes.message()).await;
        let change = change
            .expect("in time")
            .expect("no error")
            .expect("a change");
        if change.event_type == kind {
            return change.task.expect("it has one");
        }
    };
    let waits = until("task.gate_opened").await;
    assert_eq!(
        (waits.id.as_str(), waits.pending_reason()),
        (task.id.as_str(), PendingReason::AwaitingApproval)
    );
    let yes = decision(&gate, GateDecision::Approve);
    world.answer(yes).await.expect("it may go on");
    let goes_on = until("task.gate_answered").await;
    assert_ne!(goes_on.pending_reason(), PendingReason::AwaitingApproval);
}

#[tokio::test]
async fn it_outlives_a_restart() {
    let mut world = World::start().await;
    let agent = world.agent(&["lint"]);
    let (task, gate) = world
        .gated(agent, spec("lint"), gate_of(GateKind::Approval))
        .await;
    world.stop().await;
    world.flush_redis().await;
    world.run().await;
    world.ready_queues_are_whole().await;
    assert!(world.lease_now(agent, 9).await.is_empty());
    let yes = decision(&gate, GateDecision::Approve);
    world.answer(yes).await.expect("it may go on");
    assert_eq!(id_of(&world.lease_one(agent).await), task.id);
}
