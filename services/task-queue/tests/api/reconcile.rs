//! Both sides say what they believe to be held, and what one of them does not hold is noticed.

use chrono::TimeDelta;
use reeve_contracts::task::v1::work_request::Message as Said;
use reeve_contracts::task::v1::work_response::Message as Say;
use reeve_contracts::task::v1::{self as proto, LeaseVerdict, TaskEffect, TaskState};

use crate::harness::*;
use crate::worker::{Worker, hello};

async fn beat(worker: &mut Worker, tokens: &[&str]) -> proto::Ack {
    let lease_tokens = tokens.iter().map(|token| (*token).to_owned()).collect();
    worker
        .tell(Said::Heartbeat(proto::Heartbeat { lease_tokens }))
        .await
}

/// So many leases that are assigned on a stream.
async fn leases(world: &World, worker: &mut Worker, count: i32) -> Vec<proto::Lease> {
    let many = usize::try_from(count).expect("small");
    world.create_many(spec("lint"), many).await;
    worker.credit(count).await;
    let mut leases = Vec::new();
    while leases.len() < many {
        leases.extend(worker.assigned().await);
    }
    leases
}

#[tokio::test]
async fn a_lease_that_heartbeats_leave_out_lapses_and_the_agent_hears_of_it() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let mut worker = Worker::greet(&world, agent).await;
    let held = leases(&world, &mut worker, 2).await;
    let (kept, forgotten) = (&held[0], &held[1]);
    world.clock.advance(TimeDelta::seconds(20));
    let ack = beat(&mut worker, &[&kept.lease_token]).await;
    assert!(ack.renewals.is_empty() && ack.failures.is_empty());
    let standing = world.get(id_of(forgotten)).await;
    assert_eq!(
        standing.state(),
        TaskState::Assigned,
        "its time is not over"
    );
    world.clock.advance(TimeDelta::seconds(15));
    let back = world.reaches(id_of(forgotten), TaskState::Pending).await;
    assert_eq!(back.lost_lease_count, 1);
    assert_eq!(world.get(id_of(kept)).await.state(), TaskState::Assigned);
    let cancel = loop {
        if let Say::Cancel(cancel) = worker.next().await.expect("a message") {
            break cancel;
        }
    };
    assert_eq!(cancel.leases[0].lease_token, forgotten.lease_token);
    assert_eq!(cancel.leases[0].verdict(), LeaseVerdict::Lost);
}

#[tokio::test]
async fn an_agent_is_told_of_leases_that_it_does_not_hold() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let mut worker = Worker::greet(&world, agent).await;
    let held = leases(&world, &mut worker, 2).await;
    let (mine, gone) = (held[0].lease_token.as_str(), held[1].lease_token.as_str());
    let ended = crate::worker::completion(gone);
    let ended = world.work().complete_task(world.ask(ended)).await;
    ended.expect("it completes");
    // Another agent has this one since its lease lapsed here.
    let other = world.agent(&["test"]);
    let lapsed = world.create(spec("test")).await;
    let old = world.lease_one(other).await;
    world.clock.advance(TimeDelta::seconds(20));
    beat(&mut worker, &[mine]).await;
    world.clock.advance(TimeDelta::seconds(15));
    world.reaches(&lapsed.id, TaskState::Pending).await;
    world.lease_one(other).await;
    let ack = beat(&mut worker, &[mine, gone, &old.lease_token, "nonsense"]).await;
    let verdicts: Vec<_> = ack
        .renewals
        .iter()
        .map(|one| (one.lease_token.as_str(), one.verdict()))
        .collect();
    let lost = LeaseVerdict::Lost;
    assert_eq!(verdicts, [(gone, lost), (&old.lease_token, lost)]);
    // What is no token at all is a failure.
    let refused: Vec<_> = ack.failures.iter().map(|one| one.index).collect();
    assert_eq!(refused, [3]);
    // Hello is answered for each, in order.
    let mut again = Worker::open(&world).await;
    let hello = proto::Hello {
        held_lease_tokens: vec![gone.to_owned(), mine.to_owned()],
        ..hello(agent)
    };
    let welcome = again.hello(hello).await;
    let verdicts: Vec<_> = welcome
        .held
        .iter()
        .map(proto::LeaseRenewal::verdict)
        .collect();
    assert_eq!(verdicts, [LeaseVerdict::Lost, LeaseVerdict::Ok]);
}

#[tokio::test]
async fn a_hello_without_them_leaves_leases_to_the_other_streams() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let mut first = Worker::greet(&world, agent).await;
    let held = leases(&world, &mut first, 2).await;
    let spoken_for = held[0].lease_token.as_str();
    // A second stream of the same agent knows of none, and takes none away.
    let mut second = Worker::open(&world).await;
    let welcome = second.hello(hello(agent)).await;
    assert!(welcome.held.is_empty());
    let ack = beat(&mut first, &[spoken_for]).await;
    assert!(ack.renewals.is_empty(), "{ack:?}");
    // When the first is gone, what the second names goes on, and the rest lapses.
    drop(first);
    world.clock.advance(TimeDelta::seconds(20));
    let ack = beat(&mut second, &[spoken_for]).await;
    assert!(ack.renewals.is_empty(), "{ack:?}");
    world.clock.advance(TimeDelta::seconds(15));
    world.reaches(id_of(&held[1]), TaskState::Pending).await;
    assert_eq!(
        world.get(id_of(&held[0])).await.state(),
        TaskState::Assigned
    );
}

#[tokio::test]
async fn what_must_not_run_twice_and_is_left_out_waits_for_a_person() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let mut worker = Worker::open(&world).await;
    let started = proto::Hello {
        start: true,
        ..hello(agent)
    };
    worker.hello(started).await;
    let created = world
        .create(proto::TaskSpec {
            effect: TaskEffect::Effectful.into(),
            ..spec("lint")
        })
        .await;
    worker.credit(1).await;
    worker.assigned().await;
    beat(&mut worker, &[]).await;
    world.clock.advance(TimeDelta::seconds(31));
    let task = world.reaches(&created.id, TaskState::Pending).await;
    assert_eq!(
        task.gate.map(|gate| gate.kind()),
        Some(proto::GateKind::LostLease)
    );
}
